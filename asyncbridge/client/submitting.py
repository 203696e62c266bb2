"""How commands get into a session, and out of it again before they have run."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from asyncbridge.client import faults
from asyncbridge.client.decisions import write_decision
from asyncbridge.client.drafts import decided, refusal, split_off
from asyncbridge.client.halts import Halts
from asyncbridge.client.heartbeat import Heartbeat
from asyncbridge.client.info import Questions
from asyncbridge.client.outcomes import Outcomes
from asyncbridge.client.references import References
from asyncbridge.client.standstill import Handling
from asyncbridge.client.streams import Streams
from asyncbridge.client.transfers import Transfers
from asyncbridge.errors import (
    AsyncBridgeError,
    BridgeClosed,
    TransferError,
    WorkerLost,
    WorkerStartError,
)
from asyncbridge.protocol.client import ClientProtocol
from asyncbridge.protocol.keeping import ALONE
from asyncbridge.protocol.limits import TransferLimits
from asyncbridge.protocol.messages import Ping
from asyncbridge.protocol.states import CommandState, ConnectionState
from asyncbridge.serialization.split import split
from asyncbridge.tasks import spawn
from asyncbridge.transport.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from asyncbridge.client.drafts import Half
    from asyncbridge.client.halts import Halt, Written
    from asyncbridge.client.held import Held
    from asyncbridge.client.output import OutputRouter
    from asyncbridge.client.pending import Pending
    from asyncbridge.decisions import Decision
    from asyncbridge.lifetime import Finalizers
    from asyncbridge.protocol.limits import Bound
    from asyncbridge.protocol.messages import Advice, Buffer, Decide, Kept, Message, StopMode
    from asyncbridge.transport.arena import Arena
    from asyncbridge.transport.contract import Link

__all__ = ["Submitting"]

PUSH_EVERY: Final = 256
"""Commands after which those that wait are written, though the loop has had no turn."""


class Submitting(ABC):
    """A session's commands, from ``submit`` on, as long as this side may take them back.

    Args:
        name: The session's id.
        link: An open connection.
        backlog: How much may wait beyond the worker's window.
        output: Takes the captured output.
        finalizers: Gives the names of collected bindings whose owners are garbage.
        released: Called with the size of each command that has left the backlog.
        recounted: Called with a command's size there, as it was and as it is.
        verdict: Tells why the worker is gone, once the connection has ended.
        ended: Called once, when the session has ended for whatever reason; returns what takes the
            commands that another worker may run, None where there will be none.
        kill: Kills the worker; None where that is not ours to do.
        runs: Tells whether the worker has taken up a command, even where it cannot say so.
        answers: Told when the worker has been silent for long, and when it speaks again.
        newest: The highest id that a command of the bridge has had.
        arena: This side's shared memory, if there is any; the session closes it.
        limits: How much it moves.
        locals: Whether errors tell the variables of their frames.
        shared_name: Under which other clients may take over the commands; empty for none.
        halts: The bridge's; decides about commands that fail.
        references: The bridge's, to objects in the worker.
        answered: Told whether the worker keeps a value that it was asked to.
        advised: Told what the worker has to say of itself.
        debug: Whether the worker tells who keeps the values of bindings alive.
    """

    def __init__(
        self,
        *,
        name: str,
        link: Link,
        backlog: Bound,
        output: OutputRouter,
        finalizers: Finalizers,
        released: Callable[[int], None],
        verdict: Callable[[str], Awaitable[WorkerLost]],
        ended: Callable[[AsyncBridgeError], Held | None],
        recounted: Callable[[int, int], None] = lambda before, size: None,
        kill: Callable[[], None] | None = None,
        runs: Callable[[int], bool] = lambda command_id: False,
        answers: Callable[[bool], None] = lambda answers: None,
        newest: int = 0,
        arena: Arena | None = None,
        limits: TransferLimits = TransferLimits(),  # noqa: B008 - it is frozen
        locals: bool = False,  # noqa: A002 - as ``connect`` has it
        shared_name: str = "",
        halts: Halts | None = None,
        references: References | None = None,
        answered: Callable[[Kept], None] = lambda message: None,
        advised: Callable[[Advice], None] = lambda advice: None,
        debug: bool = False,
    ) -> None:
        self.shared_name = shared_name
        self._transfers = Transfers(
            link.bulk,
            self._broken,
            arena=arena,
            post=self._post,
            failed=self._not_sent,
            limits=limits,
        )
        self.protocol = ClientProtocol(
            session=name,
            client=f"asyncbridge pid {os.getpid()}",
            arena=self._transfers.arena_name,
            largest=limits.largest,
            locals=locals,
            debug=debug,
            backlog=backlog,
        )
        self.closed: asyncio.Future[AsyncBridgeError] = asyncio.get_running_loop().create_future()
        self.streams = Streams(self.protocol, self._transfers, self._post)
        self.references = References(lambda: None) if references is None else references
        self._answered = answered
        self._advised = advised
        self.outcomes = Outcomes(
            self.protocol, self._transfers, self.streams, output, self._broken, self.references
        )
        self._pending = self.outcomes.pending
        self._link = link
        self._output = output
        self._finalizers = finalizers
        self._released = released
        self._recounted = recounted
        self._verdict = verdict
        self._ended = ended
        self.kill = kill
        self.runs = runs
        self.halts = Halts() if halts is None else halts
        self._writer = Writer(link.channel, self._outgoing, self._written)
        self._newest = newest
        self._heart = Heartbeat(
            ask=lambda: self._post(Ping(nonce=0)),
            answers=answers,
            probe=link.channel.probe,
            later=asyncio.get_running_loop().call_later,
        )
        self._questions = Questions()
        self._drained = asyncio.Event()
        self._failure: WorkerStartError | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # --- commands ---

    @property
    def unfinished(self) -> int:
        """Promises that are not settled yet."""
        return len(self._pending)

    def unfinished_items(self) -> list[Pending]:
        """Return the commands that have no outcome yet."""
        return list(self._pending.values())

    @property
    def newest(self) -> int:
        """The highest id that a command has had."""
        return self._newest

    def submit(self, item: Pending, *, again: bool = False) -> None:
        """Put a command into the backlog.

        Args:
            item: The command.
            again: It was sent to another worker before: there is room for it.

        Raises:
            BridgeClosed: The connection has ended.
            QueueFull: The backlog is at its bound.
            TooLarge: The code, or the bindings' JSON part, is over the limit of a message.
        """
        if self.closed.done() or self.protocol.state is ConnectionState.CLOSED:
            raise BridgeClosed("the bridge is closed")
        if self._failure is not None:
            self._released(item.size)
            self.outcomes.reject(item, self._failure)
            return
        if item.after and (failed := item.failed_dependency()) is not None:
            self._released(item.size)
            self.outcomes.reject(item, faults.dependency_error(item, failed))
            return
        if not item.id:  # one that comes back has an id
            item.id = self._newest + 1
        undecided = split_off(item, item.bindings)
        self.protocol.submit(item.command(), ready=undecided is None, again=again)
        if item.names and item.lifetime != "command":
            self.protocol.keep(item.names)
        if item.uses:
            self._release_spent(item)
        self._newest = max(self._newest, item.id)
        if item.after:
            item.depend()
        if item.streams:
            self.streams.open(item)
        item.session = self
        self._pending[item.id] = item
        self._writer.wake()
        if item.id % PUSH_EVERY == 0:
            self._writer.push()
        if undecided is not None:
            spawn(self._decide(item, undecided), name="asyncbridge-decide", on_error=self._broken)

    def _release_spent(self, item: Pending) -> None:
        """Let go of values that were sent, or made, for this command alone; behind it."""
        spent = [use.item.id for use in item.uses if use.item and use.item.keep == ALONE]
        if spent:
            self.release_values(tuple(spent))

    def release_values(self, commands: tuple[int, ...]) -> None:
        """Let go of values that the worker keeps for commands sent by now."""
        if self.protocol.state is ConnectionState.OPEN:
            self.protocol.release(commands=commands)
            self._writer.wake()

    async def _decide(self, item: Pending, bindings: Half) -> None:
        """Let a command go once its bindings have been looked through, or written."""
        outcome = await self._transfers.apart(decided, bindings)
        if item.id not in self._pending:  # cancelled meanwhile, or the session has ended
            return
        size = item.size
        try:
            split_off(item, outcome.unwrap())
        except Exception as error:  # noqa: BLE001 - nobody awaits this task: the promise must end
            self._refuse(item, refusal(error))
            return
        self._recounted(size, item.size)
        self.protocol.make_ready(item.command())
        self._writer.wake()

    def _not_sent(self, buffer_id: str, error: TransferError) -> None:
        """Reject the command whose buffer will not come, and have the worker wait no longer."""
        owner = buffer_id.partition("-")[0]  # as `split_off` names them
        if not owner.isdigit():
            self.halts.not_sent(buffer_id, error)
        elif (item := self._pending.get(int(owner))) is not None:
            self._refuse(item, error, lacking=True)

    def _refuse(self, item: Pending, error: AsyncBridgeError, *, lacking: bool = False) -> None:
        """Reject a command that this side cannot send, and those that depend on it."""
        dependents = item.dependents
        self._take_back(item, lacking=lacking)
        self.outcomes.reject(item, error)
        self._fail(dependents, item)

    def cancel(self, item: Pending, mode: StopMode = "auto") -> bool:
        """Take a command back, or have it stopped; tells whether that may yet come about."""
        if item.id not in self._pending or (mode == "dequeue" and item.state == "running"):
            return False
        if self._take_back(item, mode):
            dependents = item.dependents
            self.outcomes.cancelled(item)
            self._fail(dependents, item)
        return True

    def _take_back(self, item: Pending, mode: StopMode = "auto", *, lacking: bool = False) -> bool:
        """Take a command out of the backlog, if it is still there; else have it stopped."""
        self._writer.wake()  # it may have been all that the others waited for
        if not self.protocol.cancel(item.id, mode, lacking=lacking):
            return False
        self._released(item.size)
        if not self.protocol.backlogged:
            self._drained.set()
        return True

    def _fail(self, dependents: Sequence[Pending], cause: Pending) -> None:
        """Reject what waits in the backlog for a command that will never run.

        The worker fails those that have left: told to stop one, it would call it cancelled.
        """
        todo = [(item, cause) for item in dependents]
        while todo:
            item, failed = todo.pop()
            if self.protocol.command_state(item.id) is CommandState.BACKLOG:
                self._take_back(item)
                todo += [(dependent, item) for dependent in item.dependents]
                self.outcomes.reject(item, faults.dependency_error(item, failed))

    # --- decisions ---

    def tell(self, message: Message) -> None:
        """Tell the worker something that passes the commands, if it is still there."""
        if self.protocol.state is ConnectionState.OPEN:
            self._post(message)

    def written(self, decision: Decision | None) -> Written:
        """Return a decision in wire form."""
        return write_decision(decision)

    def watch(self, handler: asyncio.Task[None], halt: Halt) -> None:
        """Let a handler of errors not wait for what stands behind its own decision."""
        Handling(handler, self.protocol, halt)

    def decide(self, decision: Decide) -> None:
        """Send a decision, and the large values in it by themselves.

        Raises:
            TooLarge: The JSON part of its values is over the limit of a message.
        """
        bulk: dict[str, Buffer] = {}
        if decision.values is not None:
            values, bulk = split(decision.values, prefix=f"d{decision.number}")
            decision = replace(decision, values=values)
        self.tell(decision)
        self._transfers.upload(bulk)

    async def drain(self) -> None:
        """Wait until nothing is left in the backlog."""
        while self.protocol.backlogged and not self.closed.done():
            self._drained.clear()
            await self._drained.wait()

    async def outcomes_told(self) -> None:
        """Wait until no value is on its way here: what is left has not begun."""
        coming = CommandState.FINISHED
        while waiting := [
            item.promise
            for item in self._pending.values()
            if self.protocol.command_state(item.id) is coming and not item.promise.done()
        ]:
            await asyncio.wait(waiting)

    async def settled(self) -> None:
        """Wait until every promise is settled, those that are made meanwhile included."""
        while waiting := [i.promise for i in self._pending.values() if not i.promise.done()]:
            await asyncio.wait(waiting)

    # --- what the session does ---

    @abstractmethod
    def _post(self, message: Message) -> None:
        """Queue a message that passes the commands."""

    @abstractmethod
    def _outgoing(self) -> list[Message]:
        """Return what may be written now."""

    @abstractmethod
    def _written(self, messages: list[Message]) -> None:
        """Note what has been written."""

    @abstractmethod
    def _broken(self, error: BaseException) -> None:
        """Take the end of a task."""

"""One connection to a worker: the shell around ``ClientProtocol``, on one event loop."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any

from asyncbridge.client import faults
from asyncbridge.client.drafts import decided, refusal, split_off
from asyncbridge.client.info import Questions
from asyncbridge.client.outcomes import Outcomes
from asyncbridge.client.streams import Streams
from asyncbridge.client.transfers import Transfers
from asyncbridge.errors import (
    AsyncBridgeError,
    BridgeClosed,
    ConnectError,
    TransferError,
    WorkerLost,
    WorkerStartError,
)
from asyncbridge.protocol import messages as m
from asyncbridge.protocol.client import ClientProtocol, size_of
from asyncbridge.protocol.journal import is_blank, parse
from asyncbridge.protocol.limits import TransferLimits
from asyncbridge.protocol.states import CommandState, ConnectionState
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import ChannelClosed
from asyncbridge.transport.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from asyncbridge.client.drafts import Half
    from asyncbridge.client.output import OutputRouter
    from asyncbridge.client.pending import Pending
    from asyncbridge.lifetime import Finalizers
    from asyncbridge.protocol.limits import Bound
    from asyncbridge.protocol.messages import Message, StopMode
    from asyncbridge.transport.arena import Arena
    from asyncbridge.transport.contract import Link

__all__ = ["Session"]

log = logging.getLogger(__name__)


class Session:
    """Sends commands and settles their promises; everything here runs on one loop.

    Args:
        name: The session's id.
        link: An open connection.
        backlog: How much may wait beyond the worker's window.
        output: Takes the captured output.
        finalizers: Gives the names of collected bindings whose owners are garbage.
        released: Called with the size of each command that has left the backlog.
        recounted: Called with a command's size there, as it was and as it is.
        verdict: Tells why the worker is gone, once the connection has ended.
        ended: Called once, when the session has ended for whatever reason.
        kill: Kills the worker; None where that is not ours to do.
        arena: This side's shared memory, if there is any; the session closes it.
        limits: How much it moves.
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
        ended: Callable[[], None],
        recounted: Callable[[int, int], None] = lambda before, size: None,
        kill: Callable[[], None] | None = None,
        arena: Arena | None = None,
        limits: TransferLimits = TransferLimits(),  # noqa: B008 - it is frozen
    ) -> None:
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
            backlog=backlog,
        )
        self.closed: asyncio.Future[AsyncBridgeError] = asyncio.get_running_loop().create_future()
        self.streams = Streams(self.protocol, self._transfers, self._post)
        self.outcomes = Outcomes(self.protocol, self._transfers, self.streams, output, self._broken)
        self._pending = self.outcomes.pending
        self._link = link
        self._output = output
        self._finalizers = finalizers
        self._released = released
        self._recounted = recounted
        self._verdict = verdict
        self._ended = ended
        self.kill = kill
        self._writer = Writer(link.channel, self._outgoing, self._written)
        self._newest = 0
        self._questions = Questions()
        self._drained = asyncio.Event()
        self._failure: WorkerStartError | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # --- its life ---

    async def open(self) -> None:
        """Say hello and wait for the welcome.

        Raises:
            ConnectError: The worker refused the session, or closed the connection.
            ProtocolVersionError: The two sides share no version.
        """
        self.protocol.greet()
        try:
            await self._writer.flush()
            while self.protocol.state is ConnectionState.GREETING:
                for message in await self._link.channel.read():
                    self._receive(message)
        except ChannelClosed as error:
            raise ConnectError(f"the worker closed the connection: {error}") from error
        await self._transfers.meet(self.protocol.welcome)
        self._tasks = [
            spawn(self._read(), name="asyncbridge-read", on_error=self._broken),
            spawn(self._writer.run(), name="asyncbridge-write", on_error=self._broken),
        ]

    async def close(self, *, quietly: bool = False) -> None:
        """Say goodbye and end the connection; what is unfinished is rejected.

        Args:
            quietly: Nobody is told of rejections that nobody handles: an exception is on its
                way already, and it is the one to be seen.
        """
        if self.protocol.state is ConnectionState.OPEN:
            self.protocol.goodbye("the client is done")
            try:
                await asyncio.wait_for(self._writer.flush(), 1.0)
            except (ChannelClosed, TimeoutError):
                log.debug("the worker did not take the goodbye")
        unfinished = [item.promise for item in self._pending.values()]
        self.end(BridgeClosed("the bridge was closed before the command had finished"))
        if quietly:
            for promise in unfinished:
                promise._log_traceback = False
        await self._link.channel.close()
        await self.streams.closed()
        await self._transfers.closed()

    def end(self, error: AsyncBridgeError) -> None:
        """Reject all that is unfinished, each promise with what is known of its command."""
        if self.closed.done():
            return
        self.closed.set_result(error)
        self._transfers.close(lost=isinstance(error, WorkerLost))
        self._ended()
        journal = error.journal if isinstance(error, WorkerLost) else b""
        phases = self.protocol.lose(parse(journal), told=is_blank(journal))
        for task in self._tasks:
            task.cancel()
        pending = dict(self._pending)
        self._pending.clear()
        for command_id, item in pending.items():
            phase = phases.get(command_id, "finished_unreported")
            self.outcomes.reject(item, faults.with_phase(error, phase))
        self._questions.fail(error)
        self._drained.set()
        self._output.end()

    # --- commands ---

    @property
    def unfinished(self) -> int:
        """Promises that are not settled yet."""
        return len(self._pending)

    def submit(self, item: Pending) -> None:
        """Put a command into the backlog.

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
        if (failed := item.failed_dependency()) is not None:
            self._released(item.size)
            self.outcomes.reject(item, faults.dependency_error(item, failed))
            return
        item.id = self._newest + 1
        undecided = split_off(item, item.bindings)
        self.protocol.submit(item.command(), ready=undecided is None)
        self._newest = item.id
        item.depend()
        self.streams.open(item)
        item.session = self
        self._pending[item.id] = item
        self._writer.wake()
        if undecided is not None:
            spawn(self._decide(item, undecided), name="asyncbridge-decide", on_error=self._broken)

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
        item = self._pending.get(int(buffer_id.partition("-")[0]))  # as `split_off` names them
        if item is not None:
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

    async def drain(self) -> None:
        """Wait until nothing is left in the backlog."""
        while self.protocol.backlogged and not self.closed.done():
            self._drained.clear()
            await self._drained.wait()

    async def settled(self) -> None:
        """Wait until every promise is settled, those that are made meanwhile included."""
        while waiting := [i.promise for i in self._pending.values() if not i.promise.done()]:
            await asyncio.wait(waiting)

    async def info(self) -> Mapping[str, Any]:
        """Ask the worker for its present state."""
        if self.closed.done():
            raise self.closed.result()
        number, answer = self._questions.ask()
        self._post(m.InfoRequest(id=number))
        return {**(told := await answer), "transfers": self._transfers.info(told)}

    def release_collected(self) -> None:
        """Tell the worker of collected bindings whose owners are garbage."""
        names = self._finalizers.take()
        if names and self.protocol.state is ConnectionState.OPEN:
            self.protocol.release(names)
            self._writer.wake()

    # --- writing ---

    def _post(self, message: Message) -> None:
        self.protocol.control(message)
        self._writer.wake()

    def _outgoing(self) -> list[Message]:
        self._transfers.give_back()  # first: the worker can use it for what is asked for next
        return self.protocol.outgoing()

    def _written(self, messages: list[Message]) -> None:
        for message in messages:
            if isinstance(message, m.Command):
                # Its outcome may have come before the write returned.
                self._released(size_of(message))
                if (item := self._pending.get(message.id)) is not None and item.bulk:
                    self._transfers.upload(item.bulk)
                    item.bulk = {}
        if not self.protocol.backlogged:
            self._drained.set()

    # --- reading ---

    async def _read(self) -> None:
        while self.protocol.state is not ConnectionState.CLOSED:
            for message in await self._link.channel.read():
                self._receive(message)
            if self.protocol.backlogged:
                self._writer.wake()

    def _receive(self, message: Message) -> None:
        wanted = self.protocol.receive(message)
        if wanted is not None and (handler := _HANDLERS.get(type(wanted))) is not None:
            handler(self, wanted)

    def _told(self, message: m.Started | m.Progress) -> None:
        if (item := self._pending.get(message.id)) is not None:
            item.told(message)

    def _failed(self, message: m.Failed) -> None:
        if (item := self._pending.get(message.id)) is None:
            return
        error = self.streams.error(item, message)
        dependents = item.dependents
        self.outcomes.reject(item, error)
        self._fail(dependents, item)

    def _cancelled(self, message: m.Cancelled) -> None:
        if (item := self._pending.get(message.id)) is not None:
            self.outcomes.cancelled(item)

    def _state_changed(self, message: m.StateChanged) -> None:
        if message.state != "failed" or message.fault is None:
            return
        self._failure = faults.start_error(message.fault)
        for item in list(self._pending.values()):
            self._take_back(item)
            self.outcomes.reject(item, self._failure)

    def _broken(self, error: BaseException) -> None:
        """Take the end of a task: the channel's, or the peer's breach of the protocol."""
        if isinstance(error, ChannelClosed):
            spawn(self._await_verdict(str(error)), name="asyncbridge-verdict")
        else:
            self.end(faults.broken_by(error))

    async def _await_verdict(self, reason: str) -> None:
        self.end(await self._verdict(reason))


_HANDLERS: dict[type, Callable[[Session, Any], None]] = {
    m.Started: Session._told,
    m.Progress: Session._told,
    m.Completed: lambda self, message: self.outcomes.completed(message),
    m.Failed: Session._failed,
    m.Cancelled: Session._cancelled,
    m.StateChanged: Session._state_changed,
    m.Info: lambda self, message: self._questions.answer(message),
    m.Output: lambda self, message: self._output.feed(message, self._pending.get(message.id)),
    m.Digest: lambda self, message: self._transfers.told(message),
    m.Placed: lambda self, message: self._transfers.placed(message),
    m.Returned: lambda self, message: self._transfers.returned(message),
    m.StreamItem: lambda self, message: self.streams.arrived(message),
    m.StreamTaken: lambda self, message: self.streams.taken(message),
    m.Goodbye: lambda self, message: self.end(WorkerLost(f"the worker left: {message.reason}")),
}

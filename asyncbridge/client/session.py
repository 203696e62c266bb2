"""One connection to a worker: the shell around ``ClientProtocol``, on one event loop."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from asyncbridge.client import faults
from asyncbridge.client.standing import standing
from asyncbridge.client.taking_over import TakingOver
from asyncbridge.errors import (
    AsyncBridgeError,
    BridgeClosed,
    ConnectError,
    DecodeError,
    RemoteProtocolError,
    SentCommand,
    SessionTaken,
    WorkerLost,
)
from asyncbridge.protocol import messages as m
from asyncbridge.protocol.journal import is_blank, parse
from asyncbridge.protocol.limits import size_of
from asyncbridge.protocol.states import CommandState, ConnectionState
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import ChannelClosed, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from asyncbridge.client.held import Held
    from asyncbridge.client.pending import Pending
    from asyncbridge.client.standing import CommandInfo
    from asyncbridge.protocol.messages import Message

__all__ = ["Session"]

log = logging.getLogger(__name__)


class Session(TakingOver):
    """Sends commands and settles their promises; everything here runs on one loop."""

    # --- its life ---

    async def open(self) -> None:
        """Say hello and wait for the welcome.

        Raises:
            ConnectError: The worker refused the session, or closed the connection.
            ProtocolVersionError: The two sides share no version.
            RemoteProtocolError: What it says is none of asyncbridge's.
        """
        self.protocol.greet()
        try:
            await self._writer.flush()
            while self.protocol.state is ConnectionState.GREETING or self._awaits_list():
                for message in await self._link.channel.read():
                    self._receive(message)
        except ChannelClosed as error:
            raise ConnectError(f"the worker closed the connection: {error}") from error
        except DecodeError as error:
            raise RemoteProtocolError(f"the worker broke the protocol: {error}") from error
        self._before = self.protocol.held.newest
        self._newest = max(self._newest, self._before)
        if self.shared_name:
            self.protocol.acknowledge_count = 1
        await self._transfers.meet(self.protocol.welcome)
        self.halts.begin(self)
        self._tasks = [
            spawn(self._read(), name="asyncbridge-read", on_error=self._broken),
            spawn(self._writer.run(), name="asyncbridge-write", on_error=self._broken),
        ]
        self._heart.start()

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
        await self.hang_up()

    async def hang_up(self) -> None:
        """Close the connection of a session that has ended."""
        await self._link.channel.close()
        await self.streams.closed()
        await self._transfers.closed()

    def end(self, error: AsyncBridgeError, *, unstarted: bool = False) -> None:
        """Reject what is unfinished, each promise with what is known of its command.

        Commands that have provably never started go to the worker that comes next, if there is to
        be one.

        Args:
            error: Why.
            unstarted: Whether no command that is unfinished has started: the worker says so.
        """
        if self.closed.done():
            return
        self.closed.set_result(error)
        self._heart.stop()
        self._transfers.close(lost=isinstance(error, WorkerLost))
        held = self._ended(error)
        self._give_up(error, held, unstarted=unstarted)
        for task in self._tasks:
            task.cancel()
        self._questions.fail(error)
        self.halts.end(error)
        self._drained.set()
        if held is None:
            self._output.end()

    def _give_up(self, error: AsyncBridgeError, held: Held | None, *, unstarted: bool) -> None:
        journal = error.journal if isinstance(error, WorkerLost) else b""
        waiting = {
            number
            for number in self._pending
            if self.protocol.command_state(number) is CommandState.BACKLOG
        }
        phases = self.protocol.lose(parse(journal), told=is_blank(journal))
        pending = dict(self._pending)
        self._pending.clear()
        for number, item in pending.items():
            phase = "not_started" if unstarted else phases.get(number, "finished_unreported")
            comes_back = self.streams.leaves(item) if unstarted else item.may_come_back
            if item.cancelling and unstarted:
                self._pending[number] = item
                self.outcomes.cancelled(item)
                continue
            if held is not None and phase == "not_started" and comes_back:
                held.keep(item, counted=number in waiting)
                continue
            if number in waiting:
                self._released(item.size)
            lost = faults.lost_error(item, error, phase)
            if (halt := self.halts.halted.get(number)) is not None:
                lost.__cause__ = halt.error  # what it had failed by, and was to be decided about
            self.outcomes.reject(item, lost)

    # --- what the worker is asked, and told ---

    async def info(self) -> Mapping[str, Any]:
        """Ask the worker for its present state."""
        told: Mapping[str, Any] = await self._ask(lambda number: m.InfoRequest(id=number))
        return {**told, "transfers": self._transfers.info(told)}

    async def ask_about(self, what: m.Question) -> Mapping[str, Any]:
        """Ask the worker for something else of its state."""
        told: Mapping[str, Any] = await self._ask(
            lambda number: m.InfoRequest(id=number, about=what)
        )
        return told

    async def queue(self) -> list[CommandInfo]:
        """Ask the worker for the queue; tell this session's commands in it, and those here."""
        report: m.QueueReport = await self._ask(lambda number: m.QueueRequest(id=number))
        return standing(self.protocol, self._pending, report, self.inherited)

    def pending(self, command_id: int) -> Pending | None:
        """Return a command by its id, None when it has an outcome or was never sent."""
        return self._pending.get(command_id)

    def prioritize(self, item: Pending, priority: int) -> bool:
        """Give a command that waits another priority; tell whether it does wait."""
        if not self.protocol.prioritize(item.id, priority):
            return False
        item.priority = priority
        self._writer.wake()
        return True

    async def _ask(self, question: Callable[[int], Message]) -> Any:
        """Ask the worker something, and return what it answers."""
        if self.closed.done():
            raise self.closed.result()
        number, answer = self._questions.ask()
        self._post(question(number))
        return await answer

    def release_collected(
        self, names_used: Container[str] = (), objects_used: Container[int] = ()
    ) -> None:
        """Tell the worker of collected bindings and objects whose owners are garbage.

        Args:
            names_used: Those of commands that wait, and have not been sent: they stay.
            objects_used: Likewise.
        """
        names = self._finalizers.take(names_used)
        objects = self.references.take(objects_used)
        if names or objects:
            self.release(names, objects)

    def release(self, names: tuple[str, ...], objects: tuple[tuple[int, int], ...] = ()) -> None:
        """Let go of what nothing here refers to any more, behind the commands sent by now."""
        if self.protocol.state is ConnectionState.OPEN:
            self.protocol.release(names, objects=objects)
            self._writer.wake()

    # --- writing ---

    def _post(self, message: Message) -> None:
        self.protocol.control(message)
        self._writer.wake()

    def _outgoing(self) -> list[Message]:
        self._transfers.give_back()  # first: the worker can use it for what is asked for next
        messages = self.protocol.outgoing()
        for message in messages:
            if isinstance(message, m.Command):
                # It is in the window now, however long its write takes.
                self._released(size_of(message))
        if not self.protocol.backlogged:
            self._drained.set()
        return messages

    def _written(self, messages: list[Message]) -> None:
        for message in messages:
            # Its outcome may have come before the write returned.
            item = self._pending.get(message.id) if isinstance(message, m.Command) else None
            if item is not None and item.bulk:
                self._transfers.upload(item.bulk)
                item.bulk = {}

    # --- reading ---

    async def _read(self) -> None:
        while self.protocol.state is not ConnectionState.CLOSED:
            for message in await self._link.channel.read():
                self._receive(message)
            self._heart.heard()
            if self.protocol.backlogged or self.shared_name:
                self._writer.wake()

    def _receive(self, message: Message) -> None:
        wanted = self.protocol.receive(message)
        if wanted is not None and (handler := _HANDLERS.get(type(wanted))) is not None:
            handler(self, wanted)

    def _told(self, message: m.Started | m.Progress) -> None:
        if (item := self._pending.get(message.id)) is not None:
            item.told(message)
        elif isinstance(message, m.Started):
            self.inherited.started(message.id)

    def _failed(self, message: m.Failed) -> None:
        halted_at = self.halts.error_of(message)
        self.halts.over(message.id)
        if (item := self._pending.get(message.id)) is None:
            return
        error = halted_at
        if error is None:
            error = self.halts.count(item.id, self.streams.error(item, message))
        dependents = item.dependents
        self.outcomes.reject(item, error)
        self._fail(dependents, item)

    def _completed(self, message: m.Completed) -> None:
        self.halts.over(message.id)
        self.outcomes.completed(message)

    def _halted(self, message: m.Halted) -> None:
        failed = m.Failed(id=message.id, fault=message.fault)
        item = self._pending.get(message.id)
        if item is not None:
            error, overdue = self.streams.error(item, failed), item.promise.done()
            self.halts.arrived(message, item.label, error, overdue=overdue)
            return
        # An earlier client has sent it; nobody here waits for it, but all the rest waits behind it.
        held = self.protocol.held.commands.get(message.id)
        command = SentCommand(id=message.id, name="" if held is None else held.label)
        self.halts.arrived(message, command.name, faults.remote_error(failed, command))

    def _held(self, message: m.Holding) -> None:
        self.inherited.heard(message)
        for command_id, _, state, _ in message.commands:
            if state != "halted":
                self.halts.over(command_id)

    def _dropped(self, message: m.Dropped) -> None:
        if message.asks:
            self.halts.dropped(message.error)
        for command_id in message.ids:
            if (item := self._pending.get(command_id)) is not None:
                dependents = item.dependents
                failed = self.halts.label_of(message.error)
                self.outcomes.reject(item, faults.dropped_error(item, message, failed))
                self._fail(dependents, item)

    def _cancelled(self, message: m.Cancelled) -> None:
        self.halts.over(message.id)
        if (item := self._pending.get(message.id)) is not None:
            item.began = message.began
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
        if isinstance(error, Taken):
            self.end(SessionTaken(str(error)))
        elif isinstance(error, ChannelClosed):
            spawn(self._await_verdict(str(error)), name="asyncbridge-verdict")
        else:
            self.end(faults.broken_by(error))

    async def _await_verdict(self, reason: str) -> None:
        self.end(await self._verdict(reason))


_HANDLERS: dict[type, Callable[[Session, Any], None]] = {
    m.Started: Session._told,
    m.Progress: Session._told,
    m.Completed: Session._completed,
    m.Failed: Session._failed,
    m.Cancelled: Session._cancelled,
    m.Halted: Session._halted,
    m.Resumed: lambda self, message: self.halts.over(message.id),
    m.Decided: lambda self, message: self.halts.answered(message),
    m.Dropped: Session._dropped,
    m.Holding: Session._held,
    m.StateChanged: Session._state_changed,
    m.Info: lambda self, message: self._questions.answer(message.id, message.info),
    m.QueueReport: lambda self, message: self._questions.answer(message.id, message),
    m.Output: lambda self, message: self._output.feed(message, self._pending.get(message.id)),
    m.Kept: lambda self, message: self._answered(message),
    m.Advice: lambda self, message: self._advised(message),
    m.Digest: lambda self, message: self._transfers.told(message),
    m.Placed: lambda self, message: self._transfers.placed(message),
    m.Returned: lambda self, message: self._transfers.returned(message),
    m.StreamItem: lambda self, message: self.streams.arrived(message),
    m.StreamTaken: lambda self, message: self.streams.taken(message),
    m.Withheld: lambda self, message: self._withheld(message),
    m.Goodbye: lambda self, message: self.end(self._parting_error(message)),
}

"""One connection to a worker: the shell around ``ClientProtocol``, on one event loop."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from asyncbridge.client import faults
from asyncbridge.client.submitting import Submitting
from asyncbridge.errors import (
    AsyncBridgeError,
    BridgeClosed,
    ConnectError,
    WorkerLost,
)
from asyncbridge.protocol import messages as m
from asyncbridge.protocol.client import size_of
from asyncbridge.protocol.journal import is_blank, parse
from asyncbridge.protocol.states import ConnectionState
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import ChannelClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncbridge.protocol.messages import Message

__all__ = ["Session"]

log = logging.getLogger(__name__)


class Session(Submitting):
    """Sends commands and settles their promises; everything here runs on one loop."""

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

    # --- what the worker is asked, and told ---

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

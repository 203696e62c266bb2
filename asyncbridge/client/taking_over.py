"""A session that has a name: its commands may be of an earlier process, and outlive this one."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

from asyncbridge.client import faults
from asyncbridge.client.inherited import Inherited
from asyncbridge.client.kills import NOT_OURS
from asyncbridge.client.shared_outcome import SharedOutcome
from asyncbridge.client.submitting import Submitting
from asyncbridge.client.words import STOP_MODES
from asyncbridge.errors import (
    AsyncBridgeError,
    BridgeClosed,
    Detached,
    ResultExpired,
    UnknownCommand,
    WorkerLost,
)
from asyncbridge.protocol.messages import Detach
from asyncbridge.protocol.states import CommandState, ConnectionState
from asyncbridge.transport.contract import ChannelClosed

if TYPE_CHECKING:
    from asyncbridge.client.pending import Pending
    from asyncbridge.promise import Promise
    from asyncbridge.promise.source import CancelMode
    from asyncbridge.protocol.messages import Goodbye, Withheld

__all__ = ["TakingOver"]

log = logging.getLogger(__name__)

ANSWER_SECONDS = 5.0
"""How long the worker may take to let a client go."""


class TakingOver(Submitting):
    """What commands have that are not only this client's."""

    _detaching = False
    _before = 0
    """The newest id that an earlier process has used."""

    @cached_property
    def inherited(self) -> Inherited:
        """What earlier processes have left, and nobody here has claimed."""
        return Inherited(self.protocol.held)

    @cached_property
    def _claimed(self) -> set[int]:
        return set()

    def has_had(self, command_id: int) -> bool:
        """Tell whether a command, which has an outcome, has told it to this process."""
        return command_id > self._before or command_id in self._claimed

    def claim(self, item: Pending) -> None:
        """Wait for the outcome of a command of the session, given by the item's id."""
        if self.closed.done() or self.protocol.state is ConnectionState.CLOSED:
            self.outcomes.reject(item, BridgeClosed("the bridge is closed"))
            return
        if (known := self._pending.get(item.id)) is not None:
            share(known, item.promise)
            return
        if item.id <= self._newest and self.has_had(item.id):
            self.outcomes.reject(item, had_here(item))
            return
        times = self.inherited.take(item.id)
        label = self.protocol.claim(item.id)
        if label is None:
            told = f"session {self.shared_name!r} has had no command {item.id}"
            self.outcomes.reject(item, UnknownCommand(told))
            return
        item.label, item.session, item.times = label, self, times or item.times
        item.priority = self.protocol.priority_of(item.id)
        self._claimed.add(item.id)
        self._pending[item.id] = item
        self._writer.wake()

    def cancel_held(self, command_id: int, mode: CancelMode | None) -> bool:
        """Cancel a command that nobody here has claimed; tell whether that may yet come about."""
        state = self.protocol.command_state(command_id)
        if mode == "kill" and state is CommandState.RUNNING and self.kill is None:
            raise ValueError(NOT_OURS)
        self._writer.wake()
        return self.protocol.stop_held(command_id, STOP_MODES[mode])

    def prioritize_held(self, command_id: int, priority: int) -> bool:
        """Give such a command another priority; tell whether it does wait."""
        self._writer.wake()
        return self.protocol.prioritize_held(command_id, priority)

    async def sent(self) -> None:
        """Wait until all commands, and their large arrays, are the worker's."""
        await self.drain()
        await self._transfers.uploaded()

    async def detach(self) -> None:
        """End the connection, and not the commands."""
        if self.closed.done():
            return
        self._detaching = True
        for item in list(self._pending.values()):
            promise = item.promise
            self.outcomes.reject(item, self._left_there(item))
            promise._log_traceback = False
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._writer.flush()
                self.protocol.control(Detach(reason="the client leaves"))
                await self._writer.flush()
                await asyncio.shield(self.closed)
        except (ChannelClosed, TimeoutError):
            log.debug("the worker has not answered the leave-taking")
        self.end(BridgeClosed("the bridge has left its session"))
        await self._link.channel.close()
        await self.streams.closed()
        await self._transfers.closed()

    def _left_there(self, item: Pending) -> AsyncBridgeError:
        what = item.label or "the command"
        if self.protocol.command_state(item.id) is CommandState.BACKLOG:
            return BridgeClosed(f"the bridge left its session before {what} could be sent")
        return Detached(
            f"{what} goes on in session {self.shared_name!r} as command {item.id}: connect("
            f"url, session={self.shared_name!r}) and bridge.promise({item.id}) give its outcome",
            command=item.id,
        )

    def _awaits_list(self) -> bool:
        """Tell whether the worker has yet to say what the session holds."""
        return bool(self.shared_name) and not self.protocol.held.complete

    def _withheld(self, message: Withheld) -> None:
        if (item := self._pending.get(message.id)) is not None:
            self._claimed.discard(message.id)
            self.outcomes.reject(item, faults.withheld_error(message))

    def _parting_error(self, message: Goodbye) -> AsyncBridgeError:
        if self._detaching:
            return BridgeClosed("the bridge has left its session")
        return WorkerLost(f"the worker left: {message.reason}")

    @abstractmethod
    def end(self, error: AsyncBridgeError) -> None:
        """Reject all that is unfinished."""


def share(item: Pending, promise: Promise[Any]) -> None:
    """Have one promise more wait for a command that has one."""
    shared = item.promise
    if not isinstance(shared, SharedOutcome):
        shared = item._promise = SharedOutcome(shared)
        shared._attach(item)
    shared.add(promise)
    promise._attach(item)


def had_here(item: Pending) -> ResultExpired:
    """Return why a command has no outcome for a promise, if it has told it to this process."""
    told = f"this process has had the outcome of command {item.id}, which is told once: keep the promise"
    if item.home.endings.of(item.id) == "cancelled":
        told = f"command {item.id} was cancelled: it has no outcome, as its promise here has told"
    return ResultExpired(told, command=item.id, reason="delivered")

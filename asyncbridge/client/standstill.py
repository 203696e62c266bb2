"""Commands that stand still: their code waits for this process, and what that does about it.

A worker runs one command at a time. When its code waits for a source, or for whoever reads its
parts, and that waits for a command that comes behind it, nothing ever moves. The worker says that
it waits; whether the other side can go on is looked at here, for as long as that is so.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncbridge.errors import DeadlockError
from asyncbridge.protocol.states import CommandState

if TYPE_CHECKING:
    from asyncbridge.client.parts import Parts
    from asyncbridge.client.pending import Pending
    from asyncbridge.client.pump import Pump
    from asyncbridge.client.vain import Wait
    from asyncbridge.protocol.client import ClientProtocol
    from asyncbridge.protocol.messages import StreamTaken

__all__ = ["Standstill"]

LOOK_EVERY_S = 0.1
"""Seconds between two looks at what the other side waits for; asyncio tells nobody of it."""


class Standstill:
    """One command whose code waits; everything here runs on the loop.

    Args:
        item: The command.
        protocol: Its session's.
        flow: The stream whose item it waits for, or the parts that it waits to be taken.
        message: What the worker says.
    """

    def __init__(
        self, item: Pending, protocol: ClientProtocol, flow: Pump | Parts, message: StreamTaken
    ) -> None:
        self._item = item
        self._protocol = protocol
        self._flow = flow
        self._message = message
        self._timer: asyncio.TimerHandle | None = None
        self._look()

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Fail the wait that keeps both sides; look again later, as long as the worker waits."""
        self._timer = None
        if not self._flow.is_awaited(self._message):
            return
        wait = self._flow.wait(self._is_behind)
        if wait is not None:
            wait.fail(self._error(wait))
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _is_behind(self, other: Pending) -> bool:
        """Tell whether a command can have no outcome before this one has: itself, and later ones."""
        session = other.session
        return (
            session is not None
            and session.protocol is self._protocol
            and other.id >= self._item.id
            and other.timer is None  # its time-out is an outcome, too
            and self._protocol.command_state(other.id) is not CommandState.FINISHED
        )

    def _error(self, wait: Wait) -> DeadlockError:
        awaited, why = told(wait.command), self._flow.why
        if wait.command is self._item:
            reason = f"it waits for {why}, which waits here"
        else:
            reason = f"it runs after {told(self._item)}, which waits for {why}, which waits here"
        return DeadlockError(f"{awaited} would be awaited for ever: {reason}. {ADVICE}")


ADVICE = (
    "Await it before the stream begins or after its end (collect the parts first), leave it to a "
    "task that the stream does not wait for, or send it by another bridge"
)


def told(item: Pending) -> str:
    """Say which command is meant."""
    return f"{item.label or 'the command'} (number {item.id}, sent from {item.origin})"

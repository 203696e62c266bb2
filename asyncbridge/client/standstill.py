"""Commands that stand still: they wait for this process, and what that does about it.

A worker runs one command at a time. When its code waits for a source, or for whoever reads its
parts, and that waits for a command that comes behind it, nothing ever moves. The worker says that
it waits; whether the other side can go on is looked at here, for as long as that is so. A handler
of errors that awaits a command of its own session, which is halted until it has decided, is another such case.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncbridge.client.vain import wait_of_task
from asyncbridge.errors import DeadlockError
from asyncbridge.protocol.states import CommandState

if TYPE_CHECKING:
    from asyncbridge.client.halts import Halt
    from asyncbridge.client.parts import Parts
    from asyncbridge.client.pending import Pending
    from asyncbridge.client.pump import Pump
    from asyncbridge.client.vain import Wait
    from asyncbridge.protocol.client import ClientProtocol
    from asyncbridge.protocol.messages import StreamTaken

__all__ = ["Handling", "Standstill"]

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
        return is_unsettled(other, self._protocol) and other.id >= self._item.id

    def _error(self, wait: Wait) -> DeadlockError:
        awaited, why = told(wait.command), self._flow.why
        if wait.command is self._item:
            reason = f"it waits for {why}, which waits here"
        else:
            reason = f"it runs after {told(self._item)}, which waits for {why}, which waits here"
        return DeadlockError(f"{awaited} would be awaited for ever: {reason}. {ADVICE}")


class Handling:
    """A handler of errors, as long as it is asked; everything here runs on the loop.

    Args:
        task: It runs in.
        protocol: Of the session that is halted.
        halt: What it is asked of.
    """

    def __init__(self, task: asyncio.Task[None], protocol: ClientProtocol, halt: Halt) -> None:
        self._task = task
        self._protocol = protocol
        self._halt = halt
        # For the first time when it has taken its first step.
        self._timer: asyncio.Handle = task.get_loop().call_soon(self._look)
        task.add_done_callback(lambda _: self._timer.cancel())

    def _look(self) -> None:
        """Fail a wait that can only end with the halt, and so with the handler; look again later."""
        wait = wait_of_task(self._task, self._is_behind)
        if wait is not None:
            wait.fail(self._error(wait))
        self._timer = self._task.get_loop().call_later(LOOK_EVERY_S, self._look)

    def _is_behind(self, other: Pending) -> bool:
        """Tell whether a command can have no outcome before the decision."""
        return is_unsettled(other, self._protocol) and not other.cancelling

    def _error(self, wait: Wait) -> DeadlockError:
        halt = self._halt
        before = f"{halt.command or 'the command'} (number {halt.command_id})"
        is_own = wait.command.id == halt.command_id
        stands = "it is halted" if is_own else f"it stands behind {before}, which is halted"
        return DeadlockError(
            f"{told(wait.command)} would be awaited for ever: {stands} until this handler has "
            f"decided. {ADVICE_TO_HANDLERS}"
        )


def is_unsettled(command: Pending, protocol: ClientProtocol) -> bool:
    """Tell whether it is the worker that a command of a session still has to be ended by."""
    session = command.session
    return (
        session is not None
        and session.protocol is protocol
        and command.timer is None  # its time-out is an outcome, too
        and protocol.command_state(command.id) is not CommandState.FINISHED
    )


ADVICE_TO_HANDLERS = (
    "Return the decision first, leave the command to a task that the handler does not wait for, "
    "or send it by another bridge"
)
ADVICE = (
    "Await it before the stream begins or after its end (collect the parts first), leave it to a "
    "task that the stream does not wait for, or send it by another bridge"
)


def told(item: Pending) -> str:
    """Say which command is meant."""
    return f"{item.label or 'the command'} (number {item.id}, sent from {item.origin})"

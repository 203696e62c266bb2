"""A client's commands by id: those that it has sent, and those of an earlier client it asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from asyncbridge.protocol.holdings import Holdings
from asyncbridge.protocol.messages import Claim, Command
from asyncbridge.protocol.standing import Entry, Standing
from asyncbridge.protocol.states import CommandState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.protocol.holding import HeldState
    from asyncbridge.protocol.limits import Bound, Gauge
    from asyncbridge.protocol.messages import Holding, Message, Withheld

__all__ = ["Claims"]

_STATES: Final[Mapping[HeldState, CommandState]] = {
    "queued": CommandState.QUEUED,
    "running": CommandState.RUNNING,
    "halted": CommandState.HALTED,
}
"""Of what is unfinished."""


class Claims(Standing):
    """What the client half of the protocol has of its session's commands.

    Args:
        backlog: How much may wait in the client.

    Attributes:
        held: What earlier clients have left, if the session has a name.
    """

    def __init__(self, backlog: Bound) -> None:
        super().__init__(backlog)
        self.held = Holdings()
        self._window: Gauge | None = None
        self._newest = 0
        self._seen: list[int] = []

    def claim(self, command_id: int) -> str | None:
        """Ask for the outcome of a command that this client did not send, or no longer knows.

        Returns:
            Its label; None where the session has had no command of that id.
        """
        if not 0 < command_id <= max(self.held.newest, self._newest):
            return None
        assert self._window is not None
        held, size = self.held.take(command_id)
        state = CommandState.SENT
        if size is None:
            self._window.take(0)
        elif held is not None:
            state = _STATES[held.state]
        command = Command(id=command_id, code="", label="" if held is None else held.label)
        self._entries[command_id] = Entry(
            command, size or 0, state=state, halted=state is CommandState.HALTED
        )
        self._control.append(Claim(id=command_id))
        return command.label

    def _holding(self, message: Holding) -> Message | None:
        """Take the list of what is held; commands there take their part of the window.

        Returns:
            The message, if it says that something is halted no more.
        """
        assert self._window is not None
        others = tuple(row for row in message.commands if row[0] not in self._entries)
        message = replace(message, commands=others)
        wanted = message if self.held.ends_halt(message) else None
        begun, ended = self.held.receive(message)
        for size in begun:
            self._window.take(size)
        for size in ended:
            self._window.give(size)
        self._newest = max(self._newest, message.newest)
        return wanted

    def _withheld(self, message: Withheld) -> Message | None:
        if message.id not in self._entries:
            return None
        self._finish(message.id, acknowledge=False, answered=True)
        return message

    def _finish(self, command_id: int, *, acknowledge: bool, answered: bool) -> None:
        entry = self._entries.pop(command_id)
        if answered:
            assert self._window is not None
            self._window.give(entry.size)
        if acknowledge:
            self._seen.append(command_id)

"""A client's commands by id: those that it has sent, and those of an earlier client it asks for."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from asyncbridge.protocol.holdings import Holdings
from asyncbridge.protocol.messages import Cancel, Claim, Command
from asyncbridge.protocol.queueing import Prioritize
from asyncbridge.protocol.standing import Entry, Standing
from asyncbridge.protocol.states import CommandState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncbridge.protocol.limits import Bound, Gauge
    from asyncbridge.protocol.messages import Holding, Message, StopMode, Withheld

__all__ = ["Claims"]


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
        held, entry = self.held.take(command_id)
        if entry is None:
            self._window.take(0)
            command = Command(id=command_id, code="", label="" if held is None else held.label)
            entry = Entry(command, 0, state=CommandState.SENT)
        self._entries[command_id] = entry
        self._control.append(Claim(id=command_id))
        return entry.command.label

    def stop_held(self, command_id: int, mode: StopMode) -> bool:
        """Have a command taken back, or stopped, that is held; tell whether it is unfinished."""
        if command_id not in self.held.entries:
            return False
        self._control.append(Cancel(id=command_id, mode=mode))
        return True

    def prioritize_held(self, command_id: int, priority: int) -> bool:
        """Give a command that is held another priority; return False when it waits no more."""
        entry = self.held.entries.get(command_id)
        if entry is None or entry.state is not CommandState.QUEUED:
            return False
        entry.command = replace(entry.command, priority=priority)
        self._control.append(Prioritize(id=command_id, priority=priority))
        return True

    def command_state(self, command_id: int) -> CommandState:
        """Return where a command stands, one that is held included."""
        held = self.held.entries.get(command_id)
        return super().command_state(command_id) if held is None else held.state

    def _standing(self) -> Iterable[Entry]:
        return chain(self._entries.values(), self.held.entries.values())

    def _holding(self, message: Holding) -> Message:
        """Take the list of what is held; commands there take their part of the window."""
        assert self._window is not None
        others = tuple(row for row in message.commands if row[0] not in self._entries)
        begun, ended = self.held.receive(replace(message, commands=others))
        for size in begun:
            self._window.take(size)
        for size in ended:
            self._window.give(size)
        self._newest = max(self._newest, message.newest)
        return message

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

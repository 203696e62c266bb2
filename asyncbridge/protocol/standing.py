"""Where a client's commands stand, and in which order they will be run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from asyncbridge.protocol.levels import Levels
from asyncbridge.protocol.limits import Gauge
from asyncbridge.protocol.queueing import Prioritize
from asyncbridge.protocol.states import CommandState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncbridge.protocol.limits import Bound
    from asyncbridge.protocol.messages import Command, Message

__all__ = ["Entry", "Standing", "is_ready"]


@dataclass(slots=True, eq=False)
class Entry:
    """A command without an outcome.

    Attributes:
        moved: Whether it was given another priority.
        halted: Whether it has ever failed and waited for a decision.
    """

    command: Command
    size: int
    state: CommandState = CommandState.BACKLOG
    ready: bool = True
    moved: bool = False
    halted: bool = False

    @property
    def is_ordered(self) -> bool:
        """Whether it is run in the order of the ids, with all others of which this holds."""
        command = self.command
        return not (self.moved or command.priority or command.aside)


class Standing:
    """One session's commands that have no outcome yet, from the backlog on.

    Args:
        backlog: How much may wait in the client.
    """

    def __init__(self, backlog: Bound) -> None:
        self._backlog: Levels[Entry] = Levels()
        self._backlog_gauge = Gauge(backlog)
        self._entries: dict[int, Entry] = {}
        self._control: list[Message] = []

    @property
    def unfinished(self) -> int:
        """Commands with no outcome yet, the backlog included."""
        return len(self._entries)

    @property
    def backlogged(self) -> int:
        """Commands that wait in the client."""
        return self._backlog_gauge.count

    def command_state(self, command_id: int) -> CommandState:
        """Return where a command stands; one that is unknown has finished."""
        entry = self._entries.get(command_id)
        return CommandState.FINISHED if entry is None else entry.state

    def priority_of(self, command_id: int) -> int:
        """Return an unfinished command's priority."""
        return self._entries[command_id].command.priority

    def size_of(self, command_id: int) -> int:
        """Return the bytes that an unfinished command counts for."""
        return self._entries[command_id].size

    def ahead_of(self, command_id: int) -> int:
        """Return how many unfinished commands come before this one."""
        if any(entry.command.priority for entry in self._standing()):
            return self.order().index(command_id)
        return sum(
            entry.command.id < command_id and entry.state is not CommandState.FINISHED
            for entry in self._standing()
        )

    def order(self) -> list[int]:
        """Return the unfinished commands as they will be run, the running one first.

        One that has halted stands there, too, whatever its priority: all others wait for it.
        """
        waiting: Levels[Entry] = Levels()
        running: list[int] = []
        for entry in self._standing():
            if entry.halted or entry.state is CommandState.RUNNING:
                running.append(entry.command.id)
            else:
                waiting.add(entry)
        return running + [entry.command.id for entry in waiting.order()]

    def prioritize(self, command_id: int, priority: int) -> bool:
        """Give a command another priority; return False when it waits no more."""
        entry = self._entries.get(command_id)
        if entry is None or entry.state is CommandState.RUNNING:
            return False
        entry.moved = True
        if entry.state is CommandState.BACKLOG:
            self._backlog.move(entry, priority)
        else:
            entry.command = replace(entry.command, priority=priority)
            self._control.append(Prioritize(id=command_id, priority=priority))
        return True

    def _standing(self) -> Iterable[Entry]:
        """Return all that have a place in the order."""
        return self._entries.values()

    def _leaving(self, entry: Entry) -> Command:
        """Return a command that leaves the backlog, with what it overtakes there."""
        lowest = self._backlog.lowest()
        if lowest is None or lowest > entry.command.id:
            return entry.command
        return replace(entry.command, overtakes=lowest)


def is_ready(entry: Entry) -> bool:
    """Tell whether a command may leave the backlog."""
    return entry.ready

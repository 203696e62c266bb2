"""What a client knows of what its named session holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from asyncbridge.protocol.messages import Command
from asyncbridge.protocol.standing import Entry
from asyncbridge.protocol.states import CommandState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.protocol.holding import HeldState, Holding

__all__ = ["HeldCommand", "Holdings"]

UNFINISHED: Final[Mapping[HeldState, CommandState]] = {
    "queued": CommandState.QUEUED,
    "running": CommandState.RUNNING,
    "halted": CommandState.HALTED,
}
TOLD: Final[Mapping[CommandState, HeldState]] = {state: told for told, state in UNFINISHED.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCommand:
    """A command that an earlier client has sent, and nobody here has asked for.

    Attributes:
        id: Its id in the session.
        label: What a person would call it; may be empty.
        state: ``queued`` or ``running``; ``halted``, and its error waits for a decision;
            ``completed``, ``failed`` or ``cancelled``, and its outcome waits. Until that is there
            it counts as ``running``: also while a large value is being put away, when others may
            run already.
    """

    id: int
    label: str
    state: HeldState


class Holdings:
    """The list, as the worker tells it.

    Attributes:
        commands: They, by id.
        entries: How those stand that are unfinished, by id.
        newest: The newest id that was used.
        complete: Whether the whole list has come.
    """

    def __init__(self) -> None:
        self.commands: dict[int, HeldCommand] = {}
        self.entries: dict[int, Entry] = {}
        self.newest = 0
        self.complete = False

    def receive(self, message: Holding) -> tuple[list[int], list[int]]:
        """Take a part of the list, or a change.

        Returns:
            The counted bytes of commands that are unfinished and were not known, and of those
            that were unfinished and are no longer.
        """
        self.newest = max(self.newest, message.newest)
        begun, ended = [], []
        standing = {row[0]: row for row in message.standing}
        for command_id, label, state, size in message.commands:
            self.commands[command_id] = HeldCommand(id=command_id, label=label, state=state)
            if state not in UNFINISHED:
                if command_id in self.entries:
                    ended.append(self.entries.pop(command_id).size)
            elif command_id not in self.entries:
                _, priority, _, after = standing.get(command_id, (command_id, 0, 0, ()))
                command = Command(
                    id=command_id, code="", label=label, priority=priority, after=after
                )
                entry = Entry(command, size, state=UNFINISHED[state], halted=state == "halted")
                self.entries[command_id] = entry
                begun.append(size)
        self.complete = self.complete or not message.more
        return begun, ended

    def moved(self, command_id: int, state: CommandState) -> bool:
        """Note where a command stands now; tell whether it is one of these."""
        entry = self.entries.get(command_id)
        if entry is None:
            return False
        entry.state = state
        entry.halted |= state is CommandState.HALTED
        self.commands[command_id] = replace(self.commands[command_id], state=TOLD[state])
        return True

    def take(self, command_id: int) -> tuple[HeldCommand | None, Entry | None]:
        """Take a command off the list: somebody here waits for it.

        Returns:
            What is known of it, and how it stands if it is unfinished.
        """
        return self.commands.pop(command_id, None), self.entries.pop(command_id, None)

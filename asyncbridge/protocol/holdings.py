"""What a client knows of what its named session holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncbridge.protocol.holding import HeldState, Holding

__all__ = ["HeldCommand", "Holdings"]

UNFINISHED: Final = ("queued", "running", "halted")


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
        newest: The newest id that was used.
        complete: Whether the whole list has come.
    """

    def __init__(self) -> None:
        self.commands: dict[int, HeldCommand] = {}
        self.newest = 0
        self.complete = False
        self._sizes: dict[int, int] = {}

    def receive(self, message: Holding) -> tuple[list[int], list[int]]:
        """Take a part of the list, or a change.

        Returns:
            The counted bytes of commands that are unfinished and were not known, and of those
            that were unfinished and are no longer.
        """
        self.newest = max(self.newest, message.newest)
        begun, ended = [], []
        for command_id, label, state, size in message.commands:
            self.commands[command_id] = HeldCommand(id=command_id, label=label, state=state)
            if state not in UNFINISHED:
                if command_id in self._sizes:
                    ended.append(self._sizes.pop(command_id))
            elif command_id not in self._sizes:
                self._sizes[command_id] = size
                begun.append(size)
        self.complete = self.complete or not message.more
        return begun, ended

    def moved(self, command_id: int, state: HeldState) -> None:
        """Note where a command stands now that has no outcome yet."""
        if (held := self.commands.get(command_id)) is not None:
            self.commands[command_id] = HeldCommand(id=command_id, label=held.label, state=state)

    def ends_halt(self, message: Holding) -> bool:
        """Tell whether a change says that a command is halted no more."""
        for command_id, _, state, _ in message.commands:
            held = self.commands.get(command_id)
            if held is not None and held.state == "halted" != state:
                return True
        return False

    def take(self, command_id: int) -> tuple[HeldCommand | None, int | None]:
        """Take a command off the list: somebody here waits for it.

        Returns:
            What is known of it, and its counted bytes if it is unfinished.
        """
        return self.commands.pop(command_id, None), self._sizes.pop(command_id, None)

"""How commands of this process have ended: those that gave no value are few, and remembered."""

from __future__ import annotations

from typing import Final, Literal

from asyncbridge.errors import Detached, ResultExpired, UnknownCommand

__all__ = ["CommandOutcome", "Endings"]

CommandOutcome = Literal["", "completed", "failed", "cancelled"]
KEPT: Final = 10_000
"""Commands without a value that are remembered, the newest ones."""
NO_ENDS: Final = (Detached, ResultExpired, UnknownCommand)
"""What a promise is rejected with whose command goes on, or has ended otherwise before."""


class Endings:
    """The outcomes of a bridge's commands, by their ids; values cost nothing here."""

    def __init__(self) -> None:
        self._without_value: dict[int, CommandOutcome] = {}
        self._forgotten = 0

    def note(self, command_id: int, reason: Exception | None) -> None:
        """Take the end of a command that gave no value; without a reason it was cancelled."""
        if not command_id or isinstance(reason, NO_ENDS):
            return
        self._without_value[command_id] = "cancelled" if reason is None else "failed"
        if len(self._without_value) > KEPT:
            oldest = next(iter(self._without_value))
            del self._without_value[oldest]
            self._forgotten = max(self._forgotten, oldest)

    def of(self, command_id: int) -> CommandOutcome:
        """Return how a command has ended; empty when that is forgotten."""
        if (outcome := self._without_value.get(command_id)) is not None:
            return outcome
        return "completed" if command_id > self._forgotten else ""

"""The root, and how a command is told of in an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AsyncBridgeError",
    "SentCommand",
]


class AsyncBridgeError(Exception):
    """Root of every error raised by asyncbridge."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Not by __init__, which makes a text of what it is given.
        return _restored, (type(self), self.args, self.__dict__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCommand:
    """A command as its client knows it.

    Attributes:
        id: Its number in its session; 0 if it was refused before it had one.
        code: Its source, as it was sent.
        bindings: The names of its bindings.
        name: What a person called it; may be empty.
        sent_from: The line that sent it, ``file:line, in function``; may be empty.
    """

    id: int
    code: str = field(default="", repr=False)
    bindings: tuple[str, ...] = ()
    name: str = ""
    sent_from: str = ""

    @property
    def title(self) -> str:
        """What to call it in a sentence: its name and its number, as far as it has them."""
        number = f"command {self.id}" if self.id else ""
        if not self.name:
            line = self.code.strip().partition("\n")[0]
            return number or (f"the command {line[:40]!r}" if line else "the command")
        return f"{self.name} ({number})" if number else self.name

    @property
    def note(self) -> str:
        """Say where it was sent; empty if that is not known."""
        return f"{self.title} was sent from {self.sent_from}" if self.sent_from else ""


def _restored(
    cls: type[AsyncBridgeError], args: tuple[object, ...], state: Mapping[str, Any]
) -> AsyncBridgeError:
    """Build a copy."""
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error

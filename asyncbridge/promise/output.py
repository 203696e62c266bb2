"""Lines that a command prints, as its promise tells them."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from asyncbridge.promise.log import Log

__all__ = ["BYTES_KEPT", "LINES_KEPT", "OutputLine", "OutputLog"]

LINES_KEPT = 10_000
"""Lines that are kept for readers, before the oldest are let go."""

BYTES_KEPT = 4 * 1024 * 1024
"""Bytes of memory that the texts of those lines may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLine:
    """One line that a command, or the worker itself, printed.

    Attributes:
        text: The line, without its end.
        stream: ``stdout`` or ``stderr``.
        command_id: The command that printed it, None for the worker itself.
    """

    text: str
    stream: str
    command_id: int | None


class OutputLog(Log[OutputLine]):
    """The newest lines, up to a bound."""

    def __init__(self) -> None:
        super().__init__(count=LINES_KEPT, size=BYTES_KEPT)

    def size_of(self, event: OutputLine) -> int:
        """Return the bytes of a line's text."""
        return sys.getsizeof(event.text)

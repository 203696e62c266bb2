"""What a command's code tells of its progress while it runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Reporter", "report", "reporting"]


class Reporter(Protocol):
    """Takes the reports of one command."""

    def __call__(self, value: object, *, transient: bool) -> None:
        """Send a report; from any thread."""
        ...


# Not a context variable: backends run callbacks in threads of their own.
_reporter: Reporter | None = None


def report(value: object, *, transient: bool = False) -> None:
    """Tell the client how far the running command has come; from any thread of the worker.

    Outside a command it goes nowhere; a thread that outlives its command reports for the one that
    runs then.

    Args:
        value: Anything that has a wire form, and is small.
        transient: Whether a later report makes this one needless: a client that reads slowly
            gets the newest alone.

    Raises:
        SerializationError: The value has no wire form.
        TooLarge: The value is too large to travel beside commands.
    """
    current = _reporter
    if current is not None:
        current(value, transient=transient)


@contextmanager
def reporting(reporter: Reporter) -> Generator[None]:
    """Send what is reported to this reporter, for as long as this lasts."""
    global _reporter  # noqa: PLW0603 - there is one GPU thread, and one command in it
    before, _reporter = _reporter, reporter
    try:
        yield
    finally:
        _reporter = before

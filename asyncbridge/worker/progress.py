"""What a command's code tells of its progress while it runs."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Reporter", "Reporting", "report"]


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


class Reporting:
    """Sends what is reported to a reporter, for as long as this lasts."""

    __slots__ = ("_before", "_reporter")

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def __enter__(self) -> None:
        global _reporter
        self._before, _reporter = _reporter, self._reporter

    def __exit__(self, *_: object) -> None:
        global _reporter  # noqa: PLW0603 - there is one GPU thread, and one command in it
        _reporter = self._before

"""Errors of commands: which they are about, and why."""

from __future__ import annotations

from asyncbridge.errors import (
    CommandDropped,
    DeadlockError,
    DecisionError,
    ResultExpired,
    UnknownCommand,
)


def test_they_name_the_command() -> None:
    """As data, beside the text."""
    dropped = CommandDropped("dropped", error_id="e-1", because=17)
    assert (str(dropped), dropped.error_id, dropped.because) == ("dropped", "e-1", 17)
    expired = ResultExpired("gone", command=3, reason="delivered")
    assert (str(expired), expired.command, expired.reason) == ("gone", 3, "delivered")


def test_python_s_own_way_to_catch_them() -> None:
    """An error of ours is of the built-in type that would be raised in its place."""
    assert issubclass(UnknownCommand, LookupError)
    assert issubclass(DecisionError, ValueError)
    assert issubclass(DeadlockError, RuntimeError)

"""Errors of names and objects in the worker."""

from __future__ import annotations

import pytest

from asyncbridge.errors import AsyncBridgeError, InUse, NameTaken, StaleReference


def test_a_stale_reference_says_what_it_referred_to() -> None:
    """And when the worker ended that had it."""
    error = StaleReference("gone", number=7, incarnation="ab", died_at=1.5, reason="it was killed")
    assert str(error) == "gone"
    assert (error.number, error.incarnation, error.died_at) == (7, "ab", 1.5)
    assert error.reason == "it was killed"


def test_a_reference_that_was_released_knows_of_no_death() -> None:
    """Nor of more than it is told."""
    error = StaleReference("gone", reason="released")
    assert (error.number, error.incarnation, error.died_at) == (0, "", None)


def test_who_has_the_name_is_told() -> None:
    """Beside the name."""
    error = NameTaken("taken", name="model", owner="night")
    assert (str(error), error.name, error.owner) == ("taken", "model", "night")


def test_whoever_holds_a_thing_is_told() -> None:
    """In the order that they were given in."""
    error = InUse("held", name="model", holders=("b", "a"))
    assert (str(error), error.name, error.holders) == ("held", "model", ("b", "a"))


@pytest.mark.parametrize(
    ("kind", "caught"),
    [(StaleReference, ReferenceError), (NameTaken, ValueError), (InUse, RuntimeError)],
)
def test_python_s_own_way_to_catch_it(
    kind: type[AsyncBridgeError], caught: type[Exception]
) -> None:
    """An error of ours is of the built-in type that would be raised in its place."""
    assert issubclass(kind, caught)

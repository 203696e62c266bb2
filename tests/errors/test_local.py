"""Errors of this side: what catches them, and where they say that something is."""

from __future__ import annotations

import pytest

from asyncbridge.errors import (
    AsyncBridgeError,
    BridgeClosed,
    CodegenError,
    DecodeError,
    Detached,
    IdentifierError,
    SerializationError,
    TooLarge,
    WrongLoopError,
)


@pytest.mark.parametrize("kind", [SerializationError, TooLarge])
def test_the_place_in_a_value_comes_first(kind: type[SerializationError | TooLarge]) -> None:
    """Where there is one."""
    error = kind("no form", path='bindings["x"][3]')
    assert (str(error), error.path) == ('bindings["x"][3]: no form', 'bindings["x"][3]')
    assert (str(kind("no form")), kind("no form").path) == ("no form", "")


@pytest.mark.parametrize(
    ("kind", "caught"),
    [
        (WrongLoopError, RuntimeError),
        (CodegenError, ValueError),
        (IdentifierError, CodegenError),
        (SerializationError, TypeError),
        (DecodeError, ValueError),
        (TooLarge, ValueError),
        (Detached, BridgeClosed),
    ],
)
def test_python_s_own_way_to_catch_it(
    kind: type[AsyncBridgeError], caught: type[Exception]
) -> None:
    """An error of ours is of the built-in type that would be raised in its place."""
    assert issubclass(kind, caught)


def test_who_has_left_knows_its_command() -> None:
    """By its id there."""
    assert Detached("left", command=3).command == 3

"""Data that is frozen for type checkers, and made fast."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace

import pytest

from asyncbridge.protocol.messages import Command
from asyncbridge.protocol.records import record


@record
class Point:
    """Something with fields."""

    x: int
    y: int = 0


def test_a_record_is_like_any_frozen_data() -> None:
    """It is equal by its fields, hashed by them, copied, pickled, and has no dict."""
    point = Point(x=1)
    assert point == Point(x=1, y=0) != Point(x=2)
    assert len({point, Point(x=1)}) == 1
    assert replace(point, y=3) == Point(x=1, y=3)
    assert repr(point) == "Point(x=1, y=0)"
    assert [field.name for field in fields(Point)] == ["x", "y"]
    assert not hasattr(point, "__dict__")
    command = Command(id=1, code="1")
    assert pickle.loads(pickle.dumps(command)) == command


def test_fields_are_given_by_name() -> None:
    """A place says nothing of which field is meant."""
    with pytest.raises(TypeError, match="positional"):
        Point(1)  # type: ignore[call-arg]  # the test's subject

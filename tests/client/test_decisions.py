from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from asyncbridge.client.decisions import write_decision
from asyncbridge.client.halts import Written
from asyncbridge.codegen import Name
from asyncbridge.decisions import Decision, DropQueue, Ignore, Raise, Replace, Retry
from asyncbridge.protocol.messages import Decide, Payload
from asyncbridge.serialization.codec import decode
from asyncbridge.serialization.frames import pack, unpack


def read(values: Payload | None) -> Any:
    """Return what a decision brings, as the worker reads it."""
    message = Decide(number=1, error="e-1", kind="ignore", values=values)
    (received,) = unpack(pack([message]))
    assert isinstance(received, Decide)
    assert received.values is not None
    return decode(received.values)


@pytest.mark.parametrize(
    ("decision", "written"),
    [
        (None, Written(kind="raise")),
        (Raise(), Written(kind="raise")),
        (DropQueue(), Written(kind="drop")),
        (Ignore(), Written(kind="ignore")),
        (Replace("1"), Written(kind="replace", code="1")),
        (Replace(Name("a")), Written(kind="replace", code="a")),
        (Replace("1", {}), Written(kind="replace", code="1")),
        (Retry(), Written(kind="retry")),
        (Retry(code=""), Written(kind="retry", code="")),
    ],
    ids=repr,
)
def test_decisions_without_values(decision: Decision | None, written: Written) -> None:
    """None is ``Raise()``; code is text, from whatever it is."""
    assert write_decision(decision) == written


@pytest.mark.parametrize(
    ("decision", "value"),
    [
        (Ignore([1]), [1]),
        (Replace("a", {"a": 1}), {"a": 1}),
        (Retry(bindings={"a": None}), {"a": None}),
    ],
    ids=repr,
)
def test_decisions_with_values(decision: Decision, value: object) -> None:
    """A value, or bindings, in wire form."""
    assert read(write_decision(decision).values) == value


def test_values_are_copied() -> None:
    """What the app does with an array afterwards is its own affair."""
    array = np.ones(3)
    values = write_decision(Ignore(array)).values
    array[:] = 7
    assert np.array_equal(read(values), np.ones(3))

"""What refers to an object: also what the garbage collector does not tell of."""

from __future__ import annotations

import gc
import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest

from asyncbridge.worker.referrers import Known, Link, is_ours, locals_of


def referrers(value: object) -> list[object]:
    """Return what refers to a value."""
    return [holder for holder, _ in Known({}).referrers([Link(value)])]


@pytest.mark.parametrize("make", [lambda v: {"x": v}, lambda v: (1, v)])
def test_what_is_not_tracked(make: Any) -> None:
    """The collector leaves a dict or a tuple of an array alone; it is found where it stands."""
    value = np.zeros(3)
    holder = [make(value)]
    gc.collect()
    assert any(each is holder[0] for each in referrers(value))


def test_each_goes_with_what_it_refers_to() -> None:
    """One holder of several comes once for each."""
    one, two = [1], [2]
    pair = (one, two, one)
    found = Known({}).referrers([Link(one, "one"), Link(two, "two")])
    assert [link.rest for holder, link in found if holder is pair] == ["one", "two"]


def test_the_walk_is_no_referrer() -> None:
    """What it is done with refers to the object, and is left out."""
    value = [1]
    links = [Link(value), Link(value)]
    assert list(Known({}).referrers(links[:1])) == []


def frames() -> tuple[Any, FrameType]:
    """Return a value and the frame of a function that has it."""

    def inner(x: object) -> Any:
        y = [x]
        yield sys._getframe()
        yield y

    value = [1]
    generator = inner(value)
    return (generator, value), next(generator)


def test_variables_are_read_and_not_kept() -> None:
    """They are told by name; to read them leaves no reference behind."""
    (generator, value), frame = frames()
    before = sys.getrefcount(value)
    found = dict(locals_of(frame))
    assert found["x"] is value
    assert found["y"] == [value]
    del found
    assert sys.getrefcount(value) == before
    assert next(generator) == [value]


def test_a_copy_that_the_code_has_is_left() -> None:
    """What a function has from ``locals()`` stays as it is."""

    def inner(x: int) -> Any:
        mine = locals()
        yield sys._getframe()
        yield mine

    generator = inner(3)
    assert dict(locals_of(next(generator)))["x"] == 3
    assert next(generator)["x"] == 3


def test_a_modules_frame_has_no_variables() -> None:
    """Its names are those of its module."""
    scope: dict[str, Any] = {"sys": sys}
    exec("frame = sys._getframe()", scope)
    assert locals_of(scope["frame"]) == []


def test_frames_of_the_calling_thread() -> None:
    """They are those on its stack."""
    assert is_ours(sys._getframe())
    assert not is_ours(frames()[1])

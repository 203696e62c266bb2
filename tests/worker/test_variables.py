"""Variables by short repr: which, how short, and that no repr can do harm."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

from asyncbridge.worker.reprs import FAILED
from asyncbridge.worker.variables import (
    FRAMES_READ,
    TOO_LATE,
    VARIABLE_LIMIT,
    Variables,
)


def frame_of(**values: Any) -> FrameType:
    """Return the frame of a function that has these variables."""
    scope: dict[str, Any] = {"sys": sys}
    lines = "".join(f"    {name} = given[{name!r}]\n" for name in values)
    exec(f"def f(given):\n{lines}    del given\n    return sys._getframe()", scope)
    frame: FrameType = scope["f"](values)
    return frame


def read(**values: Any) -> dict[str, str]:
    """Return what is told of these variables."""
    return Variables({}, seconds=30).of([frame_of(**values)])[0]


def test_variables_are_told_by_short_reprs() -> None:
    """In the order of the code; modules, functions and classes say nothing."""
    assert read(x=1, text="a" * 10_000, module=sys, kind=int, f=read, d={"k": [1, 2]}) == {
        "x": "1",
        "text": f"'{'a' * 77}...{'a' * 78}'",
        "d": "{'k': [1, 2]}",
    }


def test_the_code_s_own_names_of_the_shared_scope() -> None:
    """A command tells those that it names, not all that other commands have set."""
    scope: dict[str, Any] = {"sys": sys, "x": 1, "secret": 2}
    exec("y = x + 1\nframe = sys._getframe()", scope)
    told = Variables({}, seconds=30).of([scope["frame"]])[0]
    assert {name: told[name] for name in ("x", "y")} == {"x": "1", "y": "2"}
    assert "secret" not in told


def test_bindings_that_are_gone_again() -> None:
    """They are told as they were when the code ended."""
    scope: dict[str, Any] = {"sys": sys, "x": "another's"}
    exec("frame = sys._getframe(), x", scope)
    frame = scope["frame"][0]
    assert Variables({"x": "its own"}, seconds=30).of([frame])[0]["x"] == "'its own'"


class Hostile:
    """Does in its repr whatever it is told to."""

    def __init__(self, act: Any) -> None:
        self.act = act

    def __repr__(self) -> Any:
        return self.act()


def leave() -> None:
    """Raise what ends a program."""
    raise SystemExit


def test_reprs_that_fail() -> None:
    """They are named; the others are told."""
    told = read(a=Hostile(leave), b=10**5000, c=1, d=Hostile(lambda: 3))
    assert told == {"a": FAILED, "b": FAILED, "c": "1", "d": FAILED}


def test_a_repr_that_takes_for_ever_is_left() -> None:
    """It is interrupted, and what comes behind it is not told."""
    entered, left = threading.Event(), threading.Event()

    def forever() -> None:
        entered.set()
        try:
            while True:
                pass
        finally:
            left.set()

    frame = frame_of(a=1, b=Hostile(forever), c=3)
    assert Variables({}, seconds=0.2).of([frame])[0] == {"a": "1", "b": TOO_LATE, "c": TOO_LATE}
    assert entered.is_set()
    assert left.wait(30)


def test_bounds() -> None:
    """Of many variables some, and of many frames the innermost."""
    many = frame_of(**{f"v{n}": n for n in range(100)})
    told = Variables({}, seconds=30).of([many] * 100)
    assert len(told) == 100
    assert [len(values) for values in told] == [0] * (100 - FRAMES_READ) + [
        VARIABLE_LIMIT
    ] * FRAMES_READ


def test_a_class_body_is_not_looked_at() -> None:
    """Its variables may be any mapping, with methods of its own."""

    class Scope(dict[str, Any]):
        pass

    scope = Scope(sys=sys)
    exec("x = 1\nframe = sys._getframe()", {"sys": sys}, scope)
    assert Variables({}).of([scope["frame"]]) == [{}]

"""From arguments to code and bindings."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import pytest

from asyncbridge.codegen import Name, render
from asyncbridge.references import Binding
from asyncbridge.references.code import RemoteCode, show, show_key

if TYPE_CHECKING:
    from tests.references.conftest import Home


class Flag(IntEnum):
    ON = 1


@pytest.mark.parametrize("value", [None, ..., True, 0, -3, 2**63, 1.5, "", "text", "x" * 60])
def test_what_stands_in_the_code(value: object, home: Home) -> None:
    """What a reader would write out himself."""
    code = RemoteCode(home)
    assert eval(render(code.value(value))) == value
    assert code.bindings == {}


@pytest.mark.parametrize(
    "value", [2**64, math.inf, math.nan, "x" * 61, b"x", 1j, (1,), [1], Flag.ON, np.float64(1), np.int8]
)  # fmt: skip
def test_what_travels_as_a_binding(value: object, home: Home) -> None:
    """What is long, or not exactly that: a subclass is not what its literal says."""
    code = RemoteCode(home)
    name = render(code.value(value))
    assert list(code.bindings) == [name]
    assert code.bindings[name] is value


def test_one_binding_for_one_object(home: Home) -> None:
    """However often it is used; an equal one is another."""
    code, rows = RemoteCode(home), [1]
    names = [render(code.bound(each)) for each in (rows, rows, [1])]
    assert names[0] == names[1] != names[2]
    assert [*code.bindings.values()] == [rows, [1]]


def test_commands_of_a_kind_have_one_code(home: Home) -> None:
    """The names of bindings come again with the next command, so the worker compiles it once."""
    codes = [RemoteCode(home), RemoteCode(home)]
    assert len({render(code.bound([1], "rows")) for code in codes}) == 1


def test_a_binding_stands_by_its_name(home: Home) -> None:
    """It is in the namespace already."""
    code = RemoteCode(home)
    assert (
        render(code.call(Name("f"), (Binding("x", "eternal"), 1), {"y": 2}, "f")) == "f(x, 1, y=2)"
    )
    assert code.bindings == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        ("a", "'a'"),
        (slice(1, None), "1:"),
        (slice(None, None, 2), "::2"),
        ((1, 2), "(1, 2)"),
        ((), "()"),
        (([1],), "(<list>,)"),
        ([1], "<list>"),
        (Binding("x", "eternal"), "x"),
        (Binding("x", "eternal")[0], "x[0]"),
        ("y" * 60, "'yyyyyyyyyyyyyyyyyyyy..."),
    ],
)
def test_labels(value: object, text: str) -> None:
    """They are short, and tell plain values alone."""
    assert show(value) == text


@pytest.mark.parametrize(
    ("key", "text"),
    [(1, "1"), ((1, slice(None)), "1, :"), ((1,), "1,"), ((), "()"), (slice(1, None), "1:")],
)
def test_labels_of_keys(key: object, text: str) -> None:
    """As they stand between brackets."""
    assert show_key(key) == text

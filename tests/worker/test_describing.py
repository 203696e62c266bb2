"""What is told of an object: its class, a short text, its bytes."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from asyncbridge.worker.describing import Description, describe
from asyncbridge.worker.reprs import FAILED, REPR_LIMIT


class User:
    """Somebody's class."""


NAME = f"{__name__}.User"


def test_objects() -> None:
    """They are told by their class and Python's repr of them."""
    user = User()
    told = describe(user)
    assert told == Description(kind=NAME, text=repr(user), size=sys.getsizeof(user))
    assert told.short == "User"
    assert (told.whole, told.device) == (True, "")


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (3, "int", "3"),
        ({"a": [1]}, "dict", "{'a': [1]}"),
        (np.zeros((150, 4), np.float32), "numpy.ndarray", "float32 (150, 4)"),
        (np.zeros(()), "numpy.ndarray", "float64 ()"),
        (np.float32(2), "numpy.float32", "np.float32(2.0)"),
        ([np.zeros(3), 1], "list", "[float64 (3,), 1]"),
        ({"x": np.zeros(3)}, "dict", "{'x': float64 (3,)}"),
        (pd.Series([1.0]), "pandas.Series", "float64 (1,)"),
        (sparse.csr_array((2, 2)), "scipy.sparse._csr.csr_array", "float64 (2, 2)"),
    ],
)
def test_texts(value: object, kind: str, text: str) -> None:
    """Arrays and the like are told by dtype and shape, also inside of containers."""
    told = describe(value)
    assert (told.kind, told.text) == (kind, text)


def test_data_is_not_looked_at() -> None:
    """Not even of an array whose items have a repr of their own."""

    class Hostile:
        def __repr__(self) -> str:
            raise AssertionError

    assert describe(np.array([Hostile()])).text == "object (1,)"


def test_reprs_that_fail() -> None:
    """They are named; the rest is told."""

    class Hostile:
        def __repr__(self) -> str:
            raise SystemExit

    def refuse(_cls: object) -> None:
        raise SystemExit

    metaclass = type("Meta", (type,), {"__repr__": property(refuse)})
    assert describe(Hostile()).text == FAILED
    assert describe(Hostile()).size == sys.getsizeof(Hostile())
    assert describe(metaclass("Odd", (), {})()).text == FAILED


def test_long_texts_are_cut() -> None:
    """To one line of so many bytes, of long names of classes, too."""
    made = type("é" * 1000, (), {})()
    assert len(describe(made).text.encode()) <= REPR_LIMIT
    assert len(describe(list(range(10**6))).text) <= REPR_LIMIT
    assert not describe(list(range(10**6))).whole


def test_brief() -> None:
    """Without the text nothing of the class's own is asked."""

    class Hostile:
        def __repr__(self) -> str:
            raise AssertionError

    assert describe(Hostile(), brief=True).text == ""
    assert describe(np.zeros(3), brief=True).size == 24

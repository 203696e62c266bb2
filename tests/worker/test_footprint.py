"""Bytes of values; the frameworks' own are under models/."""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from asyncbridge.worker.footprint import PART_LIMIT, device_memory, size_of, trim, weigh
from asyncbridge.worker.memory import resident_bytes

BASE = np.zeros(1000)


@pytest.mark.parametrize("value", [None, True, 7, 10**100, 1.5, "text", b"1234", object(), len])
def test_plain_objects(value: object) -> None:
    """They weigh what Python says."""
    assert weigh(value) == (sys.getsizeof(value), True)


@pytest.mark.parametrize(
    ("array", "size"),
    [(BASE, 8000), (BASE[:10], 80), (BASE.reshape(10, 100).T, 8000), (np.zeros(0), 0)],
)
def test_arrays(array: object, size: int) -> None:
    """They weigh their data, a view its own part of it."""
    assert weigh(array) == (size, True)


def test_arrays_of_objects() -> None:
    """They weigh what they refer by, and that is not all."""
    assert weigh(np.array([{}, []], dtype=object)) == (16, False)


def test_containers() -> None:
    """They weigh what is in them, too; what stands in several places counts once."""
    rows: list[Any] = [BASE, BASE, (BASE,), {"x": BASE}]
    parts = (rows, rows[2], rows[3], "x")
    assert size_of(rows) == 8000 + sum(sys.getsizeof(part) for part in parts)
    rows.append(rows)
    assert weigh(rows).whole


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, deque])
def test_kinds_of_containers(kind: Any) -> None:
    """Each weighs more than by itself; so do those that are derived from it."""
    items = [10**100 + number for number in range(10)]
    own = type("Own", (kind,), {"__iter__": None})
    for made in (kind(items), own(items)):
        expected = sys.getsizeof(made) + sum(sys.getsizeof(item) for item in items)
        assert weigh(made) == (expected, True)


def test_kinds_of_dicts() -> None:
    """Keys and values count, also of derived ones."""
    made = OrderedDict([("key", BASE)])
    assert size_of(made) == sys.getsizeof(made) + sys.getsizeof("key") + 8000


def test_many_parts() -> None:
    """Past a number of them the weight is what it is at least."""
    few, many = list(range(PART_LIMIT // 2)), list(range(PART_LIMIT))
    assert weigh(few).whole
    assert not weigh(many).whole
    assert weigh(many).size > sys.getsizeof(many)
    assert not weigh([None] * PART_LIMIT).whole


def test_deep_containers() -> None:
    """Depth is no matter."""
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    assert weigh(deep).whole
    while deep:  # from the outside, or Python would end them one within another
        deep = deep[0]


def test_tables() -> None:
    """Data frames weigh their columns and their index."""
    frame: Any = pd.DataFrame({"a": np.zeros(100), "b": np.zeros(100, np.float32)})
    assert size_of(frame) == int(frame.memory_usage().sum()) >= 1200
    assert size_of(frame["a"]) == int(frame["a"].memory_usage()) >= 800
    assert size_of(pd.Index(np.arange(100))) == 800


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia"])
def test_sparse_arrays(form: str) -> None:
    """They weigh the arrays that they are made of."""
    made: Any = sparse.coo_array(np.eye(100)).asformat(form)
    names = ("data", "indices", "indptr", "coords", "offsets")
    arrays = [getattr(made, name) for name in names if hasattr(made, name)]
    data = sum(part.nbytes for each in arrays for part in (each if type(each) is tuple else [each]))
    assert data <= size_of(made) <= data + 2000


def test_sizes_that_fail() -> None:
    """What its class makes of it does not matter."""

    class Odd:
        def __sizeof__(self) -> int:
            raise SystemExit

    def refuse(_self: object) -> None:
        raise SystemExit

    rows = type("Rows", (pd.DataFrame,), {"memory_usage": refuse})
    assert weigh([Odd()]).size > 0
    assert not weigh(rows({"a": [1]})).whole


def test_no_device_without_a_framework() -> None:
    """A process that has imported none has no device."""
    assert device_memory() == []


def test_trim() -> None:
    """What cycles keep is given up; memory is told before and after."""

    class Cycle:
        def __del__(self) -> None:
            gone.append(1)

    gone: list[int] = []
    cycle: Any = Cycle()
    cycle.me = cycle
    del cycle
    before, after = trim()
    assert gone == [1]
    assert before > 0
    assert 0 < after <= 2 * resident_bytes()

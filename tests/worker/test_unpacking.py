from __future__ import annotations

import pytest

from asyncbridge.worker.records import Record, Unmovable
from asyncbridge.worker.unpacking import Unpacking


def test_each_is_made_once() -> None:
    """And only when it is asked for."""
    broken = {"kind": "module", "name": "no.such.module"}
    unpacking = Unpacking(
        [{"kind": "list", "items": [(1,), 2]}, {"kind": "list", "plain": []}, broken]
    )
    made = unpacking.value((0,))
    assert made == [[], 2]
    assert unpacking.get(1) is made[0]
    assert unpacking.value("text") == "text"
    assert unpacking.failures == {}


def test_a_failure_is_remembered() -> None:
    """Whatever needs what failed fails by the same reason."""
    table: list[Record | None] = [
        {"kind": "tuple", "items": [(1,)]},
        {"kind": "module", "name": "no_such_module"},
    ]
    unpacking = Unpacking(table)
    for number in (0, 1, 0):
        with pytest.raises(
            Unmovable, match="ModuleNotFoundError: No module named 'no_such_module'"
        ):
            unpacking.get(number)
    assert set(unpacking.failures) == {0, 1}


def test_a_name_that_is_gone() -> None:
    """A module that has changed meanwhile is a reason."""
    with pytest.raises(Unmovable, match="no_such_function"):
        Unpacking([{"kind": "name", "module": "json", "name": "no_such_function"}]).get(0)

from __future__ import annotations

import pytest

from asyncbridge.worker.records import Unmovable, is_ref, reached, refs, told


def test_refs() -> None:
    """A tuple names another record, in lists and in dicts of a record, too, but not in data."""
    record = {
        "kind": "k",
        "owner": (3,),
        "items": [1, (4,), "a"],
        "state": {"parts": [(5,)], "arrays": {"0": (6,)}},
        "config": {"shape": (7,)},
        "value": (8,),
        "plain": [(9,)],
    }
    assert list(refs(record)) == [3, 4, 5]
    assert is_ref((3,))
    assert not is_ref([3])


def test_reached() -> None:
    """All that an item leads to, once, and through circles."""
    records = [{"items": [(1,)]}, {"items": [(0,), (2,)]}, {}, {"items": [(0,)]}]
    assert reached(records, [(0,), "text"]) == {0, 1, 2}
    assert reached(records, ["text"]) == set()


def test_told() -> None:
    """An error of ours is its text, another's has its type, and long ones are cut."""
    assert told(Unmovable("make it anew")) == "make it anew"
    assert told(KeyError("a")) == "KeyError: 'a'"
    assert len(told(ValueError("x" * 10_000))) < 600


def test_no_memory() -> None:
    """That memory ran out is no reason of one object's."""
    with pytest.raises(MemoryError):
        told(MemoryError())

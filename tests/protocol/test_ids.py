"""Ids that come once each, though some overtake others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.protocol.ids import Ids


def test_ids_rise() -> None:
    """One that was there, or was left out, does not come any more."""
    ids = Ids()
    assert [ids.take(number) for number in (1, 2, 5)] == [True, True, True]
    assert [ids.take(number) for number in (1, 2, 3, 4, 5)] == [False] * 5
    assert ids.newest == 5


def test_what_was_overtaken_may_come() -> None:
    """From the lowest id on that the overtaking one names, each once."""
    ids = Ids()
    assert ids.take(9, overtakes=4)
    assert not ids.take(3)
    assert ids.take(7, overtakes=4)
    assert [ids.take(number) for number in (4, 4, 5, 7, 6, 8, 9, 10)] == [
        True, False, True, False, True, True, False, True
    ]  # fmt: skip


def test_gaps_are_forgotten() -> None:
    """One that overtakes nothing closes all gaps below it."""
    ids = Ids()
    ids.take(2**60, overtakes=1)
    assert ids.take(5)
    assert not ids.take(4)
    assert ids.take(2**60 + 1)
    assert not ids.take(6)


@given(st.permutations(range(1, 12)), st.sets(st.integers(1, 11)))
def test_any_order(order: list[int], cancelled: set[int]) -> None:
    """A client that names the lowest one left may send in any order; nothing comes twice."""
    ids = Ids()
    left = [number for number in order if number not in cancelled]
    while left:
        number = left.pop(0)
        assert ids.take(number, min([n for n in left if n < number], default=0))
        assert not ids.take(number)
    assert not any(ids.take(number) for number in order if number not in cancelled)

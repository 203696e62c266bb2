"""Used ids: what was used stays used, in little memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.protocol.used import UsedIds


@given(st.lists(st.integers(1, 40), unique=True))
def test_an_id_is_used_once_it_was_added(ids: list[int]) -> None:
    """In whatever order they come, those that came are used, and no others."""
    used = UsedIds()
    for command_id in ids:
        assert command_id not in used
        used.add(command_id, overtakes=1)
    assert {number for number in range(1, 50) if number in used} == set(ids)
    assert used.newest == max(ids, default=0)
    assert used.gaps == sum(number - 1 not in {0, *ids} for number in ids)


def test_ids_below_one_are_used() -> None:
    """No command can have them, once there was one."""
    used = UsedIds()
    used.add(1)
    assert 0 in used
    assert -3 in used


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), max_size=20))
def test_what_is_below_the_lowest_that_may_come_counts_as_used(
    steps: list[tuple[int, int]],
) -> None:
    """A command that has overtaken nothing closes all gaps below it."""
    used, closed = UsedIds(), set[int]()
    for command_id, overtakes in steps:
        assert (command_id in used) == (command_id in closed)
        if command_id in used:
            continue
        used.add(command_id, overtakes)
        closed |= {command_id, *range(1, overtakes or command_id)} - set(range(used.newest + 1, 99))
    assert {number for number in range(1, used.newest + 1) if number in used} == closed


def test_the_lowest_gap_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past so many gaps the lowest counts as used; the others are known still."""
    monkeypatch.setattr("asyncbridge.protocol.used.GAPS_KEPT", 100)
    used = UsedIds()
    for number in range(101):
        used.add(2 * number + 2, overtakes=1)
    assert 1 in used
    assert 3 not in used
    assert len(used._starts) == 100

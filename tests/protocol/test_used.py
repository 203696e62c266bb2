"""Used ids: what was used stays used, in little memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.protocol.used import GAPS_KEPT, UsedIds


@given(st.lists(st.integers(1, 40), unique=True))
def test_an_id_is_used_once_it_was_added(ids: list[int]) -> None:
    """In whatever order they come, those that came are used, and no others."""
    used = UsedIds()
    for command_id in ids:
        assert command_id not in used
        used.add(command_id)
    assert {number for number in range(1, 50) if number in used} == set(ids)
    assert used.newest == max(ids, default=0)


def test_ids_below_one_are_used() -> None:
    """No command can have them, once there was one."""
    used = UsedIds()
    used.add(1)
    assert 0 in used
    assert -3 in used


def test_the_lowest_gap_is_forgotten() -> None:
    """Past so many gaps the lowest counts as used; the others are known still."""
    used = UsedIds()
    for number in range(GAPS_KEPT + 1):
        used.add(2 * number + 2)
    assert 1 in used
    assert 3 not in used
    assert len(used._starts) == GAPS_KEPT

"""``async for`` over what is in the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge.references.iteration import MOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.references.conftest import Home

pytestmark = pytest.mark.asyncio


def counts(home: Home) -> list[int]:
    """Return how many items each command asked for."""
    asked = [code for code in home.codes if code.startswith("iteration.take")]
    return [int(code.partition("(")[2].rstrip(")")) for code in asked]


async def test_all_items_in_order(home: Home) -> None:
    """They are asked for in groups that grow, up to a limit."""
    items = [item async for item in home.reference(range(200))]
    assert items == list(range(200))
    assert counts(home) == [1, 1, 2, 4, 8, 16, 32, 64, 64, 64]
    assert max(counts(home)) == MOST
    assert home.sent[0].name == "iter(range)"
    assert home.sent[0].keep


async def test_an_end_that_is_left(home: Home) -> None:
    """What was asked for in vain is at most as much as was used; the iterator goes."""
    taken = list[int]()
    async for item in home.reference(iter(range(100))):
        taken.append(item)
        if item == 4:
            break
    assert taken == [0, 1, 2, 3, 4]
    assert sum(counts(home)) <= 2 * len(taken)


@pytest.mark.parametrize("length", [0, 1, 2])
async def test_short_ones(home: Home, length: int) -> None:
    """And ones with nothing in them."""
    assert [item async for item in home.reference("x" * length)] == ["x"] * length


async def test_an_error_between_items(home: Home) -> None:
    """What came before it is not lost; the iteration is over with it."""

    def failing() -> Iterator[int]:
        yield from range(5)
        raise ValueError("no more")

    seen = list[int]()
    with pytest.raises(ValueError, match="no more"):
        async for item in home.reference(failing()):
            seen.append(item)
    assert seen == [0, 1, 2, 3, 4]


async def test_what_is_not_iterable(home: Home) -> None:
    """The worker's error says so, at the first item."""
    with pytest.raises(TypeError, match="'int' object is not iterable"):
        async for _ in home.reference(3):
            raise AssertionError


async def test_two_at_once(home: Home) -> None:
    """Each ``async for`` makes an iterator of its own."""
    letters = home.reference("ab")
    pairs = [one + other async for one in letters async for other in letters]
    assert pairs == ["aa", "ab", "ba", "bb"]

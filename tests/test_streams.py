from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from asyncbridge.streams import stream


def numbers() -> Iterator[int]:
    """Give two numbers."""
    yield from (1, 2)


async def numbers_later() -> AsyncIterator[int]:
    """Give one, asynchronously."""
    yield 1


def test_a_list_of_chunks_has_a_length() -> None:
    """And begins anew in each turn."""
    made = stream([1, 2, 3])
    assert (made.steps, made.restarts, made.is_asynchronous) == (3, True, False)
    assert made.describe() == {"steps": 3, "restarts": True, "floats": False}


def test_a_list_that_is_cut_anew_has_none() -> None:
    """How many batches come of it is seen at its end."""
    assert stream([[1, 2], [3]], batch_size=2).steps is None


def test_a_generator_is_good_for_one_turn() -> None:
    """There is nothing to begin it anew by."""
    assert not stream(numbers()).restarts
    assert not stream(numbers_later()).restarts


def test_a_function_begins_anew() -> None:
    """It is called for each turn."""
    made = stream(numbers, steps=2)
    assert (made.restarts, made.steps, made.is_asynchronous) == (True, 2, None)
    assert [list(made.begin()), list(made.begin())] == [[1, 2], [1, 2]]  # type: ignore[arg-type]


def test_a_function_returns_what_can_be_gone_through() -> None:
    """Anything else is named."""
    with pytest.raises(TypeError, match="can be iterated over, not int"):
        stream(lambda: 3).begin()  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    "source",
    [3, "text", b"bytes", {"x": 1}, np.zeros(3), (np.zeros(3), np.zeros(3))],
)
def test_what_gives_no_batches_is_refused(source: object) -> None:
    """Arrays are data, and no sequence of batches."""
    with pytest.raises(TypeError, match="stream\\(\\) takes"):
        stream(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [np.zeros(3), (np.zeros(3), np.zeros(3))])
def test_one_batch_is_told_how_to_be_passed(source: Any) -> None:
    """As it is, or in a list."""
    with pytest.raises(TypeError, match=r"pass .* as .*, fit\(x, y\), or .*stream\(\[\(x, y\)\]"):
        stream(source)


def test_numbers_are_checked() -> None:
    """At once, and by name."""
    with pytest.raises(ValueError, match="batch_size= is a positive number, not 0"):
        stream([], batch_size=0)
    with pytest.raises(TypeError, match="steps= is a whole number, not 1.5"):
        stream([], steps=1.5)  # type: ignore[arg-type]


def test_its_repr_names_the_kind() -> None:
    """It shows none of the data."""
    assert repr(stream([1, 2])) == "<Stream of list steps=2>"
    assert repr(stream(numbers)) == "<Stream of function>"


def used(source: Any) -> Any:
    """Return a source that has come to its end."""
    list(source)
    return source


@pytest.mark.parametrize(
    "make", [lambda: iter([1]), lambda: (x for x in [1]), lambda: map(int, "1")]
)
def test_what_is_good_for_one_turn(make: Callable[[], Any]) -> None:
    """A second one is refused: it would be empty, without a word."""
    once = stream(make())
    assert list(once.begin()) == [1]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is used up: make a new one, or pass a function"):
        once.begin()


def test_a_generator_that_was_used_elsewhere() -> None:
    """It is refused at its first turn; a function that makes one is good for any."""
    with pytest.raises(ValueError, match="this generator is used up"):
        stream(used(x for x in [1])).begin()
    often = stream(lambda: iter([1]))
    assert [list(often.begin()) for _ in range(2)] == [[1], [1]]  # type: ignore[arg-type]

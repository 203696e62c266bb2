"""Bytes that stand for nothing: refused where they leave, and where they arrive, by their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.serialization import encode
from asyncbridge.serialization.codec import draft
from asyncbridge.serialization.contents import check_content, may_be_wrong
from asyncbridge.serialization.deferred import DEFERRED_ABOVE
from asyncbridge.serialization.drafts import Draft
from asyncbridge.serialization.walk import Refused

LARGE = DEFERRED_ABOVE + 100
PAIR = np.dtype([("name", "U2"), ("flags", [("f", "?", (2,)), ("n", "i4")])])


def wrong_bools(*shape: int, order: Any = "C") -> Any:
    """Return bools of which one, at the end of the first row, has the byte 2."""
    raw = np.zeros(shape, np.uint8, order=order)
    raw[(0,) * (raw.ndim - 1) + (-1,)] = 2
    return raw.view(np.bool_)


def wrong_text(count: int, dtype: str = "<U3") -> Any:
    """Return texts of which the one at 1 has a character beyond Unicode."""
    texts = np.full(count, "abc", dtype)
    texts.view(f"{dtype[0]}u4")[4] = 0x110000
    return texts


def wrong_pairs(count: int) -> Any:
    """Return structures of which the one at 3 has a wrong bool, deep inside."""
    pairs = np.zeros(count, PAIR)
    pairs["flags"]["f"].view(np.uint8)[3, 1] = 7
    return pairs


WRONG: dict[str, tuple[Any, str]] = {
    "few bools": (wrong_bools(7), r"bytes 0 and 1 alone for its bools, got 2 at \[6\]"),
    "some bools": (wrong_bools(40, 100), r"got 2 at \[0, 99\]"),
    "by column": (wrong_bools(40, 100, order="F"), r"got 2 at \[0, 99\]"),
    "strided": (wrong_bools(40, 100)[::2, 1::2], r"got 2 at \[0, 49\]"),
    "no dimension": (wrong_bools(1).reshape(()), r"got 2 at \[\]"),
    "many bools": (wrong_bools(3, LARGE), rf"got 2 at \[0, {LARGE - 1}\]"),
    "many, strided": (wrong_bools(2 * LARGE)[1::2], rf"got 2 at \[{LARGE - 1}\]"),
    "text": (wrong_text(5), r"code points of Unicode for its text, got 1114112 at \[1\]"),
    "text, big-endian": (wrong_text(5, ">U3"), r"got 1114112 at \[1\]"),
    "text, strided": (wrong_text(6)[1::2], r"got 1114112 at \[0\]"),
    "much text": (wrong_text(LARGE), r"got 1114112 at \[1\]"),
    "structures": (wrong_pairs(5), r"got 7 at \[3, 1\], in the field 'f', in the field 'flags'"),
    "many structures": (wrong_pairs(LARGE), r"got 7 at \[3, 1\], in the field"),
    "one structure": (wrong_pairs(4)[3], r"got 7 at \[1\], in the field"),
}


@pytest.mark.parametrize("name", WRONG)
def test_they_are_refused_before_they_leave(name: str) -> None:
    """With the path of the array, and the place of the element in it."""
    value, text = WRONG[name]
    with pytest.raises(
        SerializationError, match=rf'^v\["x"\]\[1\]: (ndarray|void) of dtype .* has to have.*{text}'
    ):
        encode({"x": [0, value]}, path="v")


@pytest.mark.parametrize("name", ["many bools", "many, strided", "much text", "many structures"])
def test_many_are_looked_at_later(name: str) -> None:
    """Not by the one who sends them; the path is told all the same, also through other types."""
    value, text = WRONG[name]
    made = draft({"x": [0, np.ma.MaskedArray(value)]}, path="v")
    assert isinstance(made, Draft)
    assert not made.is_decided
    with pytest.raises(SerializationError, match=rf'^v\["x"\]\[1\]<masked>\[0\]: .*{text}'):
        made.decided()
    with pytest.raises(SerializationError, match=text):
        draft(value, decided=True)


def test_many_that_are_mended_meanwhile() -> None:
    """The look decides; if the value is sound when the path is looked for, it is told without."""
    value = wrong_bools(LARGE)
    made = draft({"x": value}, path="v")
    assert isinstance(made, Draft)
    assert made.explain is not None
    value[-1] = True
    assert not made.decided().decided().explain
    with pytest.raises(SerializationError, match="^v: again$"):
        raise made.explain(Refused(value, "again", 0))


def test_a_matrix_that_begins_like_a_one_hot_one() -> None:
    """It is looked at for both at once."""
    value = np.zeros((LARGE // 64, 64), np.uint8)
    value[:, 5] = 1
    value[-1, 5] = 2
    made = draft(value.view(np.bool_))
    assert isinstance(made, Draft)
    with pytest.raises(SerializationError, match=rf"^value: .*got 2 at \[{len(value) - 1}, 5\]"):
        made.decided()


@pytest.mark.parametrize("name", WRONG)
def test_they_are_refused_where_they_arrive(name: str) -> None:
    """A peer may not have looked."""
    value, text = WRONG[name]
    with pytest.raises(DecodeError, match=rf"^malformed 'array' value: expected .*{text}"):
        check_content(np.asarray(value), "array")


@pytest.mark.parametrize("count", [0, 5, LARGE])
def test_what_is_sound_goes_as_it_is(wire: Callable[[Any], Any], count: int) -> None:
    """Of all these kinds, in any order in memory."""
    bools = np.arange(count) % 2 == 0
    sound = [bools, bools[::2], np.full(count, "\U0010ffff"), np.zeros(count, PAIR)]
    for value in sound:
        made = draft([value])
        np.testing.assert_array_equal(wire([value])[0], value, strict=True)
        if isinstance(made, Draft):
            assert made.decided().is_decided


@pytest.mark.parametrize(
    ("dtype", "may"),
    [("?", True), ("U1", True), ("S1", False), ("f4", False), ("V3", False), (PAIR, True)],
)
def test_the_dtypes_of_which_that_is_so(dtype: Any, may: bool) -> None:
    """A structure by its fields."""
    assert may_be_wrong(np.dtype(dtype)) is may

"""Values that are written but for large buffers."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import orjson
import pytest

from asyncbridge.errors import SerializationError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.codec import decode, draft, encode
from asyncbridge.serialization.deferred import Undecided, whole
from asyncbridge.serialization.drafts import Draft
from asyncbridge.serialization.split import join, split_draft


def one_hot(rows: int = 2000, columns: int = 300, dtype: str = "f4") -> Any:
    """Make a one-hot matrix."""
    value = np.zeros((rows, columns), dtype)
    value[np.arange(rows), np.arange(rows) * 7 % columns] = 1
    return value


def arrived(made: Payload | Draft) -> Any:
    """Return what the other side makes of a draft."""
    assert isinstance(made, Draft)
    payload, bulk = split_draft(made, prefix="1")
    joined = join(payload, {name: whole(part) for name, part in bulk.items()})
    header = orjson.loads(orjson.dumps(joined.header))
    return decode(Payload(header=header, buffers=joined.buffers))


@pytest.mark.parametrize("value", [None, {}, {"a": [1, 2.5]}, {"x": np.zeros(10**5)}, b"x" * 10**6])
def test_a_value_that_takes_no_time_is_a_payload(value: object) -> None:
    """The same as ever."""
    made = draft(value)
    assert isinstance(made, Payload)
    assert orjson.dumps(made.header) == orjson.dumps(encode(value).header)
    assert made.size == encode(value).size


def test_what_must_be_copied_is_copied_later() -> None:
    """Nothing of the arrays' size is allocated when the value is written."""
    value = {
        "strided": np.arange(10**6)[::2], "big": np.ones((500, 700), ">f4"), "raw": bytearray(10**6),
        "view": memoryview(bytes(10**6))[::2], "small": np.arange(10),
    }  # fmt: skip
    tracemalloc.start()
    try:
        made = draft(value)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert isinstance(made, Draft)
    assert made.is_decided
    assert made.size == encode(value).size
    back = arrived(made)
    for name in ("strided", "big", "small"):
        np.testing.assert_array_equal(back[name], value[name], strict=True)
    assert (back["raw"], back["view"]) == (value["raw"], value["view"])


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_one_hot_matrix_is_looked_through_later(order: Any) -> None:
    """It counts for what it may come to until then, and travels as its columns."""
    value = np.asarray(one_hot(), order=order)
    made = draft([value, "x"])
    assert isinstance(made, Draft)
    assert not made.is_decided
    decided = made.decided()
    assert decided.size == made.size > value.nbytes
    assert sum(len(whole(part)) for part in decided.buffers if not isinstance(part, Undecided)) == (
        2 * len(value)
    )
    np.testing.assert_array_equal(arrived(decided)[0], value, strict=True)


@pytest.mark.parametrize("dtype", ["f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_matrix_that_only_begins_like_one(dtype: str, order: Any) -> None:
    """It is sent as it is, and text that reads like its form is left alone."""
    value = np.asarray(one_hot(dtype=dtype), order=order)
    value[-1, :2] = 0.5
    first, second = draft([0, value]), draft([0, value])
    assert isinstance(second, Draft)
    form = second.header.decode()
    text = draft([form, value, one_hot(), {"k": form}])
    assert isinstance(first, Draft)
    assert isinstance(text, Draft)
    np.testing.assert_array_equal(arrived(first.decided())[1], value, strict=True)
    back = arrived(text.decided())
    assert back[0] == back[3]["k"] == form
    np.testing.assert_array_equal(back[1], value, strict=True)
    np.testing.assert_array_equal(back[2], one_hot(), strict=True)


def test_the_second_walk_defers_as_well() -> None:
    """One that orjson's refusal brings about: an integer of more than 64 bits in a long list."""
    numbers = [*range(20), 2**70]
    value = np.arange(10**6)[::2]
    made = draft([numbers, value])
    back = arrived(made)
    assert back[0] == numbers
    np.testing.assert_array_equal(back[1], value)


def test_no_matrix_stays_undecided_where_that_is_said() -> None:
    """In a thread that may take its time."""
    assert isinstance(draft(one_hot(), decided=True), Payload)
    assert isinstance(draft(one_hot(), one_hot=False), Payload)


def test_errors_come_at_once() -> None:
    """With their path, whatever stands beside."""
    value = {"x": one_hot(), "y": [np.arange(10**6)[::2], object()]}
    with pytest.raises(SerializationError, match=r'value\["y"\]\[1\]'):
        draft(value)

"""Which buffers of a value ride inline, and which travel as bulk."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.errors import TooLarge
from asyncbridge.protocol.limits import BULK_THRESHOLD, HEADER_BYTES, INLINE_BYTES
from asyncbridge.protocol.messages import BulkRef, Payload
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.serialization.split import SMALL_BYTES, freeze, join, split


def payload(*sizes: int, header: int = 10) -> Payload:
    """Return a payload with buffers of these sizes."""
    return Payload(
        header=[], buffers=tuple(bytes(size) for size in sizes), size=header + sum(sizes)
    )


def received(sent: Payload) -> Any:
    """Decode a payload as its reader does, from a parsed header."""
    header = orjson.loads(orjson.dumps(sent.header))
    return decode(Payload(header=header, buffers=sent.buffers, size=sent.size))


def kept_sizes(made: Payload) -> list[int | None]:
    """Return the sizes of the inline buffers, None for each reference."""
    return [None if isinstance(b, BulkRef) else memoryview(b).nbytes for b in made.buffers]


def test_small_values_stay() -> None:
    """A value without large buffers is left as it is."""
    made = payload(0, 1, BULK_THRESHOLD - 1)
    assert split(made, prefix="7") == (made, {})


def test_large_buffers_leave() -> None:
    """From the threshold on a buffer leaves; its reference tells its id and its size."""
    made = payload(5, BULK_THRESHOLD, 6, BULK_THRESHOLD + 1)
    kept, bulk = split(made, prefix="7")
    assert kept_sizes(kept) == [5, None, 6, None]
    assert kept.buffers[1] == BulkRef(id="7-1", size=BULK_THRESHOLD)
    assert {name: memoryview(b).nbytes for name, b in bulk.items()} == {
        "7-1": BULK_THRESHOLD,
        "7-3": BULK_THRESHOLD + 1,
    }
    assert (kept.header, kept.size) == (made.header, made.size)


def test_no_copy() -> None:
    """Buffers leave as they are, not as copies."""
    made = payload(BULK_THRESHOLD)
    _, bulk = split(made, prefix="7")
    assert bulk["7-0"] is made.buffers[0]


def test_size_in_bytes_and_not_items() -> None:
    """What counts is the bytes of a buffer, whatever its items are."""
    numbers = memoryview(bytes(BULK_THRESHOLD)).cast("Q")
    kept, bulk = split(Payload(header=[], buffers=(numbers,), size=BULK_THRESHOLD), prefix="7")
    assert kept.buffers == (BulkRef(id="7-0", size=BULK_THRESHOLD),)
    assert list(bulk) == ["7-0"]


def test_many_small_buffers() -> None:
    """When a message's inline buffers are too much together, only the smallest stay."""
    middle = BULK_THRESHOLD - 1
    crowd = INLINE_BYTES // middle + 1
    kept, bulk = split(payload(*[middle] * crowd, SMALL_BYTES - 1, SMALL_BYTES), prefix="7")
    assert kept_sizes(kept) == [*[None] * crowd, SMALL_BYTES - 1, None]
    assert len(bulk) == crowd + 1


def test_just_not_crowded() -> None:
    """Inline buffers of exactly the bound stay."""
    made = payload(*[INLINE_BYTES // 32] * 32)
    assert split(made, prefix="7") == (made, {})


def test_a_header_over_the_limit() -> None:
    """A JSON part that fits no message is refused, and the text says what to do."""
    with pytest.raises(TooLarge, match=rf"the limit is {HEADER_BYTES}: .*small arrays as one"):
        split(payload(5, header=HEADER_BYTES + 1), prefix="7")


def test_a_header_at_the_limit() -> None:
    """Bulk buffers do not count for the JSON part."""
    _, bulk = split(payload(BULK_THRESHOLD, header=HEADER_BYTES), prefix="7")
    assert list(bulk) == ["7-0"]


def test_join() -> None:
    """What came from outside goes back to its place."""
    value = {"a": np.arange(100_000), "b": [np.zeros(3), np.ones(70_000)], "c": "text"}
    kept, bulk = split(encode(value, path="value"), prefix="7")
    assert sorted(bulk) == ["7-0", "7-2"]
    arrived = {name: bytearray(memoryview(b).cast("B")) for name, b in bulk.items()}
    got = received(join(kept, arrived))
    np.testing.assert_equal(got, value)


@given(st.lists(st.sampled_from([0, 1, SMALL_BYTES - 1, SMALL_BYTES, BULK_THRESHOLD - 1,
                                 BULK_THRESHOLD, INLINE_BYTES]), max_size=24))  # fmt: skip
def test_split_and_join(sizes: list[int]) -> None:
    """Joined again, a payload is what it was; what rode inline was bounded."""
    made = payload(*sizes)
    kept, bulk = split(made, prefix="7")
    inline = [size for size in kept_sizes(kept) if size is not None]
    assert all(size < BULK_THRESHOLD for size in inline)
    assert sum(inline) <= INLINE_BYTES or all(size < SMALL_BYTES for size in inline)
    assert join(kept, {name: bytearray(buffer) for name, buffer in bulk.items()}) == made


def test_freeze() -> None:
    """A frozen value does not change with the one that it was made of."""
    array = np.zeros(10)
    frozen = freeze({"a": array})
    array[:] = 1
    got = received(frozen)
    np.testing.assert_array_equal(got["a"], np.zeros(10))


def test_frozen_size() -> None:
    """Freezing changes neither the size nor the header."""
    value = {"a": np.arange(5), "b": "ä"}
    assert freeze(value).size == encode(value, path="result").size


def test_frozen_in_any_layout() -> None:
    """Arrays that are not contiguous are frozen too."""
    array = np.arange(24).reshape(4, 6)
    got = received(freeze([array[:, ::2], np.asfortranarray(array)]))
    np.testing.assert_array_equal(got[0], array[:, ::2])
    np.testing.assert_array_equal(got[1], array)

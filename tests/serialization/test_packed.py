"""Many small buffers of one value, as one."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.limits import BULK_THRESHOLD
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.codec import decode, draft, encode
from asyncbridge.serialization.deferred import whole
from asyncbridge.serialization.drafts import Draft
from asyncbridge.serialization.packed import MANY, pack, unpack
from asyncbridge.serialization.walk import Sources


def through(value: object) -> Any:
    """Return what a value comes out as."""
    payload = encode(value)
    header = orjson.loads(orjson.dumps(payload.header))
    return decode(Payload(header=header, buffers=payload.buffers))


def test_many_small_arrays() -> None:
    """They are one buffer on their way, and arrays of their own again, which may be written."""
    value = [np.arange(number % 9, dtype=np.float32) for number in range(5000)]
    payload = encode(value)
    assert len(payload.buffers) == 2, "the JSON, and the arrays"
    back = through(value)
    np.testing.assert_equal(back, value)
    assert all(array.flags.writeable for array in back)
    assert not np.shares_memory(back[7], back[8])


def test_large_ones_stay_by_themselves() -> None:
    """Wherever they stand among the others."""
    value = [
        np.full(BULK_THRESHOLD if number % 1000 == 7 else number % 5, number % 200, np.uint8)
        for number in range(3000)
    ]
    made = draft(value)
    assert isinstance(made, Draft)
    assert len(made.buffers) == 5
    np.testing.assert_equal(through(value), value)


def test_bytes_of_any_kind_of_value() -> None:
    """Texts, bytes and arrays among one another keep their places."""
    value = [
        [bytes([number % 256]) * (number % 20), bytearray(b"x" * (number % 3)), np.array(number)]
        for number in range(2000)
    ]
    np.testing.assert_equal(through(value), value)


@given(st.lists(st.integers(0, 40) | st.just(BULK_THRESHOLD), min_size=MANY, max_size=MANY + 60))
def test_any_sizes(sizes: list[int]) -> None:
    """What comes out of a pack are the buffers that went in, in their places."""
    buffers = [bytes([place % 256]) * size for place, size in enumerate(sizes)]
    header, parts = pack(b"null", buffers)
    sources = Sources([whole(part) for part in parts])  # type: ignore[arg-type]
    if len(parts) < len(buffers):
        unpack(orjson.loads(header), sources)
    assert [bytes(part) for part in sources] == buffers  # type: ignore[arg-type]


def packed(*entries: tuple[int, int], data: bytes = b"", count: int | None = None) -> bytes:
    """Return a pack by hand."""
    table = b"".join(struct.pack("<qq", *entry) for entry in entries)
    return struct.pack("<q", len(entries) if count is None else count) + table + data


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "a table of 0 buffers|bytes"),
        (packed(count=2**40), "a table of 1099511627776 buffers in 8 bytes"),
        (packed(count=-1), "a table of 18446744073709551615 buffers"),
        (packed((0, 3), data=b"abc"), "32 bytes, got 27"),
        (packed((0, 3), data=b"abc" + bytes(13)), "32 bytes, got 40"),
        (packed((1, 3), data=b"abc" + bytes(5)), "places among 1 buffers"),
        (packed((0, 1), (0, 1), data=bytes(16)), "places that rise"),
        (packed((1, 1), (0, 1), data=bytes(16)), "places that rise"),
        (packed((-1, 1), data=bytes(8)), "places that rise"),
        (packed((0, -8)), "places that rise, and sizes"),
        (packed((0, 2**62)), "places that rise, and sizes"),
    ],
)
def test_packs_that_are_none(raw: bytes, message: str) -> None:
    """The reader says what it expected, and takes nothing of it."""
    tree = {"$": "packed", "b": 0, "v": {"$": "bytes", "b": 0}}
    with pytest.raises(DecodeError, match=message):
        decode(Payload(header=tree, buffers=(raw,)))


def test_a_pack_is_the_last_buffer_and_stands_around_all() -> None:
    """Anything else is refused."""
    inner = {"$": "packed", "b": 0, "v": None}
    with pytest.raises(DecodeError, match="a place around all of the value"):
        decode(Payload(header=[inner], buffers=(packed(),)))
    with pytest.raises(DecodeError, match="the last buffer"):
        decode(Payload(header=inner, buffers=(packed(), b"x")))


def test_errors_name_the_place_as_ever() -> None:
    """The pack is no step of a path."""
    tree = {"$": "packed", "b": 0, "v": {"a": [{"$": "bytes", "b": 5}]}}
    with pytest.raises(DecodeError, match=r'^value\["a"\]\[0\]: .*buffer int 5, of 1'):
        decode(Payload(header=tree, buffers=(packed((0, 1), data=bytes(8)),)))

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import orjson
import pytest

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol.messages import Buffer, BulkRef, Payload
from asyncbridge.serialization import decode, encode
from asyncbridge.serialization.walk import Refused, Sources, take_buffer

if TYPE_CHECKING:
    from collections.abc import Callable

EXACT: list[object] = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
    2**64,
    -(2**63) - 1,
    10**6000,  # past the 4,300 digits that the interpreter converts
    -(10**6000),
    0.0,
    -0.0,
    1e22,
    1e16,
    0.1,
    5e-324,
    sys.float_info.max,
    float("inf"),
    float("-inf"),
    float("nan"),
    -float("nan"),
    complex(-0.0, float("nan")),
    complex(float("-inf"), -0.0),
    "",
    "plain",
    "a\x00b",
    "\u00e9\u4e16\U0001f600",
    "\ud800",
    "\ud83d\ude00",  # two lone surrogates, not the emoji
    b"",
    b"\x00\xff",
    bytearray(b""),
    bytearray(b"abc"),
    memoryview(b"abc"),
    memoryview(bytearray(b"abc")),
    memoryview(b"abcdef")[::2],
    range(0),
    range(0, 0, 2),
    range(-(10**40), 10**40, 3),
    range(True),
    ...,
]


@pytest.mark.parametrize("value", EXACT, ids=lambda value: type(value).__name__)
def test_every_listed_value_comes_back_exact(value: object, exact: Callable[..., None]) -> None:
    """A value of Python's own comes back with its type and every bit."""
    exact(value)


@pytest.mark.parametrize("bits", ["010000000000f07f", "efbeadde0000f8ff"])
def test_a_nan_keeps_its_bits(bits: str) -> None:
    """The sign and payload of a NaN stand in the header, not just that it is one."""
    header = {"$": "float", "v": bits}
    value = decode(Payload(header=header))
    assert orjson.loads(orjson.dumps(encode(value).header)) == header


def test_two_nans_in_a_set_stay_two(wire: Callable[[object], object]) -> None:
    """Each NaN comes back as an object of its own, so a set keeps as many."""
    value = wire({float("nan"), float("nan")})
    assert isinstance(value, set)
    assert len(value) == 2


def test_plain_values_are_plain_json() -> None:
    """What JSON carries exactly needs no tag."""
    header = orjson.dumps(encode({"a": [1, -0.5, True, None, "\u00e9"]}).header)
    assert header == '{"a":[1,-0.5,true,null,"\u00e9"]}'.encode()


def test_a_bytearray_is_copied_and_can_be_resized_at_once() -> None:
    """The payload holds no view that would lock the caller's bytearray."""
    value = bytearray(b"abc")
    payload = encode(value)
    value.extend(b"def")
    assert payload.buffers == (b"abc",)


def test_bytes_and_views_are_not_copied() -> None:
    """Bytes and contiguous views ride as they are."""
    raw = b"x" * 100
    view = memoryview(raw)
    assert encode(raw).buffers[0] is raw
    assert encode(view).buffers[0] is view


def test_a_view_of_other_items_is_refused() -> None:
    """A memoryview of anything but bytes says to send an array."""
    with pytest.raises(SerializationError, match=r"^x: memoryview of format 'd'.*numpy\.asarray"):
        encode(memoryview(b"12345678").cast("d"), path="x")


def test_a_released_view_is_refused() -> None:
    """A released memoryview is named as one."""
    view = memoryview(b"abc")
    view.release()
    with pytest.raises(SerializationError, match="was released"):
        encode(view)


def test_decoded_views_are_hashable_only_when_read_only(wire: Callable[[object], object]) -> None:
    """A read-only view may be a key again after the wire."""
    assert wire({memoryview(b"k"): 1}) == {b"k": 1}


MALFORMED: list[tuple[object, tuple[Buffer | BulkRef, ...]]] = [
    ({"$": "int", "v": "0x1f"}, ()),
    ({"$": "int", "v": "1_0"}, ()),
    ({"$": "int", "v": " 1"}, ()),
    ({"$": "int", "v": ""}, ()),
    ({"$": "int", "v": "A"}, ()),
    ({"$": "int", "v": "\u0661"}, ()),
    ({"$": "int", "v": 1}, ()),
    ({"$": "float", "v": "nan"}, ()),
    ({"$": "float", "v": "00 00000000000f"}, ()),
    ({"$": "float", "v": "000000000000F07F"}, ()),
    ({"$": "float", "v": "zz0000000000f07f"}, ()),
    ({"$": "float", "v": None}, ()),
    ({"$": "complex", "v": "000000000000f07f"}, ()),
    ({"$": "str", "b": 0}, (b"\xff",)),
    ({"$": "str", "b": 0}, ()),
    ({"$": "str", "b": -1}, (b"a",)),
    ({"$": "bytes", "b": True}, (b"a", b"b")),
    ({"$": "bytes", "b": "0"}, (b"a",)),
    ({"$": "bytes", "b": 0.0}, (b"a",)),
    ({"$": "bytes", "b": 0}, (BulkRef(id="7", size=3),)),
    ({"$": "memoryview", "b": 0, "w": 1}, (b"a",)),
    ({"$": "memoryview", "b": 0}, (b"a",)),
    ({"$": "range", "v": [0, 1]}, ()),
    ({"$": "range", "v": [0, 1, 0]}, ()),
    ({"$": "range", "v": [0, 1.0, 1]}, ()),
    ({"$": "range", "v": [0, True, 1]}, ()),
    ({"$": "range", "v": [0, {"$": "float", "v": "1"}, 1]}, ()),
    ({"$": "range", "v": "abc"}, ()),
    ({"$": "ellipsis", "v": 1}, ()),
]


@pytest.mark.parametrize(("header", "buffers"), MALFORMED)
def test_a_malformed_form_is_a_decode_error(
    header: object, buffers: tuple[Buffer | BulkRef, ...]
) -> None:
    """A tagged object with parts of the wrong type, size or spelling is refused."""
    with pytest.raises(DecodeError):
        decode(Payload(header=header, buffers=buffers))


def test_a_buffer_is_taken_once() -> None:
    """The second value that refers to a buffer is an error: no two values share memory."""
    with pytest.raises(DecodeError, match="two values refer to buffer 0"):
        take_buffer(0, Sources([None]))


def test_a_refusal_knows_its_value_and_depth() -> None:
    """The internal refusal carries what is needed to find the path."""
    refused = Refused("v", "why", 3)
    assert (refused.value, refused.reason, refused.depth) == ("v", "why", 3)


@pytest.mark.parametrize("text", ["x" * 65_536, "\u00e9" * 70_000, "\0\ud800" * 40_000])
def test_a_long_text_is_a_buffer(text: str, wire: Callable[[object], object]) -> None:
    """It is not written as JSON, whose length is bounded; it comes back as it was."""
    payload = encode([text, text[:10]])
    (buffer,) = (b for b in payload.buffers if isinstance(b, bytes) and len(b) >= len(text))
    assert payload.size - len(buffer) < 200
    assert wire([text, text[:10]]) == [text, text[:10]]

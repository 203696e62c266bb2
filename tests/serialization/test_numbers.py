"""Long lists of numbers."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import orjson
import pytest

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.serialization.numbers import SHORTEST

LONG = 100_000


def through(value: object) -> tuple[Any, int]:
    """Return what a value comes out as, and in how many buffers it travels."""
    payload = encode(value)
    tree: Any = header_of(payload)
    return decode(Payload(header=tree, buffers=payload.buffers)), len(payload.buffers)


def header_of(payload: Payload) -> Any:
    """Return a header as its reader has it."""
    return orjson.loads(orjson.dumps(payload.header))


@pytest.mark.parametrize("count", [SHORTEST - 1, SHORTEST, 70_000])
@pytest.mark.parametrize("kind", [int, float])
def test_a_list_of_one_kind_of_number(kind: type[int | float], count: int) -> None:
    """It comes back item by item as it was, in a buffer once it is long."""
    value = [kind(number) - 500 for number in range(count)]
    back, buffers = through([value, "beside"])
    assert back == [value, "beside"]
    assert set(map(type, back[0])) == {kind}
    assert buffers == (count >= SHORTEST)


def test_floats_that_json_has_no_form_for() -> None:
    """Infinities, NaNs to the bit, and a zero's sign."""
    nan = struct.unpack("<d", bytes.fromhex("010000000000f8ff"))[0]
    back, buffers = through([math.inf, -math.inf, nan, -0.0] * SHORTEST)
    assert buffers == 1
    assert struct.pack("<4d", *back[:4]) == struct.pack("<4d", math.inf, -math.inf, nan, -0.0)


@pytest.mark.parametrize(
    "odd", [True, None, 2**63, -(2**63) - 1, 2**70, 0.5, "x", np.float64(1)], ids=repr
)
def test_a_list_with_anything_else_in_it(odd: object) -> None:
    """It goes as a list does."""
    value = [*range(SHORTEST), odd]
    back, _ = through(value)
    assert back == value
    assert [*map(type, back)] == [*map(type, value)]
    assert "numbers" not in str(header_of(encode(value)))


@pytest.mark.parametrize(
    ("form", "raw"), [("<f4", bytes(8)), (None, bytes(8)), ("<f8", bytes(12)), ([], b"")]
)
def test_what_is_no_list_of_numbers(form: object, raw: bytes) -> None:
    """The reader says what it expected."""
    with pytest.raises(DecodeError, match="numbers"):
        decode(Payload(header={"$": "numbers", "t": form, "b": 0}, buffers=(raw,)))

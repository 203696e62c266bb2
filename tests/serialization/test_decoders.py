"""What cannot be read is told by its place in the value, whatever part of the reader finds it."""

from __future__ import annotations

from typing import Any

import pytest

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import BulkRef, Payload
from asyncbridge.serialization import MAX_DEPTH, decode
from asyncbridge.serialization.walk import Side

ARRAY: dict[str, Any] = {"$": "array", "t": "<f8", "s": [1], "o": "C", "b": 0}
MALFORMED: dict[str, Any] = {
    "unknown tag: str 'eval'": {"$": "eval", "v": 1},
    "malformed 'int' value: expected lower-case hex digits": {"$": "int", "v": "0x1"},
    "malformed 'tuple' value: expected the keys": {"$": "tuple"},
    "malformed 'set' value: expected members that all differ": {"$": "set", "v": [1, 1]},
    "malformed 'frozenset' value: expected members that are": {"$": "frozenset", "v": [[]]},
    "malformed 'dict' value: expected members that all differ": {"$": "dict", "v": [1, 2, 1, 2]},
    "malformed 'slice' value: expected start": {"$": "slice", "v": []},
    "malformed 'same' value: expected one of the 0 objects": {"$": "same", "n": 0},
    "malformed 'date' value: expected a day": {"$": "date", "v": [2024, 2, 30]},
    "the time zone 'Europe/Nowhere' is unknown": {"$": "zone", "v": "Europe/Nowhere"},
    "malformed 'decimal' value": {"$": "decimal", "v": "one"},
    "malformed 'array' value: expected 8 bytes": ARRAY,
    "unknown dtype 'O8'": {**ARRAY, "t": "O8"},
    "a value refers to buffer int 7, of 1": {**ARRAY, "b": 7},
    "malformed 'one-hot' value": {**ARRAY, "$": "one-hot"},
    "malformed 'numbers' value": {"$": "numbers", "t": "<f4", "b": 0},
    "an array by path came": dict.fromkeys("pintsrw") | {"$": "file"},
    "malformed 'sparse' value": {"$": "sparse", "v": []},
    "malformed 'masked' value": {"$": "masked", "v": []},
    "malformed 'frame' value": {"$": "frame", "v": []},
    "no type is registered under 'm' here": {"$": "registered", "n": "m", "e": 1, "v": 1},
    "a header is a parsed JSON tree; bytes is no part of one": b"",
}


@pytest.mark.parametrize("reason", MALFORMED)
def test_every_kind_of_error_names_the_place(reason: str) -> None:
    """Inside tuples and dicts with any keys as well, under what the reader calls the value."""
    inner = {"$": "dict", "v": [5, {"$": "tuple", "v": ["first", MALFORMED[reason]]}]}
    payload = Payload(header={"x": [0, inner]}, buffers=(b"123",))
    with pytest.raises(DecodeError) as caught:
        decode(payload, path="bindings")
    assert str(caught.value).startswith(f'bindings["x"][1][5][1]: {reason}')


def test_a_zone_is_told_by_the_place_of_its_moment() -> None:
    """It stands inside that form, and is no part of the value by itself."""
    zone = {"$": "zone", "v": "Europe/Nowhere"}
    moment = {"$": "datetime", "v": [2024, 1, 1, 0, 0, 0, 0], "f": 0, "z": zone}
    with pytest.raises(DecodeError, match=r"^value\[1\]: the time zone 'Europe/Nowhere'"):
        decode(Payload(header=[1, moment]))


def test_too_deep_a_value_is_told_by_its_place() -> None:
    """The steps in the middle are as many as the reader allows; the text stays short."""
    tree: Any = []
    for _ in range(MAX_DEPTH):
        tree = [tree]
    text = r"^result\[0\]\[0\].*: more than 100 containers"
    with pytest.raises(DecodeError, match=text) as caught:
        decode(Payload(header=tree), path="result")
    assert len(str(caught.value)) < 200


def test_what_two_places_claim_is_told_by_the_second() -> None:
    """And a buffer that nobody has fetched, by the one that refers to it."""
    text = {"$": "bytes", "b": 0}
    with pytest.raises(DecodeError, match=r'^value\["b"\]: two values refer to buffer 0'):
        decode(Payload(header={"a": text, "b": {**text}}, buffers=(b"1",)))
    with pytest.raises(DecodeError, match=r'^value\["a"\]: buffer 0 \(bulk .* was not fetched'):
        decode(Payload(header={"a": text}, buffers=(BulkRef(id="1-0", size=1),)))


def test_buffers_that_nothing_refers_to_are_the_whole_values() -> None:
    """The error is about all of it."""
    with pytest.raises(DecodeError, match="^result: no value refers to 1 of 1 buffers"):
        decode(Payload(header=1, buffers=(b"1",)), path="result")


@pytest.mark.parametrize(
    ("side", "remedy"),
    [
        ("in the worker", r"there, too, by bridge\.send\('import"),
        ("in the client", "in this process, too"),
    ],
)
def test_a_type_that_one_side_lacks(side: Side, remedy: str) -> None:
    """The text says which side that is, and what to do there."""
    header = {"price": {"$": "registered", "n": "money", "e": 1, "v": 1}}
    text = rf"""^x\["price"\]: no type is registered under 'money' {side}; both .*{remedy}"""
    with pytest.raises(DecodeError, match=text):
        decode(Payload(header=header), path="x", side=side)

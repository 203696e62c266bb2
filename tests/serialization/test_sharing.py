"""What stands in two places of a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import sparse

import asyncbridge
from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode, registry

if TYPE_CHECKING:
    from collections.abc import Callable


class Box:
    def __init__(self, content: object) -> None:
        self.content = content


class BoxForm:
    @staticmethod
    def encode(value: Box) -> object:
        return [value.content, np.arange(3)]

    @staticmethod
    def decode(data: Any, version: int) -> object:
        return Box(data[0])


@pytest.fixture(autouse=True)
def box(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the box for a test."""
    monkeypatch.setattr(registry, "BY_TYPE", dict(registry.BY_TYPE))
    monkeypatch.setattr(registry, "_BY_NAME", dict(registry._BY_NAME))
    asyncbridge.serializes(Box, name="box")(BoxForm)


def test_an_array_is_sent_once_and_stays_one(wire: Callable[[object], Any]) -> None:
    """Both places hold the same object again; an equal one stays another."""
    array, equal = np.arange(5), np.arange(5)
    value = {"a": array, "b": [array, equal], "c": (array,)}
    assert len(encode(value).buffers) == 2
    back = wire(value)
    assert back["a"] is back["b"][0] is back["c"][0]
    assert back["b"][1] is not back["a"]
    assert (back["b"][1] == equal).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Box(1),
        lambda: np.ma.array([1, 2], mask=[True, False]),
        lambda: sparse.csr_matrix(np.eye(3)),
        lambda: np.eye(300, dtype="f4"),
        lambda: np.zeros(2, "i4,f4"),
    ],
)
def test_what_is_made_of_parts_is_shared_too(
    make: Callable[[], object], wire: Callable[[object], Any]
) -> None:
    """Registered objects, masked and sparse ones, one-hot matrices."""
    one, other = make(), make()
    back = wire([one, {"x": other}, (one, other), one])
    assert back[0] is back[2][0] is back[3]
    assert back[1]["x"] is back[2][1]
    assert back[0] is not back[1]["x"]


def test_numbers_count_where_objects_end(wire: Callable[[object], Any]) -> None:
    """Parts come before what they are parts of, and each reference finds its own."""
    array = np.arange(2)
    inner = Box(array)
    outer = Box([inner, array])
    first, second, third, fourth = wire([outer, inner, array, outer])
    assert first is fourth
    assert first.content[0] is second
    assert first.content[1] is second.content is third


def test_a_temporary_part_is_not_taken_for_another() -> None:
    """Arrays that an encoder makes anew each time never share a number."""
    boxes = [Box(index) for index in range(50)]
    assert len(encode(boxes).buffers) == 50


def test_a_shared_array_that_is_written_is_seen_in_both_places(
    wire: Callable[[object], Any],
) -> None:
    """As it was on the other side."""
    array = np.zeros(3)
    one, other = wire((array, array))
    one[0] = 1
    assert other[0] == 1


@pytest.mark.parametrize("number", [0, 1, -1, True, None, "0", 0.0, [], 2**70])
def test_a_reference_to_nothing_is_a_decode_error(number: object) -> None:
    """Only what has ended before can be referred to."""
    with pytest.raises(DecodeError, match="malformed 'same'"):
        decode(Payload(header=[{"$": "same", "n": number}]))


def test_an_object_does_not_refer_to_itself() -> None:
    """It has no number before it ends."""
    tree = {"$": "registered", "n": "box", "e": 1, "v": [{"$": "same", "n": 0}, None]}
    with pytest.raises(DecodeError, match="malformed 'same'"):
        decode(Payload(header=tree))

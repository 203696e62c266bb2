"""Handles on the wire: each way, and what is none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol.keeping import Told
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode
from asyncbridge.serialization.handles import (
    KEYS,
    LONGEST_TEXT,
    TAGS,
    ref,
    ref_of,
    there,
    there_of,
)

if TYPE_CHECKING:
    from asyncbridge.serialization.handles import Kind
    from asyncbridge.serialization.walk import Sink

TOLD = Told(7, "app.Model", "<Model>", 2048, "gpu:0")


class Kept:
    """What has no wire form."""


class Writer:
    """Writes references to what has no wire form, and counts the walks."""

    def __init__(self, *, keeps: bool = True) -> None:
        self.keeps = keeps
        self.walks = 0
        self.values: list[object] = []

    def begin(self) -> None:
        self.walks += 1
        self.values = []

    def write(self, value: Any, buffers: Sink, depth: int) -> object:
        self.values.append(value)
        return ref(Told(len(self.values), "Kept", "", 0, ""))


def read(tree: object) -> Any:
    """Return a tree as a reader gets it."""
    return orjson.loads(orjson.dumps(tree))


def sent(payload: Payload) -> Payload:
    """Return a value as its reader gets it."""
    return replace(payload, header=read(payload.header))


@pytest.mark.parametrize(
    ("kind", "what"), [("object", 3), ("command", 0), ("name", "x"), ("module", "numpy.random")]
)
def test_to_the_worker(kind: Kind, what: int | str) -> None:
    """What a handle names comes back as it was written."""
    tree = there(kind, what)
    assert tree.keys() == KEYS
    assert there_of(read(tree)) == (kind, what)


@pytest.mark.parametrize(
    "parts",
    [None, 3, "name", [], ["name"], ["name", "x", 1], ["object", "3"], ["object", -1],
     ["object", True], ["command", 1.0], ["name", 3], ["module", None], ["thing", 3], [3, "name"],
     [["name"], "x"], {"name": "x"}],
    ids=repr,
)  # fmt: skip
def test_what_is_no_handle(parts: object) -> None:
    """It is refused by what belongs there."""
    with pytest.raises(DecodeError, match="its kind, and a number or a name"):
        there_of({"$": "there", "v": parts})


def test_from_the_worker() -> None:
    """All that was told of an object comes back."""
    assert ref_of(read(ref(TOLD))) == TOLD
    assert isinstance(ref_of(read(ref(TOLD))), Told)


@pytest.mark.parametrize(
    "parts",
    [None, [], [1, "a", "b", 0], [1, "a", "b", 0, "", 0], ["1", "a", "b", 0, ""],
     [True, "a", "b", 0, ""], [1, "a", "b", 0.0, ""], [1, None, "b", 0, ""], [0, "a", "b", 0, ""],
     [-1, "a", "b", 0, ""], [1, "a", "b", -1, ""], [1, "a" * (LONGEST_TEXT + 1), "b", 0, ""],
     [1, "a", "b" * (LONGEST_TEXT + 1), 0, ""], [1, "a", "b", 0, "c" * (LONGEST_TEXT + 1)]],
    ids=lambda parts: repr(parts)[:40],
)  # fmt: skip
def test_what_is_no_reference(parts: object) -> None:
    """A number that is none, and a text that is long, are refused like anything else."""
    with pytest.raises(DecodeError, match="ref"):
        ref_of({"$": "ref", "v": parts})


def test_the_longest_text() -> None:
    """All of its texts together may be so long, and not longer."""
    told = TOLD._replace(kind="", text="x" * LONGEST_TEXT, device="")
    assert ref_of(read(ref(told))) == told
    with pytest.raises(DecodeError, match="short texts"):
        ref_of(read(ref(told._replace(device="c"))))


def test_one_that_goes_the_wrong_way() -> None:
    """A worker takes no references, and a client no handles."""
    with pytest.raises(DecodeError, match="tagged 'there', not 'ref'"):
        there_of(read(ref(TOLD)))
    with pytest.raises(DecodeError, match="tagged 'ref', not 'there'"):
        ref_of(read(there("object", 1)))


def test_in_a_value() -> None:
    """What has no form is written by whoever knows one, and read by whoever makes something of it."""
    writer, one, two = Writer(), Kept(), Kept()
    value = [one, {"a": (two, 1)}, np.arange(2)]
    payload = encode(value, handles=writer)
    assert writer.values == [one, two]
    back: Any = decode(sent(payload), handles=lambda tree: ref_of(tree).number)
    assert back[:2] == [1, {"a": (2, 1)}]
    assert back[2].tolist() == [0, 1]


def test_an_array_without_a_form() -> None:
    """It stays by itself, beside what travels; where only handles are written it is refused."""
    odd, writer = np.array([object()]), Writer()
    back: Any = decode(
        sent(encode([np.arange(2), odd], handles=writer)), handles=lambda tree: ref_of(tree).number
    )
    assert writer.values == [odd]
    assert (back[0].tolist(), back[1]) == ([0, 1], 1)
    with pytest.raises(SerializationError, match=r"value\[1\]: array of dtype object has no wire"):
        encode([np.arange(2), odd], handles=Writer(keeps=False))


def test_what_has_a_form_is_not_asked_for() -> None:
    """Handles cost nothing where there are none."""
    writer = Writer()
    assert decode(sent(encode([1, "a", {"b": None}], handles=writer))) == [1, "a", {"b": None}]
    assert writer.values == []


def test_where_nobody_knows_one() -> None:
    """It is no value for a writer, nor for a reader; the text says where."""
    with pytest.raises(SerializationError, match=r"x\[0\]: object of type Kept"):
        encode([Kept()], path="x")
    for tag in TAGS:
        payload = Payload(header=[{"$": tag, "v": ["object", 1]}])
        with pytest.raises(DecodeError):
            decode(payload)

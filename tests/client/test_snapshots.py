from __future__ import annotations

import numpy as np
import orjson

from asyncbridge.client.snapshots import snapshot
from asyncbridge.protocol.limits import BULK_THRESHOLD
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.codec import decode, draft, encode
from asyncbridge.serialization.deferred import Deferred
from asyncbridge.serialization.drafts import Draft


def test_a_snapshot_stays_as_it_was() -> None:
    """Whatever becomes of the arrays; the rest is as it was."""
    array, text = np.arange(10), memoryview(bytearray(b"abc"))
    given = encode({"a": array, "b": text, "c": [1, "x"]})
    taken = snapshot(given, whole=True)
    array += 1
    text[0] = 0
    header = orjson.loads(orjson.dumps(taken.header))
    value = decode(Payload(header=header, buffers=taken.buffers))
    assert isinstance(value, dict)
    assert value["a"].tolist() == list(range(10))
    assert value["b"] == b"abc"
    assert value["c"] == [1, "x"]
    assert taken.size == given.size


def test_what_cannot_change_is_not_copied() -> None:
    """A text of bytes is the same object."""
    data = b"abc"
    assert snapshot(encode(data), whole=True).buffers[0] is data


def test_small_arrays_are_copied_in_any_case() -> None:
    """Large ones are looked at where they lie, unless it is asked for."""
    small, large = np.zeros(BULK_THRESHOLD - 1, np.uint8), np.zeros(BULK_THRESHOLD, np.uint8)
    given = encode([small, large])
    some, all_of_it = snapshot(given, whole=False).buffers, snapshot(given, whole=True).buffers
    small[:] = large[:] = 1
    assert [any(memoryview(part)) for part in some] == [False, True]  # type: ignore[arg-type]
    assert [any(memoryview(part)) for part in all_of_it] == [False, False]  # type: ignore[arg-type]


def test_what_is_made_as_it_leaves_stays_so() -> None:
    """A small array beside it is copied all the same."""
    small = np.zeros(10)
    given = draft([small, np.zeros((1000, 1000))[:, ::2]])
    assert isinstance(given, Draft)
    taken = snapshot(given, whole=False)
    small[:] = 1
    first, second = taken.buffers
    assert isinstance(first, bytes)
    assert not any(first)
    assert isinstance(second, Deferred)

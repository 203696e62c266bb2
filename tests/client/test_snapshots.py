from __future__ import annotations

import numpy as np
import orjson

from asyncbridge.client.snapshots import snapshot
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.codec import decode, encode


def test_a_snapshot_stays_as_it_was() -> None:
    """Whatever becomes of the arrays; the rest is as it was."""
    array, text = np.arange(10), memoryview(bytearray(b"abc"))
    given = encode({"a": array, "b": text, "c": [1, "x"]})
    taken = snapshot(given)
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
    assert snapshot(encode(data)).buffers[0] is data

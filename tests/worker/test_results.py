"""What of a value may leave later as it is, and what is copied first."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest

from asyncbridge.protocol.limits import BULK_THRESHOLD
from asyncbridge.protocol.messages import Completed
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.serialization.deferred import Outgoing, whole
from asyncbridge.serialization.frames import pack, unpack
from asyncbridge.serialization.split import join
from asyncbridge.worker.results import Held, pack_up

LARGE = BULK_THRESHOLD


class Places:
    """Notes what it is asked to copy."""

    def __init__(self) -> None:
        self.copied = 0

    def __call__(self, buffer: Outgoing) -> Held:
        self.copied += 1
        return bytes(whole(buffer))


def copies(values: list[Any]) -> int:
    """Return how many buffers of a value are copied that only the list refers to."""
    places = Places()
    payload = encode(values.pop())
    pack_up(payload, prefix="1", place=places)
    return places.copied


def test_what_nobody_else_has() -> None:
    """Fresh arrays leave as they are, in containers too, and whatever made them contiguous."""
    assert copies([np.zeros(LARGE)]) == 0
    assert copies([[np.zeros(LARGE), {"a": np.zeros(LARGE, np.uint8)}]]) == 0
    assert copies([np.zeros((LARGE, 2))[:, 0]]) == 0
    assert copies([np.zeros(LARGE)[5:]]) == 0
    assert copies([np.zeros(LARGE).reshape(2, -1).T]) == 0
    assert copies([bytes(LARGE)]) == 0


def test_what_somebody_has() -> None:
    """An array that a name, a view or a weak reference leads to may change: it is copied."""
    array = np.zeros(LARGE)
    part = np.zeros(LARGE)[2:]
    assert copies([array]) == 1
    assert copies([array[5:]]) == 1
    assert copies([[part.base]]) == 1
    weak = np.zeros(LARGE)
    watched = weakref.ref(weak)
    values = [weak]
    del weak
    assert copies(values) == 1
    assert watched() is None


def test_what_is_not_numpys() -> None:
    """Memory that numpy merely looks at belongs to somebody else."""
    assert copies([np.frombuffer(bytearray(LARGE), np.uint8)]) == 1
    assert copies([memoryview(bytearray(LARGE))]) == 1


@pytest.mark.parametrize("size", [10, LARGE])
def test_it_comes_back_as_it_was(size: int) -> None:
    """Whatever happens to the original."""
    array = np.arange(size)
    small, held = pack_up(encode({"a": array, "b": b"x"}), prefix="7", place=Places())
    array[:] = 0
    buffers = {name: part for name, part in held.items() if isinstance(part, bytes)}
    (message,) = unpack(pack([Completed(id=7, value=small)]))
    assert isinstance(message, Completed)
    value: Any = decode(join(message.value, buffers))
    assert value["a"].tolist() == list(range(size))
    assert value["b"] == b"x"
    assert list(held) == (["7-0"] if size == LARGE else [])

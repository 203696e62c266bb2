"""Where buffers lie, whether they hold the same bytes, and what they hash to."""

from __future__ import annotations

import gc
import hashlib
from typing import Any

import numpy as np
import pytest

from asyncbridge.serialization.codec import encode
from asyncbridge.transport.origins import (
    REMEMBERED,
    SLICE_BYTES,
    Origin,
    Tally,
    digest_of,
    origin_of,
    same_bytes,
)

MIB = 1024 * 1024


def buffer_of(array: np.ndarray[Any, Any]) -> memoryview:
    """Return what the encoder makes of an array."""
    (buffer,) = encode(array, one_hot=False).buffers
    assert isinstance(buffer, memoryview)
    return buffer


def found(array: np.ndarray[Any, Any]) -> Origin:
    """Return an array's origin, of which there is one."""
    origin = origin_of(buffer_of(array))
    assert origin is not None
    return origin


def test_an_array_is_known_by_its_memory() -> None:
    """By any view of it that has the same bytes; another part of it is another origin."""
    array = np.zeros((1024, 1024))
    key = found(array).key
    assert key == (array.ctypes.data, array.nbytes)
    assert found(array[:]).key == found(array.reshape(-1)).key == key
    assert found(array.T).key == key, "Fortran order lies there in the same way"
    assert found(array[512:]).key != key
    assert found(np.zeros((1024, 1024))).key != key


def test_the_owner_is_watched() -> None:
    """A view is enough to keep it alive; when that is gone, the origin says so."""
    array = np.zeros(MIB)
    view = array[: MIB // 2]
    origin = found(view)
    del array
    gc.collect()
    assert origin.is_alive
    del view
    gc.collect()
    assert not origin.is_alive


def test_what_is_not_remembered() -> None:
    """Small arrays, and what is no array's memory."""
    assert origin_of(buffer_of(np.zeros(REMEMBERED - 1, np.uint8))) is None
    assert origin_of(bytes(REMEMBERED)) is None
    assert origin_of(bytearray(REMEMBERED)) is None
    assert origin_of(memoryview(bytes(REMEMBERED))) is None
    assert origin_of(np.zeros(REMEMBERED, np.uint8).data) is not None


@pytest.mark.parametrize("size", [1, SLICE_BYTES - 1, SLICE_BYTES, 2 * SLICE_BYTES + 17])
def test_the_same_bytes(size: int) -> None:
    """All of them are looked at, the last slice included."""
    one = np.random.default_rng(7).integers(0, 256, size, np.uint8)
    other = one.copy()
    assert same_bytes(one.data, other.data, going_on=lambda: True) == size
    other[-1] += 1
    same = same_bytes(one.data, other.data, going_on=lambda: True)
    assert same == (size - 1) // SLICE_BYTES * SLICE_BYTES
    other[0] += 1
    assert same_bytes(one.data, other.data, going_on=lambda: True) == 0


def test_breaking_off() -> None:
    """Nobody is told that what was not looked at is the same, or has a digest."""
    data = bytes(SLICE_BYTES)
    assert same_bytes(data, data, going_on=lambda: False) == 0
    assert digest_of(data, going_on=lambda: False) == ""


@pytest.mark.parametrize("size", [0, 5, SLICE_BYTES + 3])
def test_a_digest_is_sha_256(size: int) -> None:
    """Of all bytes, in whatever slices."""
    data = np.random.default_rng(7).bytes(size)
    assert digest_of(data, going_on=lambda: True) == hashlib.sha256(data).hexdigest()


def test_a_tally() -> None:
    """Only what did not travel was saved."""
    tally = Tally()
    tally.count(5, hit=True)
    tally.count(7, hit=False)
    assert (tally.hits, tally.misses, tally.saved) == (1, 1, 5)

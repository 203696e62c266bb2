"""Buffers on their way out: in memory, or made for whoever takes them."""

from __future__ import annotations

import numpy as np
import pytest

from asyncbridge.serialization.deferred import LaterBytes
from asyncbridge.serialization.layouts import Later, lay_out
from asyncbridge.transport.outgoing import source_of

CONTENT = np.random.default_rng(7).bytes(1_000_003)


def later_array() -> tuple[Later, bytes]:
    """Return an array that is made as it leaves, and its bytes."""
    array = np.random.default_rng(7).random((3000, 1000))[::3, ::2]
    made = lay_out(array, defers=True)
    assert isinstance(made, Later)
    return made, array.tobytes()


def test_what_is_there() -> None:
    """A part is a view, also of numbers."""
    content = CONTENT[:8]
    source = source_of(memoryview(content).cast("H"))
    assert (source.nbytes, source.is_ready) == (8, True)
    assert source.part(2, 100) == content[2:8]
    assert source.part(2, 4).obj is content


@pytest.mark.parametrize("size", [1000, 262_144, 4 * 1024 * 1024, 5_000_001])
def test_what_is_made(size: int) -> None:
    """Part by part, of whatever size, they are its bytes."""
    for buffer, content in ((LaterBytes(bytearray(CONTENT)), CONTENT), later_array()):
        source = source_of(buffer)
        assert (source.nbytes, source.is_ready) == (len(content), False)
        parts = [source.part(at, size) for at in range(0, len(content), size)]
        assert b"".join(parts) == content


def test_taken_up_again() -> None:
    """Whoever goes back, or on, gets what stands there."""
    buffer, content = later_array()
    source = source_of(buffer)
    for start in (3_999_990, 0, 1_000_000, 5, 3_000_000, len(content) - 1):
        assert source.part(start, 300_000) == content[start : start + 300_000]

"""Elements in the order of the wire, made now or later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from asyncbridge.serialization import layouts
from asyncbridge.serialization.deferred import DEFERRED_ABOVE, whole
from asyncbridge.serialization.layouts import Later, lay_out

ROWS = 1200
HOLED = np.dtype([("a", "i1"), ("b", "f8"), ("c", ">i4", (3,))], align=True)


def numbers(*shape: int, dtype: Any = np.float64) -> Any:
    """Make an array whose elements differ."""
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def with_holes() -> Any:
    """Make structures whose gaps hold what nobody is to see."""
    value = np.frombuffer(b"\xaa" * HOLED.itemsize * 9000, HOLED).copy()
    value["a"], value["b"] = np.arange(9000) % 100, np.arange(9000)
    return value


MADE_LATER = {
    "strided": numbers(ROWS, 200)[:, ::2],
    "backwards": numbers(ROWS * 100)[::-1],
    "of three dimensions": numbers(30, 40, 60).transpose(1, 0, 2),
    "big-endian": numbers(ROWS, 100, dtype=">f8"),
    "big-endian, Fortran": np.asfortranarray(numbers(ROWS, 100, dtype=">f8")),
    "Fortran with gaps": np.asfortranarray(numbers(ROWS, 200))[::2],
    "dates": numbers(ROWS * 200, dtype="M8[s]")[::2],
    "texts": np.array([f"{i}" for i in range(20_000)], ">U8"),
    "bools": (numbers(2 * DEFERRED_ABOVE + 2, dtype=np.int64) % 3 == 0)[::2],
    "holes": with_holes(),
    "extended": numbers(ROWS * 40, dtype=np.longdouble),
    "broadcast": np.broadcast_to(np.arange(300.0), (400, 300)),
}


@pytest.mark.parametrize("name", MADE_LATER)
@pytest.mark.parametrize("piece", [1000, 4 * 1024 * 1024])
def test_it_is_what_it_would_be_now(name: str, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte, however small the pieces are."""
    monkeypatch.setattr(layouts, "_PIECE_BYTES", piece)
    value = MADE_LATER[name]
    later = lay_out(value, defers=True)
    assert isinstance(later, Later)
    assert whole(later) == lay_out(value, defers=False)


@pytest.mark.parametrize(
    "value",
    [numbers(ROWS, 100), np.asfortranarray(numbers(ROWS, 100)), numbers(50, 20)[:, ::2]],
    ids=["C", "Fortran", "small"],
)
def test_what_lies_as_the_wire_has_it_or_is_small_is_there_at_once(value: Any) -> None:
    """It is a view where it can be."""
    made = lay_out(value, defers=True)
    assert isinstance(made, memoryview)
    assert np.shares_memory(np.frombuffer(made, np.uint8), value) == (value.nbytes > 10_000)


def test_memory_that_was_used_before() -> None:
    """Gaps are zeros there, too: a segment holds what it held last."""
    value = with_holes()
    later = lay_out(value, defers=True)
    assert isinstance(later, Later)
    used = bytearray(b"\xff" * later.nbytes)
    later.write(memoryview(used))
    assert bytes(used) == whole(lay_out(value, defers=False))

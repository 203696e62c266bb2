"""The elements of arrays as the wire has them: in order, little-endian, with nothing between."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

from asyncbridge.serialization.deferred import DEFERRED_ABOVE, Deferred
from asyncbridge.serialization.dtypes import (
    converted,
    fill,
    has_holes,
    wire_dtype,
    without_holes,
)
from asyncbridge.serialization.walk import add_buffer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncbridge.serialization.dtypes import Array, DType
    from asyncbridge.serialization.walk import Sink

__all__ = ["Later", "add_raw", "is_fortran", "lay_out"]

_PIECE_BYTES: Final = 4 * 1024 * 1024
"""Bytes that are written at once; between two pieces a transfer may be broken off."""


def is_fortran(value: Array) -> bool:
    """Tell whether the elements lie column by column."""
    return value.flags.f_contiguous and not value.flags.c_contiguous


def add_raw(value: Array, buffers: Sink) -> int:
    """Add an array's elements as a buffer, without a copy where they lie as the wire has them."""
    made = lay_out(value, defers=buffers.defers)
    return buffers.defer(made) if isinstance(made, Later) else add_buffer(made, buffers)


def lay_out(value: Array, *, defers: bool) -> memoryview | Later:
    """Return the elements as bytes, or if they are many, what makes those bytes later.

    Args:
        value: An array.
        defers: Whether a large one that must be copied may be copied later.
    """
    straight = value.T if is_fortran(value) else value
    dtype = wire_dtype(value.dtype)
    if defers and value.nbytes > DEFERRED_ABOVE and not _is_raw(straight, dtype):
        return Later(straight, dtype)
    if has_holes(dtype):
        straight = without_holes(straight.astype(dtype, copy=False))
    flat = np.ascontiguousarray(converted(straight, dtype)).reshape(-1)
    # As uint8, because datetime64 and others export no buffer of their own.
    return flat.view(np.uint8).data


def _is_raw(straight: Array, dtype: DType) -> bool:
    return straight.flags.c_contiguous and straight.dtype == dtype and not has_holes(dtype)


class Later(Deferred):
    """An array that does not lie in memory as the wire has it.

    Args:
        array: Its elements in the order of the wire.
        dtype: Of the wire.
    """

    def __init__(self, array: Array, dtype: DType) -> None:
        self.nbytes = array.size * dtype.itemsize
        self._array = array
        self._dtype = dtype
        self._holes = has_holes(dtype)

    def pieces(self) -> Iterator[tuple[int, int, Callable[[memoryview], None]]]:
        """Yield parts of the array, each of some MiB at most."""
        start = 0
        for part in _parts_of(self._array):
            size = part.size * self._dtype.itemsize
            yield start, size, partial(self._put, part)
            start += size

    def _put(self, part: Array, target: memoryview) -> None:
        place: Array = np.ndarray(part.shape, self._dtype, target)
        if self._holes:
            np.frombuffer(target, np.uint8)[:] = 0
            fill(place, part.astype(self._dtype, copy=False))
        else:
            np.copyto(place, converted(part, self._dtype))


def _parts_of(array: Array) -> Iterator[Array]:
    """Yield an array's parts in the order of its elements."""
    row = prod(array.shape[1:]) * array.itemsize
    if row > _PIECE_BYTES and array.ndim > 1:
        for inner in array:
            yield from _parts_of(inner)
        return
    step = max(1, _PIECE_BYTES // row)
    for start in range(0, len(array), step):
        yield array[start : start + step]

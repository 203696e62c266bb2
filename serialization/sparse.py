"""Scipy's sparse matrices and arrays, as the arrays that they are made of."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy import sparse

from asyncbridge.serialization.registry import Entry, own
from asyncbridge.serialization.walk import malformed

_BLOCK: Final = 2**16
"""Indices that are looked at together: a lie is found before all of them are read."""
_COMPRESSED: Final = ("csr", "csc", "bsr")
_KINDS: Final = {
    f"{form}_{way}": getattr(sparse, f"{form}_{way}")
    for form in (*_COMPRESSED, "coo", "dia")
    for way in ("matrix", "array")
}


def _take_apart(value: Any) -> object:
    form = value.format
    if form in _COMPRESSED:
        parts = [value.data, value.indices, value.indptr]
    elif form == "coo":
        parts = [value.data, *value.coords]
    else:
        parts = [value.data, value.offsets]
    return [type(value).__name__, [int(side) for side in value.shape], *parts]


def _put_together(parts: Any) -> Any:
    if type(parts) is not list or len(parts) < 4:
        malformed("sparse", "a kind, a shape and arrays")
    name, shape, data, *indices = parts
    kind = _KINDS.get(name) if type(name) is str else None
    if kind is None:
        malformed("sparse", "a kind of scipy.sparse")
    if type(shape) is not list or not all(
        type(side) is int and 0 <= side < 2**63 for side in shape
    ):
        malformed("sparse", "a shape of integers from 0 up")
    for part in (data, *indices):
        if type(part) is not np.ndarray:
            malformed("sparse", "numpy arrays for its parts")
    if data.dtype.kind not in "biufc":
        malformed("sparse", "numbers for its values")
    for part in indices:
        if part.ndim != 1 or part.dtype.kind != "i" or not part.dtype.isnative:
            malformed("sparse", "signed integers for its indices")
    form = name.partition("_")[0]
    return _MAKERS[form](kind, tuple(shape), data, *indices)


def _make_compressed(kind: Any, shape: tuple[int, ...], data: Any, *rest: Any) -> Any:
    if len(shape) != 2 and kind is not sparse.csr_array:
        malformed("sparse", "two dimensions")
    if len(shape) not in (1, 2) or len(rest) != 2 or data.ndim != 1:
        malformed("sparse", "two dimensions, with data, indices and their starts")
    indices, starts = rest
    minor, major = shape if kind.__name__[:3] == "csc" else ((1, *shape)[-1], (1, *shape)[-2])
    _check_compressed(data, indices, starts, major, minor)
    return _exact(kind, shape, data, indices, starts)


def _make_blocks(kind: Any, shape: tuple[int, ...], data: Any, *rest: Any) -> Any:
    if len(shape) != 2 or len(rest) != 2 or data.ndim != 3 or 0 in data.shape[1:]:
        malformed("sparse", "two dimensions, with blocks, indices and their starts")
    (rows, columns), (_, height, width) = shape, data.shape
    if rows % height or columns % width:
        malformed("sparse", "blocks that fill its shape")
    indices, starts = rest
    _check_compressed(data, indices, starts, rows // height, columns // width)
    return _exact(kind, shape, data, indices, starts)


def _check_compressed(data: Any, indices: Any, starts: Any, major: int, minor: int) -> None:
    """Check what scipy's loops trust: they would read and write beyond the arrays."""
    if len(data) != len(indices) or len(starts) != major + 1:
        malformed("sparse", "as many values as indices, and a start for each row and the end")
    if starts[0] != 0 or starts[-1] > len(indices) or (starts[1:] < starts[:-1]).any():
        malformed("sparse", "starts that rise from 0 to at most the number of indices")
    _check_range(indices, minor)


def _check_range(indices: Any, side: int) -> None:
    # As unsigned numbers the negative ones are the largest: one look finds both.
    unsigned = indices.view(f"u{indices.itemsize}")
    blocks = (unsigned[start : start + _BLOCK] for start in range(0, len(unsigned), _BLOCK))
    if any(int(block.max()) >= side for block in blocks):
        malformed("sparse", f"indices from 0 up and below {side}")


def _exact(kind: Any, shape: tuple[int, ...], data: Any, indices: Any, starts: Any) -> Any:
    """Make a matrix of exactly these arrays, which its class would convert or cut."""
    empty = np.zeros(len(starts), starts.dtype)
    matrix = kind((data[:0], indices[:0], empty), shape=shape)
    matrix.data, matrix.indices, matrix.indptr = data, indices, starts
    return matrix


def _make_coordinates(kind: Any, shape: tuple[int, ...], data: Any, *coords: Any) -> Any:
    if data.ndim != 1 or not shape or len(coords) != len(shape):
        malformed("sparse", "values, and their places in each dimension")
    if len(shape) != 2 and kind is not sparse.coo_array:
        malformed("sparse", "two dimensions")
    for places, side in zip(coords, shape, strict=True):
        if len(places) != len(data):
            malformed("sparse", "as many places as values")
        _check_range(places, side)
    matrix = kind((data[:0], tuple(places[:0] for places in coords)), shape=shape)
    matrix.data, matrix.coords = data, coords
    return matrix


def _make_diagonals(kind: Any, shape: tuple[int, ...], data: Any, *rest: Any) -> Any:
    if len(shape) != 2 or len(rest) != 1 or data.ndim != 2 or len(data) != len(rest[0]):
        malformed("sparse", "two dimensions, with diagonals and the offset of each")
    (offsets,) = rest
    if len(np.unique(offsets)) != len(offsets):
        malformed("sparse", "offsets that all differ")
    matrix = kind((data[:0], offsets[:0]), shape=shape)
    matrix.data, matrix.offsets = data, offsets
    return matrix


_MAKERS: Final = {
    "csr": _make_compressed,
    "csc": _make_compressed,
    "bsr": _make_blocks,
    "coo": _make_coordinates,
    "dia": _make_diagonals,
}

ENTRIES: Final[tuple[Entry, ...]] = tuple(
    own(kind, "sparse", _take_apart, _put_together) for kind in _KINDS.values()
)

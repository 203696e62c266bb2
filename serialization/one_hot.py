"""Matrices with a single 1 in each row, and else 0, as the columns of the ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from asyncbridge.protocol.limits import BULK_THRESHOLD
from asyncbridge.serialization.contents import check_elements, may_be_wrong
from asyncbridge.serialization.deferred import DEFERRED_ABOVE, Outgoing, Undecided
from asyncbridge.serialization.dtypes import Array, DType, read_dtype, read_shape, wire_dtype
from asyncbridge.serialization.layouts import is_fortran, lay_out
from asyncbridge.serialization.walk import (
    TAG,
    Sink,
    Sources,
    TakesLong,
    add_buffer,
    malformed,
    take_buffer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS: Final = frozenset((TAG, "t", "s", "o", "b"))
SMALLEST: Final = BULK_THRESHOLD
"""Bytes of a matrix from which looking at it may pay."""

_SAMPLES: Final = 8
_SAMPLE_LENGTH: Final = 1024
"""So many rows are looked at first, and so much of each."""
_LEAST_ROW: Final = 16
"""Bytes of a row below which its column is hardly shorter."""
_BLOCK: Final = 2**18
"""Bytes that are looked at together: they stay in a core's cache for the second look."""
_WORDS: Final = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_KINDS: Final = "biuf"


def encode(value: Array, form: object, buffers: Sink) -> dict[str, object] | None:
    """Write a one-hot matrix; return None for any other array."""
    if value.ndim != 2 or value.nbytes < SMALLEST or buffers.dense:
        return None
    if value.nbytes > buffers.room or value.nbytes < _LEAST_ROW * len(value):
        return None
    words = _words(value) if _is_number(value.dtype) else None
    if words is None or not _is_likely(words, fortran=is_fortran(value)):
        return None
    if buffers.drafts and value.nbytes > DEFERRED_ABOVE:
        candidate = _Candidate(value, form, len(buffers))
        buffers.room -= value.nbytes
        buffers.defer(candidate)
        return candidate.tree("one-hot")
    columns = _columns(value, words)
    if columns is None:
        return None
    buffers.room -= value.nbytes
    index = add_buffer(columns.view(np.uint8).data, buffers)
    return _tree("one-hot", value, form, index)


def _tree(tag: str, value: Array, form: object, index: int) -> dict[str, object]:
    order = "F" if is_fortran(value) else "C"
    return {TAG: tag, "t": form, "s": list(value.shape), "o": order, "b": index}


class _Candidate(Undecided):
    """A matrix that begins like a one-hot one, and has still to be looked through.

    Args:
        value: The matrix.
        form: Its dtype on the wire.
        index: The place of its buffer.
    """

    def __init__(self, value: Array, form: object, index: int) -> None:
        self.nbytes = value.nbytes
        self._value = value
        self._form = form
        self._index = index

    def tree(self, tag: str) -> dict[str, object]:
        """Return its form on the wire: either has the same keys."""
        return _tree(tag, self._value, self._form, self._index)

    def decide(self) -> tuple[Outgoing, tuple[object, object] | None]:
        """Look through the matrix; any other than a one-hot one goes as it is."""
        words = _words(self._value)
        assert words is not None
        columns = _columns(self._value, words)
        if columns is not None:
            return columns.view(np.uint8).data, None
        if may_be_wrong(self._value.dtype):
            check_elements(self._value, 0)
        return lay_out(self._value, defers=True), (self.tree("one-hot"), self.tree("array"))


def _is_number(dtype: DType) -> bool:
    return dtype.kind in _KINDS and dtype.itemsize in _WORDS


def _words(value: Array) -> Array | None:
    """View a matrix as words, with rows in memory one after another; None where none do so."""
    if not value.flags.c_contiguous and not value.flags.f_contiguous:
        return None
    rows: Any = value.T if is_fortran(value) else value
    words: Array = rows.view(_bits_of_one(value.dtype).dtype)
    return words


def _is_likely(words: Array, *, fortran: bool) -> bool:
    """Look at a few rows; they lie in memory as columns if it is Fortran's order."""
    sample = _sample(words)
    return int(np.count_nonzero(sample)) <= (words.shape[1] if fortran else len(sample))


def _columns(value: Array, words: Array) -> Array | None:
    """Return each row's column of the 1, None unless the matrix is one-hot to the bit."""
    one = _bits_of_one(value.dtype)
    return (_columns_of_fortran if is_fortran(value) else _columns_of_rows)(words, one)


def _bits_of_one(dtype: DType) -> Any:
    return np.ones(1, dtype).view(_WORDS[dtype.itemsize])[0]


def _sample(words: Array) -> Array:
    """Pick a part, as words: to these, unlike to numbers, -0.0 is no 0."""
    return words[:: max(1, len(words) // _SAMPLES)][:_SAMPLES, :_SAMPLE_LENGTH]


def _blocks(words: Array) -> Iterator[tuple[int, Array]]:
    step = max(1, _BLOCK // (words.shape[1] * words.itemsize))
    for start in range(0, len(words), step):
        yield start, words[start : start + step]


def _columns_of_rows(words: Array, one: Any) -> Array | None:
    columns = np.empty(len(words), index_dtype(words.shape[1]))
    for start, block in _blocks(words):
        if np.count_nonzero(block) != len(block):
            return None
        found = block.argmax(axis=1)
        if not (block[np.arange(len(block)), found] == one).all():
            return None
        columns[start : start + len(block)] = found
    return columns


def _columns_of_fortran(words: Array, one: Any) -> Array | None:
    """Do the same for a matrix whose columns lie in memory one after another, as rows here."""
    sides, rows = words.shape
    columns = np.full(rows, -1, np.int64)
    total = 0
    for start, block in _blocks(words):
        column, row = np.divmod(np.flatnonzero(block), rows)
        total += len(row)
        if total > rows or not (block[column, row] == one).all():
            return None
        columns[row] = column + start
    if total != rows or columns.min() < 0:
        return None
    return columns.astype(index_dtype(sides))


def index_dtype(columns: int) -> DType:
    """Return the smallest unsigned dtype that counts a matrix's columns."""
    fitting = (
        np.dtype(kind) for kind in _WORDS.values() if columns <= 256 ** np.dtype(kind).itemsize
    )
    return next(fitting).newbyteorder("<")


def decode(body: dict[str, object], sources: Sources) -> Array:
    """Read a one-hot matrix.

    Raises:
        DecodeError: The parts do not fit one another, or it is larger than one may be.
    """
    dtype = read_dtype(body["t"], "one-hot")
    shape, order = read_shape(body["s"], "one-hot"), body["o"]
    if len(shape) != 2 or order not in ("C", "F") or not _is_number(dtype):
        malformed("one-hot", "numbers in two dimensions, in the order 'C' or 'F'")
    rows, sides = shape
    # Where one side is 0 the other one may still be too long for numpy.
    size = max(1, rows) * max(1, sides) * dtype.itemsize
    if size > sources.room:
        malformed("one-hot", f"at most {sources.room} more bytes of them in one value, got {size}")
    if sources.quickly and size > DEFERRED_ABOVE:
        raise TakesLong
    columns = _read_columns(body, sources, rows, sides)
    sources.room -= size
    matrix: Array = np.zeros((rows, sides), wire_dtype(dtype), order="F" if order == "F" else "C")
    matrix[np.arange(rows), columns] = 1
    return matrix if matrix.dtype == dtype else matrix.astype(dtype)


def _read_columns(body: dict[str, object], sources: Sources, rows: int, sides: int) -> Array:
    raw = memoryview(take_buffer(body["b"], sources))
    dtype = index_dtype(sides)
    if raw.nbytes != rows * dtype.itemsize:
        malformed("one-hot", f"{rows * dtype.itemsize} bytes of columns, got {raw.nbytes}")
    columns: Array = np.frombuffer(raw, dtype)
    if rows and int(columns.max()) >= sides:
        malformed("one-hot", f"columns below {sides}")
    return columns

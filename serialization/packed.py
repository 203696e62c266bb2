"""Many small buffers of one value as one: each alone would be a transfer, or a place in a frame."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from asyncbridge.protocol.limits import BULK_THRESHOLD
from asyncbridge.protocol.messages import Buffer
from asyncbridge.serialization.deferred import Deferred
from asyncbridge.serialization.slices import breathe
from asyncbridge.serialization.walk import Sources, malformed, take_buffer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asyncbridge.protocol.messages import BulkRef
    from asyncbridge.serialization.deferred import Outgoing, Undecided

__all__ = ["MANY", "pack", "unpack"]

MANY: Final = 64
"""Small buffers from which they are packed."""
_ALIGNMENT: Final = 8
_AT_ONCE: Final = 1024
"""Buffers that are copied between two pauses."""
_ENTRY: Final = 16
_COUNT: Final = 8


class Pack(Deferred):
    """Buffers one after the other, each at a multiple of 8 bytes, behind a table of them.

    Args:
        parts: By their places among all buffers of the value.
    """

    def __init__(self, parts: dict[int, Buffer]) -> None:
        sizes = [memoryview(part).nbytes for part in parts.values()]
        table = np.array([*zip(parts, sizes, strict=True)], "<i8")
        self._table = np.array([len(parts)], "<i8").tobytes() + table.tobytes()
        self._parts = list(parts.values())
        room = -(-np.array(sizes, np.int64) // _ALIGNMENT) * _ALIGNMENT
        self._starts = (len(self._table) + np.concatenate(([0], np.cumsum(room)))).tolist()
        self.nbytes = self._starts[-1]

    def pieces(self) -> Iterator[tuple[int, int, Callable[[memoryview], None]]]:
        """Yield the table, and some buffers at a time."""
        yield 0, len(self._table), partial(_put, [self._table], [0])
        for first in range(0, len(self._parts), _AT_ONCE):
            parts = self._parts[first : first + _AT_ONCE]
            start, *_ = starts = self._starts[first : first + len(parts) + 1]
            offsets = [each - start for each in starts]
            yield start, offsets[-1], partial(_put, parts, offsets)
            breathe()


def _put(parts: Sequence[Buffer], offsets: Sequence[int], target: memoryview) -> None:
    for part, start in zip(parts, offsets, strict=False):
        view = memoryview(part).cast("B")
        target[start : start + view.nbytes] = view


def pack(
    header: bytes, buffers: Sequence[Outgoing | Undecided]
) -> tuple[bytes, list[Outgoing | Undecided]]:
    """Return a value's JSON and its buffers, the small ones of which are one if they are many."""
    small = {
        place: part
        for place, part in enumerate(buffers)
        if isinstance(part, Buffer) and memoryview(part).nbytes < BULK_THRESHOLD
    }
    if len(small) < MANY:
        return header, list(buffers)
    others = [part for place, part in enumerate(buffers) if place not in small]
    whole = b'{"$":"packed","b":%d,"v":%b}' % (len(others), header)
    return whole, [*others, Pack(small)]


def unpack(body: dict[str, object], sources: Sources) -> None:
    """Put the buffers of a pack into their places.

    Raises:
        DecodeError: Its table does not fit it, or it is not the last buffer.
    """
    if body["b"] != len(sources) - 1:
        malformed("packed", "the last buffer")
    # What is made of a part copies it then, and does not keep all the others.
    raw = memoryview(take_buffer(body["b"], sources)).toreadonly()
    sources.pop()
    table = _table_of(raw)
    parts: list[Buffer | BulkRef | None] = []
    others, start = iter(sources), _COUNT + _ENTRY * len(table)
    total = len(sources) + len(table)
    if table and table[-1][0] >= total:
        malformed("packed", f"places among {total} buffers")
    for place, size in table:
        while len(parts) < place:
            parts.append(next(others))
        parts.append(raw[start : start + size])
        start += -(-size // _ALIGNMENT) * _ALIGNMENT
    if start != raw.nbytes:
        malformed("packed", f"{start} bytes, got {raw.nbytes}")
    sources[:] = [*parts, *others]


def _table_of(raw: memoryview) -> list[tuple[int, int]]:
    count = int.from_bytes(raw[:_COUNT], "little")
    if count > (raw.nbytes - _COUNT) // _ENTRY:
        malformed("packed", f"a table of {count} buffers in {raw.nbytes} bytes")
    places = np.frombuffer(raw[_COUNT : _COUNT + _ENTRY * count], "<i8").reshape(-1, 2)
    table = [(place, size) for place, size in places.tolist()]
    rising = all(one < other for (one, _), (other, _) in pairwise(table))
    if not rising or any(place < 0 or not 0 <= size <= raw.nbytes for place, size in table):
        malformed("packed", "places that rise, and sizes")
    return table

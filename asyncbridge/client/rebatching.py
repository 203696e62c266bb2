"""Chunks of any number of rows, cut into batches of the same number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from asyncbridge.transport.shared import COPY_INLINE

__all__ = ["Rebatcher", "is_small"]


class Rebatcher:
    """Takes chunks, gives batches; what is left over stands ahead of the next chunk.

    Args:
        size: Rows of a batch; the last one of a turn may have fewer.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._chunks: list[Any] = []
        self._rows = 0

    def feed(self, chunk: object) -> Iterator[object]:
        """Yield the batches that are whole.

        Raises:
            ValueError: The arrays in it have different numbers of rows, or there are none.
        """
        start, rows = 0, rows_of(chunk)
        while self._rows + rows - start >= self._size:
            end = start + self._size - self._rows
            self._chunks.append(mapped(lambda part, a=start, b=end: part[a:b], chunk))
            yield from self.rest()
            start = end
        if start < rows:
            self._chunks.append(mapped(lambda part: part[start:], chunk))
            self._rows += rows - start

    def rest(self) -> Iterator[object]:
        """Yield what is left over, if there is anything."""
        chunks, self._chunks, self._rows = self._chunks, [], 0
        if chunks:
            yield chunks[0] if len(chunks) == 1 else mapped(_joined, *chunks)


def is_small(chunk: object) -> bool:
    """Tell arrays that are copied in no time, by their bytes; what is no array may be anything."""
    parts = list(parts_of(chunk))
    return all(hasattr(part, "nbytes") for part in parts) and (
        sum(part.nbytes for part in parts) <= COPY_INLINE
    )


def rows_of(chunk: object) -> int:
    """Return how many rows the arrays of a chunk have."""
    counts = {len(part) for part in parts_of(chunk)}
    if len(counts) != 1:
        told = " and ".join(map(str, sorted(counts))) or "no"
        raise ValueError(f"the arrays of a chunk have one number of rows, not {told}")
    return counts.pop()


def parts_of(chunk: Any) -> Iterator[Any]:
    """Yield the arrays in a chunk."""
    if isinstance(chunk, Mapping):
        chunk = tuple(chunk.values())
    if isinstance(chunk, (tuple, list)):
        for part in chunk:
            yield from parts_of(part)
    elif chunk is not None:
        yield chunk


def mapped(function: Callable[..., Any], first: Any, *others: Any) -> Any:
    """Do something with each array of chunks that are alike."""
    if isinstance(first, Mapping):
        return {k: mapped(function, v, *(o[k] for o in others)) for k, v in first.items()}
    if isinstance(first, (tuple, list)):
        pairs = zip(first, *others, strict=True)
        return type(first)(mapped(function, *each) for each in pairs)
    return None if first is None else function(first, *others)


def _joined(*parts: Any) -> Any:
    return np.concatenate(parts)

"""Arrays that a file holds, as batches of rows: read while a model trains, never as a whole."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Rows", "is_on_disk", "rows_of", "sliced"]


def is_on_disk(value: Any) -> bool:
    """Tell an ``np.memmap``; numpy is not imported for it."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.memmap and len(value.shape) > 0


def rows_of(value: Any) -> int:
    """Return the number of rows of the first array in a structure."""
    while isinstance(value, (list, tuple, Mapping)):
        value = next(iter(value.values() if isinstance(value, Mapping) else value))
    return len(value)


def sliced(value: Any, start: Any, stop: int) -> Any:
    """Return some rows of each array in a structure."""
    if isinstance(value, Mapping):
        return {key: sliced(part, start, stop) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(sliced(part, start, stop) for part in value)
    return None if value is None else value[start:stop]


class Rows:
    """Batches of ``(x, y, sample_weight)``, as far as these are given; anew for each epoch.

    Args:
        x: Samples, ``(samples, ...)``; a structure of arrays is one of several inputs.
        y: Targets.
        sample_weight: Weights.
        batch_size: Rows of a batch; the last one may have fewer.
        shuffle: Whether the rows' order is drawn for each epoch, from numpy's global generator.

    Raises:
        ValueError: The arrays have different numbers of rows.
    """

    def __init__(
        self, x: Any, y: Any, sample_weight: Any, *, batch_size: int, shuffle: bool = False
    ) -> None:
        self._parts = [part for part in (x, y, sample_weight) if part is not None]
        if y is None and sample_weight is not None:
            self._parts = [x, None, sample_weight]
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._count = rows_of(x)
        counts = [rows_of(part) for part in self._parts if part is not None]
        if len(set(counts)) != 1:
            raise ValueError(f"x, y and sample_weight have {' and '.join(map(str, counts))} rows")

    @property
    def steps(self) -> int:
        """How many batches there are."""
        return math.ceil(self._count / self._batch_size)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        order = self._order()
        for start in range(0, self._count, self._batch_size):
            stop = start + self._batch_size
            if order is None:
                yield tuple(sliced(self._parts, start, stop))
            else:
                yield tuple(_picked(part, order[start:stop]) for part in self._parts)

    def _order(self) -> Any:
        if not self._shuffle:
            return None
        from numpy import random  # noqa: PLC0415 - a description needs no numpy

        # As Keras draws it: so np.random.seed() makes it come out the same again.
        return random.permutation(self._count)  # noqa: NPY002 - that is the legacy generator


def _picked(value: Any, places: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _picked(part, places) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_picked(part, places) for part in value)
    return None if value is None else value[places]

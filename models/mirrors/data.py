"""Data for ``fit`` and its kin: rows as lists become arrays, structures stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from asyncbridge.models.mirrors.wire import is_remote

__all__ = ["Data", "DataTuple"]

_NUMBERS = frozenset({bool, int, float, complex, str})


def as_data(value: object) -> object:
    """Return data as Keras takes it: it refuses rows that are lists or tuples.

    Lists and tuples of numbers, or of rows of them, become one array. Those that hold arrays,
    dicts or what is in the worker are structures (several inputs), as they are for Keras, and
    so is a dict; their parts are converted.

    Raises:
        ValueError: The rows are not equally long, or hold what is no number or text.
    """
    if is_remote(value):
        return value
    if isinstance(value, Mapping):
        return {key: as_data(part) for key, part in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    if not _are_rows(value):
        return type(value)(as_data(part) for part in value)
    return _to_array(value)


def as_data_tuple(value: object) -> object:
    """Return ``(x, y)`` or ``(x, y, sample_weight)`` with each part as ``as_data`` gives it."""
    if isinstance(value, (list, tuple)):
        return tuple(as_data(part) for part in value)
    return value


def _are_rows(value: Iterable[object]) -> bool:
    """Tell rows from a structure, by the types alone: all in C loops for long rows."""
    from numpy import generic  # noqa: PLC0415 - a description needs no numpy

    kinds = set(map(type, value))
    if kinds <= {list, tuple}:
        return all(_are_rows(row) for row in value if isinstance(row, (list, tuple)))
    return all(kind in _NUMBERS or issubclass(kind, generic) for kind in kinds)


def _to_array(rows: list[object] | tuple[object, ...]) -> object:
    from numpy import asarray  # noqa: PLC0415 - as above

    try:
        return asarray(rows)
    except ValueError as error:
        raise ValueError(f"the rows make no array, they must be equally long ({error})") from None


Data = Annotated[object, as_data]
"""An array, a list of rows, a dict or list of such (several inputs), or what is in the worker."""
DataTuple = Annotated[object, as_data_tuple]
"""A tuple ``(x, y)`` or ``(x, y, sample_weight)`` of data, or what is in the worker."""

"""Weights that people give: arrays, or nested lists of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

from asyncbridge.models.mirrors.wire import is_handle

__all__ = ["as_array", "as_arrays"]


def as_arrays(weights: Iterable[object]) -> Any:
    """Return each as an array; what is one, or is in the worker, goes as it is.

    Raises:
        TypeError: They are not here yet.
    """
    if is_handle(weights):
        return weights
    if hasattr(weights, "__await__"):
        raise TypeError(f"weights: {weights!r} is no value yet: write `await` to have it")
    return [as_array(weight) for weight in weights]


def as_array(weight: object) -> object:
    """Return one as an array; what is one, or is in the worker, goes as it is."""
    if is_handle(weight) or hasattr(weight, "dtype"):
        return weight
    from numpy import asarray  # noqa: PLC0415 - a description needs no numpy

    return asarray(weight)

"""Weights that people give: arrays, or nested lists of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["as_arrays"]


def as_arrays(weights: Iterable[object]) -> list[object]:
    """Return each as an array; what is one goes as it is.

    Raises:
        TypeError: They are not here yet.
    """
    if hasattr(weights, "__await__"):
        raise TypeError(f"weights: {weights!r} is no value yet: write `await` to have it")
    return [_as_array(weight) for weight in weights]


def _as_array(weight: object) -> object:
    if hasattr(weight, "dtype"):
        return weight
    from numpy import asarray  # noqa: PLC0415 - a description needs no numpy

    return asarray(weight)

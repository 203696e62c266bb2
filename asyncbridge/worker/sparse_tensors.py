"""Sparse tensors of the frameworks as scipy's arrays, over the same memory."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from asyncbridge.serialization.registry import Unfit

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["check_rank", "compressed", "coordinates"]

Array = np.ndarray[Any, Any]


def check_rank(rank: int) -> None:
    """Refuse a sparse tensor that is no matrix, and any where scipy is not installed.

    Raises:
        Unfit: It is so.
    """
    if rank != 2 or find_spec("scipy") is None:
        raise Unfit(
            f"a sparse tensor of {rank} dimensions goes as scipy's only in two, where scipy is "
            "installed; send its indices, its values and its shape"
        )


def coordinates(values: Array, places: Sequence[Array], shape: tuple[int, ...]) -> object:
    """Return the matrix of values at these rows and columns; what stands twice adds up.

    Raises:
        Unfit: It is no matrix, or none that scipy has.
    """
    sparse = _scipy_for(values, shape)
    # Of nothing first: for values that it is given, scipy copies indices into smaller ones.
    matrix = sparse.coo_array((values[:0], tuple(part[:0] for part in places)), shape=shape)
    matrix.data, matrix.coords = values, tuple(places)
    return matrix


def compressed(
    form: Literal["csr", "csc", "bsr"],
    values: Array,
    indices: Array,
    starts: Array,
    shape: tuple[int, ...],
) -> object:
    """Return the matrix of values, or blocks, row by row or column by column.

    Raises:
        Unfit: It is no matrix, or none that scipy has.
    """
    sparse = _scipy_for(values, shape)
    kind = getattr(sparse, f"{form}_array")
    matrix = kind((values[:0], indices[:0], np.zeros(len(starts), starts.dtype)), shape=shape)
    matrix.data, matrix.indices, matrix.indptr = values, indices, starts
    return matrix


def _scipy_for(values: Array, shape: tuple[int, ...]) -> Any:
    check_rank(len(shape))
    if values.dtype.kind not in "biufc":
        raise Unfit(f"a sparse tensor of {values.dtype} has no wire form; convert it to numbers")
    if values.dtype == np.float16:
        raise Unfit("a sparse tensor of float16 has no form of scipy's; convert it to float32")
    from scipy import sparse  # noqa: PLC0415 - only for such a tensor

    return sparse

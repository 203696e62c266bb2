"""JAX's arrays as numpy's over the same memory, and its sparse matrices as scipy's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Never

import numpy as np

from asyncbridge.serialization.registry import Unfit
from asyncbridge.worker.sparse_tensors import check_rank, compressed, coordinates

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["pick_jax"]


def pick_jax(jax: ModuleType, kind: type) -> Callable[[Any], object] | None:
    """Return what turns JAX's objects of a type into arrays, None if nothing does."""
    if issubclass(kind, jax.Array):
        return np.asarray
    if issubclass(kind, jax.core.Tracer):
        return _refuse_tracer
    sparse = sys.modules.get("jax.experimental.sparse")
    if sparse is None:
        return None
    return {sparse.BCOO: _from_bcoo, sparse.BCSR: _from_bcsr}.get(kind)


def _refuse_tracer(tracer: object) -> Never:
    raise Unfit(
        "a tracer of JAX stands for an array while a function is transformed and has no value "
        "yet; return it from the function, and send what that gives"
    )


def _check_plain(matrix: Any) -> None:
    check_rank(len(matrix.shape))
    if matrix.n_batch or matrix.n_dense:
        raise Unfit(
            "a sparse array with batch or dense dimensions has no wire form; send its data, its "
            "indices and its shape"
        )


def _from_bcoo(matrix: Any) -> object:
    _check_plain(matrix)
    values, indices = np.asarray(matrix.data), np.asarray(matrix.indices)
    # Room that is not used has places outside.
    used = (indices < np.asarray(matrix.shape)).all(axis=1)
    if not used.all():
        values, indices = values[used], indices[used]
    return coordinates(values, (indices[:, 0], indices[:, 1]), matrix.shape)


def _from_bcsr(matrix: Any) -> object:
    _check_plain(matrix)
    starts = np.asarray(matrix.indptr)
    used = slice(int(starts[-1]))
    values, indices = np.asarray(matrix.data)[used], np.asarray(matrix.indices)[used]
    return compressed("csr", values, indices, starts, matrix.shape)

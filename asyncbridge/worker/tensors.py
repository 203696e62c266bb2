"""Tensors of the frameworks as numpy's arrays: as views, where a framework lends its memory.

A framework is looked up among what has been imported: a tensor is there only if that is.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncbridge.serialization.registry import Unfit

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["find"]

Convert = Callable[[Any], object]


def find(kind: type) -> Convert | None:
    """Return what turns objects of a type into arrays, None unless they are a framework's."""
    package = kind.__module__.partition(".")[0]
    name, pick = _PICKERS.get(package, ("", None))
    framework = sys.modules.get(name)
    if framework is None or pick is None:
        return None
    return pick(framework, kind)


# --- TensorFlow --------------------------------------------------------------------------


def _pick_tensorflow(tf: ModuleType, kind: type) -> Convert | None:
    if issubclass(kind, tf.SparseTensor):
        return _sparse_array
    if issubclass(kind, tf.RaggedTensor):
        return _rows
    if issubclass(kind, (tf.Tensor, tf.Variable)) and hasattr(kind, "numpy"):
        return np.asarray
    return None


def _sparse_array(tensor: Any) -> object:
    rank = len(tensor.shape)
    if rank != 2 or find_spec("scipy") is None:
        raise Unfit(
            f"a sparse tensor of {rank} dimensions goes as scipy's only in two, where scipy is "
            "installed; send its indices, values and dense_shape"
        )
    from scipy import sparse  # noqa: PLC0415 - only for such a tensor

    indices, values = np.asarray(tensor.indices), np.asarray(tensor.values)
    if values.dtype.kind not in "biufc":
        raise Unfit("a sparse tensor of other values than numbers has no wire form")
    shape = tuple(np.asarray(tensor.dense_shape).tolist())
    places = np.ascontiguousarray(indices.T)
    return sparse.coo_array((values, (places[0], places[1])), shape=shape)


def _rows(tensor: Any) -> list[object]:
    """Return a ragged tensor's rows, which are lists themselves where they are ragged, too."""
    splits = np.asarray(tensor.row_splits).tolist()
    inner = tensor.values
    values = _rows(inner) if hasattr(inner, "row_splits") else np.asarray(inner)
    return [values[start:end] for start, end in itertools.pairwise(splits)]


# --- the others --------------------------------------------------------------------------


def _pick_keras(keras: ModuleType, kind: type) -> Convert | None:
    if not issubclass(kind, keras.Variable):
        return None
    to_numpy: Convert = keras.ops.convert_to_numpy
    return to_numpy


def _pick_jax(jax: ModuleType, kind: type) -> Convert | None:
    return np.asarray if issubclass(kind, jax.Array) else None


def _pick_torch(torch: ModuleType, kind: type) -> Convert | None:
    return _from_torch if issubclass(kind, torch.Tensor) else None


def _from_torch(tensor: Any) -> object:
    torch = sys.modules["torch"]
    if tensor.layout is not torch.strided or tensor.is_quantized:
        raise Unfit(f"a tensor of layout {tensor.layout} has no wire form; send its to_dense()")
    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    if plain.dtype is not torch.bfloat16:
        return plain.numpy()
    from ml_dtypes import bfloat16  # noqa: PLC0415 - numpy has none of its own

    return plain.view(torch.int16).numpy().view(bfloat16)


_PICKERS: dict[str, tuple[str, Callable[[ModuleType, type], Convert | None]]] = {
    "tensorflow": ("tensorflow", _pick_tensorflow),
    "keras": ("keras", _pick_keras),
    "jax": ("jax", _pick_jax),
    "jaxlib": ("jax", _pick_jax),
    "torch": ("torch", _pick_torch),
}
"""By the package that a type says it is of: the framework, and what knows its types."""

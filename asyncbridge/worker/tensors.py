"""Tensors of the frameworks as numpy's arrays: as views, where a framework lends its memory.

A framework is looked up among what has been imported: a tensor is there only if that is.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncbridge.worker.jax_arrays import pick_jax
from asyncbridge.worker.sparse_tensors import check_rank, coordinates
from asyncbridge.worker.torch_tensors import from_torch

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
    if issubclass(kind, tf.Variable):
        return _from_tensorflow_variable
    return np.asarray if issubclass(kind, tf.Tensor) and hasattr(kind, "numpy") else None


def _from_tensorflow_variable(variable: Any) -> object:
    # What is read stays as it is when the variable changes; its own numpy() copies.
    return np.asarray(variable.read_value())


def _sparse_array(tensor: Any) -> object:
    check_rank(len(tensor.shape))
    indices, values = np.asarray(tensor.indices), np.asarray(tensor.values)
    shape = tuple(np.asarray(tensor.dense_shape).tolist())
    return coordinates(values, (indices[:, 0], indices[:, 1]), shape)


def _rows(tensor: Any) -> list[object]:
    """Return a ragged tensor's rows, which are lists themselves where they are ragged, too."""
    splits = np.asarray(tensor.row_splits).tolist()
    inner = tensor.values
    values = _rows(inner) if hasattr(inner, "row_splits") else np.asarray(inner)
    return [values[start:end] for start, end in itertools.pairwise(splits)]


# --- the others --------------------------------------------------------------------------


def _pick_keras(keras: ModuleType, kind: type) -> Convert | None:
    return _from_variable if issubclass(kind, keras.Variable) else None


def _from_variable(variable: Any) -> object:
    """Return the array of what the backend keeps for a variable: Keras's own way copies it."""
    value = variable.value
    convert = find(type(value))
    return np.asarray(value) if convert is None else convert(value)


def _pick_torch(torch: ModuleType, kind: type) -> Convert | None:
    return from_torch if issubclass(kind, torch.Tensor) else None


_PICKERS: dict[str, tuple[str, Callable[[ModuleType, type], Convert | None]]] = {
    "tensorflow": ("tensorflow", _pick_tensorflow),
    "keras": ("keras", _pick_keras),
    "jax": ("jax", pick_jax),
    "jaxlib": ("jax", pick_jax),
    "torch": ("torch", _pick_torch),
}
"""By the package that a type says it is of: the framework, and what knows its types."""

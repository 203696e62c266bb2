"""Results of Keras as plain data."""

from __future__ import annotations

from operator import is_
from typing import Any

import keras
import numpy as np

from asyncbridge.worker.tensors import find
from asyncbridge.worker.torch_tensors import is_ordinary

__all__ = ["plain"]

_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, np.ndarray})
_CONTAINERS = frozenset({list, tuple, dict})


def plain(value: Any) -> Any:
    """Return a result with numpy arrays in place of the backend's tensors and variables.

    They may stand inside of tuples, lists and dicts, which keep their structure; those of other
    classes, such as TensorFlow's named tuples and the lists and dicts by which Keras tracks the
    attributes of a layer, become plain ones. Everything else stays as it is, sparse and ragged
    tensors too; a result without tensors is returned itself.
    """
    if type(value) in _PLAIN:
        return value
    value = _contained(value)
    if not any(_is_dense(leaf) for leaf in keras.tree.flatten(value)):
        return value
    return keras.tree.map_structure(_as_array, value)


def _contained(value: Any) -> Any:
    """Return plain containers where there are others; the value itself if there are none."""
    if not isinstance(value, (list, tuple, dict)):
        return value
    parts = list(value.values() if isinstance(value, dict) else value)
    kept = [_contained(part) for part in parts]
    if type(value) in _CONTAINERS and all(map(is_, kept, parts)):
        return value
    if isinstance(value, dict):
        return dict(zip(value, kept, strict=True))
    return kept if isinstance(value, list) else tuple(kept)


def _as_array(leaf: Any) -> Any:
    if not _is_dense(leaf):
        return leaf
    # Keras's own conversion copies; these are views where there can be, copied as they leave.
    convert = find(type(leaf)) or keras.ops.convert_to_numpy
    return convert(leaf)


def _is_dense(leaf: Any) -> bool:
    if type(leaf) in _PLAIN:
        return False
    if isinstance(leaf, keras.Variable):
        return True
    # Only what holds numbers in rows and columns can be an array: no sparse or ragged tensor.
    if not keras.ops.is_tensor(leaf) or not hasattr(leaf, "__array__"):
        return False
    return keras.backend.backend() != "torch" or is_ordinary(leaf)

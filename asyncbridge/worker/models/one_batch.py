"""The predictions of one batch on TensorFlow, as ``model.predict`` makes them, but at once.

``model.predict`` puts its arrays into a ``tf.data`` pipeline, takes tensors out of it, batch by
batch, and hands them to the model's ``predict_function``. For arrays of one batch the tensors
are known without the pipeline. The same function gets the same tensors, so not a bit of the
result differs, and nothing is traced twice. Whatever is out of the ordinary is left to
``model.predict``.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from asyncbridge.worker.models.values import plain

__all__ = ["predicted", "prepared"]

_KINDS = frozenset("biuf")
"""Booleans, integers and floats, as numpy names them: text and others are converted in ways of
their own."""
_BATCH_SIZE = 32
"""What Keras takes when none is given."""


def prepared(model: Any, x: Any, batch_size: Any) -> Any:
    """Return the batch that ``model.predict(x)`` would make, or None if that is not certain."""
    arrays = _arrays(x)
    if arrays is None or not _is_one_batch(arrays, batch_size) or not _is_ordinary(model):
        return None
    # The pipeline knows tuples only; a list or tuple of inputs is wrapped, lest it should be
    # taken for inputs, targets and weights.
    data = keras.tree.lists_to_tuples(keras.tree.map_structure(_as_tensor, x))
    return (data,) if isinstance(data, tuple) else data


def predicted(model: Any, batch: Any) -> Any:
    """Do what ``model.predict`` does with its one batch."""
    model.make_predict_function()
    model.stop_predicting = False
    outputs = model.predict_function([batch])
    if isinstance(outputs, tf.Tensor):
        return outputs.numpy()
    return plain(keras.tree.map_structure(_as_array, outputs))


def _as_array(output: Any) -> Any:
    """Return an array with elements of its own, as ``model.predict`` does: not a view of a tensor."""
    return output.numpy() if isinstance(output, tf.Tensor) else output


def _arrays(x: Any) -> list[np.ndarray[Any, Any]] | None:
    """Return the arrays in the structure, or None if it holds anything else."""
    if type(x) is np.ndarray:
        return [x]
    if type(x) not in {list, tuple, dict} or not x:
        return None
    arrays: list[np.ndarray[Any, Any]] = []
    for each in x.values() if type(x) is dict else x:
        inner = _arrays(each)
        if inner is None:
            return None
        arrays += inner
    return arrays


def _is_one_batch(arrays: list[np.ndarray[Any, Any]], batch_size: Any) -> bool:
    if batch_size is None:
        batch_size = _BATCH_SIZE
    if type(batch_size) is not int or any(array.ndim == 0 for array in arrays):
        return False
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or not 1 <= lengths.pop() <= batch_size:
        return False
    return all(array.dtype.kind in _KINDS and array.dtype.isnative for array in arrays)


def _is_ordinary(model: Any) -> bool:
    """Tell whether ``model.predict`` would do here what Keras's own does, on one device.

    A model that is not built is left to it, too: it is built from the pipeline's batch.
    """
    return (
        isinstance(model, keras.Model)
        and type(model).predict is keras.Model.predict
        and "predict" not in vars(model)
        and model.built
        and not tf.distribute.has_strategy()
        and model.distribute_strategy is tf.distribute.get_strategy()
        and keras.distribution.distribution() is None
    )


def _as_tensor(array: np.ndarray[Any, Any]) -> Any:
    floatx = keras.config.floatx()
    if array.dtype.kind == "f" and array.dtype.name != floatx:
        array = array.astype(floatx)
    return tf.constant(array)

"""Training and evaluation, with results as plain data."""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncbridge.worker.models.messages import without_data
from asyncbridge.worker.models.printing import printing
from asyncbridge.worker.models.values import plain

__all__ = ["evaluate", "fit", "test_on_batch", "train_on_batch"]


@without_data
def fit(model: Any, **arguments: Any) -> dict[str, Any]:
    """Train as ``model.fit`` does, and return what its ``History`` holds.

    Returns:
        ``history``: for each metric its values, one for each epoch, floats (or lists of floats,
        for a metric with one value for each class); ``epoch``: the epochs, counted from 0; and
        ``params``, as Keras has them.
    """
    with printing(arguments):
        history = model.fit(**arguments)
    return {
        "history": {
            name: [_number(value) for value in values] for name, values in history.history.items()
        },
        "epoch": [int(epoch) for epoch in history.epoch],
        "params": dict(history.params),
    }


@without_data
def evaluate(model: Any, **arguments: Any) -> Any:
    """Return what ``model.evaluate`` does: a float, a list of them, or a dict by name."""
    with printing(arguments):
        return plain(model.evaluate(**arguments))


@without_data
def train_on_batch(model: Any, **arguments: Any) -> Any:
    """Return what ``model.train_on_batch`` does, as plain data."""
    return plain(model.train_on_batch(**arguments))


@without_data
def test_on_batch(model: Any, **arguments: Any) -> Any:
    """Return what ``model.test_on_batch`` does, as plain data."""
    return plain(model.test_on_batch(**arguments))


def _number(value: Any) -> Any:
    try:
        return np.asarray(plain(value), "float64").tolist()
    except (TypeError, ValueError):
        # A callback may put anything into the logs; the training is not lost for it.
        return value

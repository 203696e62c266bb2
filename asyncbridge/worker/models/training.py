"""Training and evaluation, with results as plain data."""

from __future__ import annotations

from typing import Any

import keras

from asyncbridge.worker.models.messages import without_data
from asyncbridge.worker.models.printing import printing
from asyncbridge.worker.models.reporting import ProgressCallback, number
from asyncbridge.worker.models.values import plain

__all__ = ["evaluate", "fit", "test_on_batch", "train_on_batch"]


@without_data
def fit(model: Any, *, callbacks: Any = None, **arguments: Any) -> dict[str, Any]:
    """Train as ``model.fit`` does, report the progress, and return what its ``History`` holds.

    Returns:
        ``history``: for each metric its values, one for each epoch, floats (or lists of floats,
        for a metric with one value for each class); ``epoch``: the epochs, counted from 0; and
        ``params``, as Keras has them.
    """
    history = model.fit(**arguments, callbacks=_watched(callbacks, arguments))
    return {
        "history": {
            str(name): [number(value) for value in values]
            for name, values in history.history.items()
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


def _watched(callbacks: Any, arguments: dict[str, Any]) -> Any:
    """Return the callbacks with one more, the last: it sees what the others put into the logs."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks  # whoever makes one sees to everything in it
    given = keras.tree.flatten(callbacks) if callbacks else []
    epochs, begin = arguments.get("epochs", 1), arguments.get("initial_epoch", 0)
    return [*given, ProgressCallback(epochs=int(epochs), initial_epoch=int(begin))]

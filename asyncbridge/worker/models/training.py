"""Training and evaluation, with results as plain data."""

from __future__ import annotations

from typing import Any

from asyncbridge.worker.models.messages import without_data
from asyncbridge.worker.models.printing import printing
from asyncbridge.worker.models.reporting import ProgressCallback, number
from asyncbridge.worker.models.stops import check_stopped, interruptible, with_callback
from asyncbridge.worker.models.streaming import (
    adapted,
    ending,
    quiet_ends,
    shortage,
    validation_shortage,
    were_cut,
)
from asyncbridge.worker.models.values import plain
from asyncbridge.worker.stopping import stop_asked

__all__ = ["evaluate", "fit", "test_on_batch", "train_on_batch"]


@without_data
@interruptible
def fit(model: Any, *, callbacks: Any = None, **arguments: Any) -> dict[str, Any]:
    """Train as ``model.fit`` does, report the progress, and return what its ``History`` holds.

    One that is asked to stop does so after the batch that runs, with the history up to there.

    Returns:
        ``history``: for each metric its values, one for each epoch, floats (or lists of floats,
        for a metric with one value for each class); ``epoch``: the epochs, counted from 0;
        ``params``, as Keras has them; whether it was ``stopped``; and ``ran_out``, if a source
        ended early: how many batches there were, of how many; ``validation_ran_out``, likewise.
    """
    epochs, begin = arguments.get("epochs", 1), arguments.get("initial_epoch", 0)
    reporting = ProgressCallback(epochs=int(epochs), initial_epoch=int(begin))
    arguments = adapted(arguments)
    with quiet_ends(arguments):
        listed = ending(arguments, with_callback(callbacks, reporting))
        history = model.fit(**arguments, callbacks=listed)
    # An epoch that was stopped before its first batch has computed nothing.
    whole = len(history.epoch) - reporting.ended_empty
    stopped = reporting.stopped or (were_cut(arguments) and stop_asked())
    return {
        "history": {
            str(name): [number(value) for value in values[:whole]]
            for name, values in history.history.items()
        },
        "epoch": [int(epoch) for epoch in history.epoch[:whole]],
        "params": dict(history.params),
        "stopped": stopped,
        "ran_out": shortage(listed, int(epochs) - int(begin)),
        "validation_ran_out": None if stopped else validation_shortage(listed),
    }


@without_data
@interruptible
def evaluate(model: Any, *, callbacks: Any = None, **arguments: Any) -> Any:
    """Return what ``model.evaluate`` does: a float, a list of them, or a dict by name.

    Raises:
        CommandStopped: It was asked to stop.
    """
    arguments = adapted(arguments)
    with printing(arguments), quiet_ends(arguments):
        result = plain(model.evaluate(**arguments, callbacks=with_callback(callbacks)))
    check_stopped("evaluation")
    return result


@without_data
@interruptible
def train_on_batch(model: Any, **arguments: Any) -> Any:
    """Return what ``model.train_on_batch`` does, as plain data."""
    return plain(model.train_on_batch(**arguments))


@without_data
@interruptible
def test_on_batch(model: Any, **arguments: Any) -> Any:
    """Return what ``model.test_on_batch`` does, as plain data."""
    return plain(model.test_on_batch(**arguments))

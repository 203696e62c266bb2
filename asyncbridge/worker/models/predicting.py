"""Predictions: those that fit one batch go the short way."""

from __future__ import annotations

from typing import Any

import keras

from asyncbridge.worker import parts
from asyncbridge.worker.models.messages import without_data
from asyncbridge.worker.models.printing import printing
from asyncbridge.worker.models.stops import check_stopped, interruptible, with_callback
from asyncbridge.worker.models.streaming import adapted, batches_of, quiet_ends
from asyncbridge.worker.models.values import plain

__all__ = ["predict", "predict_on_batch"]


@without_data
@interruptible
def predict(model: Any, x: Any, verbose: Any = 0, **arguments: Any) -> Any:
    """Return what ``model.predict`` does, as plain data.

    On TensorFlow, arrays with no more rows than a batch go straight to the function that
    ``model.predict`` would call for their one batch, past its input pipeline, which takes most
    of its time. The results are the same.

    Where the client wants the value in parts, they are given one by one, and nothing is returned.

    Raises:
        CommandStopped: It was asked to stop.
    """
    if parts.are_wanted():
        return _in_parts(model, x, **arguments)
    if keras.backend.backend() == "tensorflow" and _is_plain(verbose, **arguments):
        from asyncbridge.worker.models import one_batch  # noqa: PLC0415 - of TensorFlow alone

        batch = one_batch.prepared(model, x, arguments.get("batch_size"))
        if batch is not None:
            return one_batch.predicted(model, batch)
    arguments |= {"verbose": verbose, "callbacks": with_callback(arguments.get("callbacks"))}
    arguments |= adapted({"x": x})
    with printing(arguments), quiet_ends(arguments):
        result = plain(model.predict(**arguments))
    check_stopped("prediction")
    return result


@without_data
@interruptible
def predict_on_batch(model: Any, **arguments: Any) -> Any:
    """Return what ``model.predict_on_batch`` does, as plain data."""
    return plain(model.predict_on_batch(**arguments))


def _in_parts(
    model: Any, x: Any, *, batch_size: Any = None, steps: Any = None, callbacks: Any = None
) -> None:
    """Give the predictions of each batch, and keep none."""
    listed = with_callback(callbacks)
    told = (
        listed
        if isinstance(listed, keras.callbacks.CallbackList)
        else keras.callbacks.CallbackList(listed, model=model, steps=steps, epochs=1, verbose=0)
    )
    model.stop_predicting = False
    told.on_predict_begin()
    for number, batch in enumerate(batches_of(x, batch_size, steps)):
        told.on_predict_batch_begin(number)
        outputs = plain(model.predict_on_batch(batch))
        parts.give(outputs)
        told.on_predict_batch_end(number, {"outputs": outputs})
        if model.stop_predicting:
            break
    told.on_predict_end()
    check_stopped("prediction")


def _is_plain(
    verbose: Any, *, batch_size: Any = None, steps: Any = None, callbacks: Any = None, **others: Any
) -> bool:
    """Tell whether nothing is to be printed, counted or called back."""
    return type(verbose) is int and verbose == 0 and steps is None and not callbacks and not others

"""A training's progress, as reports for the client."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from asyncbridge.worker.models.values import plain
from asyncbridge.worker.progress import report
from asyncbridge.worker.stopping import shield, stop_asked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["BATCH_SECONDS", "ProgressCallback", "StopCallback", "number"]

BATCH_SECONDS = 0.1
"""Seconds between two reports of batches, at least."""


class StopCallback(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Ends a training, an evaluation or a prediction after the batch that runs, if asked to."""

    # Backends that run callbacks beside the training need not wait for this one.
    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self.stopped = False
        """Whether it has ended a training."""
        self.cut_validation = False
        """Whether it has ended the validation of one, whose metrics are of a part then."""

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Look once more: a validation may have come in between."""
        self._look("stop_training")

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """End the training."""
        shield(up=False)
        self._look("stop_training")

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """End the evaluation, and the training that it validates."""
        shield(up=False)
        self.cut_validation |= self._look("stop_evaluating")
        self._look("stop_training")

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """End the prediction."""
        shield(up=False)
        self._look("stop_predicting")

    def _look(self, name: str) -> bool:
        if not stop_asked():
            return False
        # On JAX this may be a thread beside the training's, and a look at `self.model` takes back
        # what the model's variables were before the batch that runs, which are of no use any more.
        on_jax = keras.backend.backend() == "jax"
        setattr(self._model if on_jax else self.model, name, True)
        self.stopped |= name == "stop_training"
        return True


class CutValidationCallback(keras.callbacks.Callback):  # type: ignore[misc]  # as above
    """Takes the metrics of a validation that was cut off out of the logs: they are of a part.

    The first callback, so that no other one takes them for a value to choose the best by.

    Args:
        stop: What cuts it off.
    """

    async_safe = True

    def __init__(self, stop: StopCallback) -> None:
        super().__init__()
        self._stop = stop

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look whether there was one; all callbacks are given the same logs."""
        if self._stop.cut_validation and logs:
            for name in [name for name in logs if name.startswith("val_")]:
                del logs[name]


class ProgressCallback(StopCallback):
    """Reports epochs and, now and then, a batch; ends the training if asked to.

    Args:
        epochs: The epoch to stop after.
        initial_epoch: The first one.
        clock: Seconds.
    """

    def __init__(
        self, *, epochs: int, initial_epoch: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._epochs = epochs
        self._epoch = initial_epoch
        self._clock = clock
        self._begun = self._next_batch = clock()
        self._step = 0
        self._steps: int | None = None
        self.ended_empty = False
        """Whether the last epoch was stopped before its first batch."""

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Report that the training begins."""
        self._begun = self._next_batch = self._clock()
        self._steps = (self.params or {}).get("steps")
        self._tell("train_begin", {})

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report that an epoch begins."""
        super().on_epoch_begin(epoch, logs)
        self._epoch, self._step = epoch, 0
        self._tell("epoch_begin", {})

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report a batch, if the last report of one is long enough ago."""
        super().on_train_batch_end(batch, logs)
        self._step = batch + 1
        now = self._clock()
        if now >= self._next_batch:
            self._next_batch = now + BATCH_SECONDS
            self._tell("batch_end", logs or {}, transient=True)

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Report the validation behind an epoch, if it is whole."""
        # A stream that was cut has no last batch to look after.
        self.cut_validation |= self._look("stop_evaluating")
        if self.cut_validation:
            return
        self._tell("validation_end", {f"val_{name}": value for name, value in (logs or {}).items()})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report the end of an epoch, unless it was stopped before its first batch."""
        self.ended_empty = self._step == 0 and stop_asked()
        if self.ended_empty:
            return
        if self._steps is None:  # a pipeline of unknown length: now it is known
            self._steps = self._step
        self._tell("epoch_end", logs or {})

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Report the end of the training."""
        self._tell("train_end", logs or {})

    def _tell(self, kind: str, logs: Mapping[str, Any], *, transient: bool = False) -> None:
        event = {
            "kind": kind,
            "epoch": int(self._epoch),
            "epochs": self._epochs,
            "step": int(self._step),
            "steps": None if self._steps is None else int(self._steps),
            "logs": _numbers(logs),
            "elapsed": self._clock() - self._begun,
        }
        report(event, transient=transient)


def _numbers(logs: Mapping[str, Any]) -> dict[str, float | list[Any]]:
    """Return the metrics alone: a callback may put anything else into the logs."""
    numbers = ((str(name), number(value)) for name, value in logs.items())
    return {name: value for name, value in numbers if isinstance(value, (float, list))}


def number(value: Any) -> Any:
    """Return a metric's value as a float, or floats; what is neither, as it is."""
    try:
        return np.asarray(plain(value), "float64").tolist()
    except (TypeError, ValueError):
        # A callback may put anything into the logs; the training is not lost for it.
        return value

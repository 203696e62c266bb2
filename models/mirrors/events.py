"""What a training tells of itself while it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = [
    "AnyTrainingEvent",
    "BatchEnd",
    "EpochBegin",
    "EpochEnd",
    "TrainBegin",
    "TrainEnd",
    "TrainingEvent",
    "ValidationEnd",
    "event_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEvent:
    """Something that happened in a training; the moments are those of Keras's callbacks.

    Attributes:
        epoch: Index of the epoch, from 0 as in Keras.
        epochs: The epoch to stop after, as ``fit`` was told.
        step: Steps done in this epoch.
        steps: Steps of an epoch; None while Keras does not know.
        logs: Metrics by name: floats, or lists of floats for one value per class.
        elapsed: Seconds since the training began, by the worker's clock.

    https://keras.io/api/callbacks/base_callback/
    """

    epoch: int
    epochs: int
    step: int
    steps: int | None
    logs: Mapping[str, Any]
    elapsed: float


class TrainBegin(TrainingEvent):
    """The first epoch is about to begin."""

    __slots__ = ()


class EpochBegin(TrainingEvent):
    """An epoch begins."""

    __slots__ = ()


class BatchEnd(TrainingEvent):
    """A step is done; at most ten a second are told, and slow readers get the newest alone."""

    __slots__ = ()


class ValidationEnd(TrainingEvent):
    """The validation behind an epoch is done; ``logs`` are its metrics, as ``val_...``."""

    __slots__ = ()


class EpochEnd(TrainingEvent):
    """An epoch is done; ``logs`` are what the history keeps of it."""

    __slots__ = ()


class TrainEnd(TrainingEvent):
    """The training has come to its end; one that fails has no such event."""

    __slots__ = ()


AnyTrainingEvent: TypeAlias = (
    TrainBegin | EpochBegin | BatchEnd | ValidationEnd | EpochEnd | TrainEnd
)
"""Each that there is: a ``match`` over them is exhaustive. ``TrainingEvent`` is their base."""
_KINDS: dict[object, type[AnyTrainingEvent]] = {
    "train_begin": TrainBegin,
    "epoch_begin": EpochBegin,
    "batch_end": BatchEnd,
    "validation_end": ValidationEnd,
    "epoch_end": EpochEnd,
    "train_end": TrainEnd,
}


def event_of(report: object) -> AnyTrainingEvent | None:
    """Return the event that a worker's report tells of; None for what is none."""
    match report:
        case {
            "kind": str(kind),
            "epoch": int(epoch),
            "epochs": int(epochs),
            "step": int(step),
            "steps": int() | None as steps,
            "logs": dict(logs),
            "elapsed": float(elapsed),
        } if kind in _KINDS and math.isfinite(elapsed) and _are_metrics(logs):
            return _KINDS[kind](
                epoch=epoch, epochs=epochs, step=step, steps=steps, logs=logs, elapsed=elapsed
            )
    return None


def _are_metrics(logs: dict[object, object]) -> bool:
    return all(
        isinstance(name, str) and isinstance(value, (float, list)) for name, value in logs.items()
    )

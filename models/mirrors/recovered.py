"""What a training has come to that another process had begun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncbridge.models.mirrors.history import TrainingHistory

__all__ = ["completed", "history_of"]


def completed(history: TrainingHistory, value: Any) -> TrainingHistory:
    """Put the raw value of a ``fit`` in the place of what a history has noted of it.

    Raises:
        ValueError: It is no value of a ``fit``.
    """
    history._complete(history_of(value))
    return history


def history_of(value: Any) -> TrainingHistory:
    """Make a history of the raw value of a ``fit``, which ``bridge.promise(id)`` gives.

    ``await bridge.promise(id, transform=keras.history_of)``; ``promise_factory=keras.Training``
    does it by itself, and tells the progress. It has no model: that is the earlier process's
    mirror.

    Args:
        value: As the worker tells it.

    Raises:
        ValueError: It is no value of a ``fit``.
    """
    raw = value[0] if isinstance(value, tuple | list) and len(value) == 2 else value
    if not isinstance(raw, Mapping) or not {"history", "epoch", "params"} <= raw.keys():
        raise ValueError(f"history_of() takes what a fit has given, not {value!r:.80}")
    return TrainingHistory(
        raw["history"],
        epochs=raw["epoch"],
        params=raw["params"],
        state="stopped" if raw.get("stopped", False) else "complete",
    )

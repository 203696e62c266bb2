"""Callbacks of Keras: they run in the worker, while a model trains.

https://keras.io/api/callbacks/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from asyncbridge.models.mirrors.mirror import Mirror

if TYPE_CHECKING:
    from asyncbridge.promise import Promise

__all__ = ["Callback", "History"]


class Callback(Mirror):
    """The base of all callbacks, for ``fit``, ``evaluate`` and ``predict``.

    What one holds afterwards is fetched by name: ``await stopping.fetch("stopped_epoch")``.
    A callback of the user's own is a class that is defined in the worker.

    https://keras.io/api/callbacks/base_callback/
    """

    keras_name = "keras.callbacks.Callback"

    def __init__(self) -> None:
        self._describe(Callback, locals())

    def set_model(self, model: Mirror) -> Promise[None]:
        """Tell it which model it is for, as ``fit`` does."""
        return self._call(Callback.set_model, locals())

    def set_params(self, params: Mapping[str, object]) -> Promise[None]:
        """Tell it what the training is like, as ``fit`` does."""
        return self._call(Callback.set_params, locals())


class History(Callback):
    """Keras's own record of a training; ``fit`` promises a ``TrainingHistory`` without it.

    https://keras.io/api/models/model_training_apis/#fit-method
    """

    keras_name = "keras.callbacks.History"

    def __init__(self) -> None:
        self._describe(History, locals())

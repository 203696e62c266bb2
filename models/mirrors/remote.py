"""Objects in the worker that have no mirror class of their own."""

from __future__ import annotations

from typing import Any

from asyncbridge.models.mirrors.mirror import Mirror

__all__ = ["RemoteObject"]


class RemoteObject(Mirror):
    """What a function of Keras gives that stays in the worker: an argument for other calls."""

    keras_name = "builtins.object"

    def __init__(self) -> None:
        raise TypeError(f"a {type(self).__name__} is what a function of Keras gives")

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """Call it; see ``keras.layers.Layer``."""
        return self._apply(RemoteObject.__call__, locals())

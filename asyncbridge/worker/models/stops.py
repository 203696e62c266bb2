"""Calls of models that can be stopped in the middle."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import keras

from asyncbridge.worker.models.reporting import CutValidationCallback, StopCallback
from asyncbridge.worker.stopping import (
    CommandStopped,
    heed_stop,
    is_interrupted,
    shield,
    stop_asked,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check_stopped", "interruptible", "with_callback"]

P = ParamSpec("P")
T = TypeVar("T")

FUNCTIONS = ("train_function", "test_function", "predict_function")
"""The compiled functions of a model, which it makes again when they are None."""


def interruptible(function: Callable[P, T]) -> Callable[P, T]:
    """Leave the model, the first argument, usable when the call is interrupted.

    A function that was being traced is half made: the next call would fail in it. What is made for
    the first batch, as the optimizer's variables are, is not made anew so easily: until that is
    over no interrupt comes.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        shield(up=True)
        try:
            return function(*args, **kwargs)
        except BaseException:
            shield(up=False)
            if is_interrupted():
                for name in FUNCTIONS:
                    setattr(args[0], name, None)
            raise

    return call


def with_callback(callbacks: Any, callback: StopCallback | None = None) -> Any:
    """Return a call's callbacks with one more, the last: it sees what the others have done.

    Of a training that is given one, another stands before them: what is cut off is not for them.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        shield(up=False)  # nobody would tell when the first batch is over
        return callbacks  # whoever makes one sees to everything in it
    # Not before: with a list that is left alone nobody would look.
    heed_stop()
    given = keras.tree.flatten(callbacks) if callbacks else []
    if callback is None:
        return [*given, StopCallback()]
    return [CutValidationCallback(callback), *given, callback]


def check_stopped(what: str) -> None:
    """Raise ``CommandStopped`` if the call was to stop: what it returned is not the whole."""
    if stop_asked():
        raise CommandStopped(f"the {what} was stopped")

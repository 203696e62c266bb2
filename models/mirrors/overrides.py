"""Methods that Keras calls: a class of the user's cannot have its own of them, on this side."""

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import Final

__all__ = ["refuse_overrides"]

_CALLED_BY_KERAS: Final = frozenset({
    "__call__",
    "call",
    "compute_loss",
    "compute_mask",
    "compute_metrics",
    "compute_output_spec",
    "make_predict_function",
    "make_test_function",
    "make_train_function",
    "predict_step",
    "test_step",
    "train_step",
    "update_step",
})  # fmt: skip
"""What the mirrors' own classes do not have, or have under a name of Python's."""
_CALLED_HERE: Final = frozenset({
    "add",
    "compile",
    "count_params",
    "evaluate",
    "export",
    "fetch",
    "fit",
    "get_layer",
    "get_weights",
    "load_weights",
    "named_weights",
    "pop",
    "predict",
    "predict_on_batch",
    "save",
    "save_weights",
    "set_named_weights",
    "set_weights",
    "summary",
    "test_on_batch",
    "train_on_batch",
})  # fmt: skip
"""What the app calls, and Keras does not: a subclass may add to it on this side."""
_HOOK: Final = "on_"
"""What the names of a callback's methods begin with."""


@cache
def refuse_overrides(cls: type[object]) -> None:
    """Refuse a mirror's subclass whose methods would have to run in the worker.

    Raises:
        TypeError: A class of the user's overrides what Keras calls.
    """
    for base in cls.__mro__:
        if base.__module__.startswith("asyncbridge."):
            return
        for name, value in vars(base).items():
            if isinstance(value, FunctionType) and _is_called_by_keras(base, name):
                raise TypeError(
                    f"{base.__name__}.{name}() would have to run in the worker, where Keras "
                    "calls it: define the class there, with bridge.send() or bridge.run()"
                )


def _is_called_by_keras(cls: type, name: str) -> bool:
    if name in _CALLED_BY_KERAS or name.startswith(_HOOK):
        return True
    if name[0] == "_" or name in _CALLED_HERE:
        return False
    return any(name in vars(base) for base in cls.__mro__[1:])

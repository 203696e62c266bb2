"""Mirrors: Keras's names, signatures and namespaces, with no Keras in this process.

``from asyncbridge import models as keras`` reads as Keras does: ``keras.Sequential``,
``keras.layers.Dense``. What every model needs is imported here, for an app imports before its
event loop runs; the namespaces are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if __name__ != "asyncbridge.models":
    raise ImportError(
        "this folder is imported as 'asyncbridge.models'; the repository's root is on "
        "sys.path, or the project is not installed"
    )

# Opening a bridge needs it; see above.
import asyncbridge.client  # noqa: F401 # pyright: ignore[reportUnusedImport]
from asyncbridge.models.layers import Input, Layer
from asyncbridge.models.mirrors.mirror import Mirror
from asyncbridge.models.mirrors.model import Model, Sequential

if TYPE_CHECKING:
    from asyncbridge.models import layers, losses, metrics, models, optimizers, utils
    from asyncbridge.models.losses import Loss
    from asyncbridge.models.metrics import Metric
    from asyncbridge.models.mirrors.history import TrainingHistory
    from asyncbridge.models.optimizers import Optimizer

__all__ = [  # noqa: RUF022 - grouped
    # models
    "Input",
    "Model",
    "Sequential",
    # bases
    "Layer",
    "Loss",
    "Metric",
    "Optimizer",
    # namespaces
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "utils",
    # asyncbridge's own
    "Mirror",
    "TrainingHistory",
]

_HOMES = {
    "Loss": "losses",
    "Metric": "metrics",
    "Optimizer": "optimizers",
    "TrainingHistory": "mirrors.history",
}
"""The file that each name other than a namespace's stands in."""


if not TYPE_CHECKING:
    # Hidden from type checkers: with it, they would take any misspelt name for granted.
    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = import_module(f"{__name__}.{_HOMES.get(name, name)}")
        value = getattr(home, name) if name in _HOMES else home
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

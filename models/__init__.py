"""Mirrors: Keras's names, signatures and namespaces, with no Keras in this process.

``from asyncbridge import models as keras`` reads as Keras does: ``keras.Sequential``,
``keras.layers.Dense``. What every model needs is imported here, for an app imports before its
event loop runs; the other namespaces are loaded when they are first used.

The namespaces are generated from the installed Keras (``KERAS_VERSION``) by
``tools/generate_mirrors.py``. This file and those of ``mirrors/`` are by hand.
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
from asyncbridge.models import layers, losses, metrics, optimizers
from asyncbridge.models.layers import Input, Layer
from asyncbridge.models.losses import Loss
from asyncbridge.models.metrics import Metric
from asyncbridge.models.mirrors.mirror import Mirror
from asyncbridge.models.mirrors.model import Model
from asyncbridge.models.mirrors.sequential import Sequential
from asyncbridge.models.optimizers import Optimizer

if TYPE_CHECKING:
    from asyncbridge.models import (
        activations,
        applications,
        backend,
        callbacks,
        config,
        constraints,
        datasets,
        distillation,
        distribution,
        dtype_policies,
        export,
        initializers,
        legacy,
        mixed_precision,
        models,
        ops,
        preprocessing,
        quantizers,
        random,
        regularizers,
        saving,
        tree,
        utils,
        visualization,
        wrappers,
    )
    from asyncbridge.models.dtype_policies import DTypePolicy, FloatDTypePolicy
    from asyncbridge.models.initializers import Initializer
    from asyncbridge.models.layers import InputSpec
    from asyncbridge.models.mirrors.checks import KerasDataWarning
    from asyncbridge.models.mirrors.history import TrainingHistory
    from asyncbridge.models.mirrors.recovered import history_of
    from asyncbridge.models.mirrors.training import Training
    from asyncbridge.models.quantizers import Quantizer
    from asyncbridge.models.regularizers import Regularizer
    from asyncbridge.models.toplevel import (
        KERAS_VERSION,
        Function,
        KerasTensor,
        Operation,
        RematScope,
        StatelessScope,
        SymbolicScope,
        Variable,
        device,
        name_scope,
        remat,
        version,
    )

__all__ = [  # noqa: RUF022 - grouped
    # models
    "Function",
    "Input",
    "Model",
    "Sequential",
    # bases
    "Initializer",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Operation",
    "Optimizer",
    "Quantizer",
    "Regularizer",
    # dtypes, variables, scopes
    "DTypePolicy",
    "FloatDTypePolicy",
    "RematScope",
    "StatelessScope",
    "SymbolicScope",
    "Variable",
    "device",
    "name_scope",
    "remat",
    "version",
    # namespaces
    "activations",
    "applications",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "distillation",
    "distribution",
    "dtype_policies",
    "export",
    "initializers",
    "layers",
    "legacy",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "ops",
    "optimizers",
    "preprocessing",
    "quantizers",
    "random",
    "regularizers",
    "saving",
    "tree",
    "utils",
    "visualization",
    "wrappers",
    # asyncbridge's own
    "KERAS_VERSION",
    "KerasDataWarning",
    "Mirror",
    "Training",
    "TrainingHistory",
    "history_of",
]

_HOMES = {
    "DTypePolicy": "dtype_policies",
    "FloatDTypePolicy": "dtype_policies",
    "Function": "toplevel",
    "Initializer": "initializers",
    "InputSpec": "layers",
    "KERAS_VERSION": "toplevel",
    "KerasDataWarning": "mirrors.checks",
    "KerasTensor": "toplevel",
    "Operation": "toplevel",
    "Quantizer": "quantizers",
    "Regularizer": "regularizers",
    "RematScope": "toplevel",
    "StatelessScope": "toplevel",
    "SymbolicScope": "toplevel",
    "Training": "mirrors.training",
    "TrainingHistory": "mirrors.history",
    "Variable": "toplevel",
    "device": "toplevel",
    "history_of": "mirrors.recovered",
    "name_scope": "toplevel",
    "remat": "toplevel",
    "version": "toplevel",
}
"""The file that each name stands in, of those that are neither namespaces nor loaded above."""


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

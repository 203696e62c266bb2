"""Simple arguments for every class of Keras that has a config, by the parameters' names.

The tables serve the mirrors and Keras itself alike. As a program
(``python -m tests.integration.simple_arguments FILE``) this file builds all classes with Keras
itself, and pickles the configs of those that could be built.
"""

from __future__ import annotations

import importlib
import inspect
import pickle
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

NAMESPACES = (
    "layers",
    "optimizers",
    "losses",
    "metrics",
    "initializers",
    "optimizers.schedules",
    "quantizers",
    "constraints",
    "regularizers",
    "dtype_policies",
)
"""Where the classes stand that have a config."""


def arguments(path: str, names: tuple[str, ...], keras: Any) -> dict[str, Any]:
    """Return a class's arguments for these parameters.

    Args:
        path: The class, such as ``"layers.Dense"``.
        names: Its parameters.
        keras: The mirrors, or Keras itself.
    """
    table = {**REQUIRED, **OPTIONAL, **SPECIAL.get(path, {})}
    values = {name: table[name] for name in names}
    return {
        name: value(keras) if isinstance(value, FunctionType) else value
        for name, value in values.items()
    }


def find(path: str, keras: Any) -> Any:
    """Return what stands under a dotted name."""
    for part in path.split("."):
        keras = getattr(keras, part)
    return keras


# --- the tables: by parameter, and by class where a parameter means something else there ----


def _inner_layer(keras: Any) -> Any:
    return keras.layers.Dense(3, name="inner")


def _inner_cell(keras: Any) -> Any:
    return keras.layers.GRUCell(3, name="inner")


def _inner_optimizer(keras: Any) -> Any:
    return keras.optimizers.SGD(0.1, name="inner")


REQUIRED: Mapping[str, Any] = {
    "activation": "relu",
    "axes": 1,
    "boundaries": [10, 20],
    "cell": _inner_cell,
    "cells": lambda keras: [keras.layers.LSTMCell(3, name="low"), _inner_cell(keras)],
    "dataset": "wikitext2",
    "decay_rate": 0.5,
    "decay_steps": 10,
    "default_optimizer": _inner_optimizer,
    "dims": (2, 1),
    "equation": "ab,bc->ac",
    "factor": 0.2,
    "filters": 2,
    "first_decay_steps": 10,
    "fn": lambda keras: keras.losses.mean_squared_error,
    "function": lambda keras: keras.ops.relu,
    "head_dim": 4,
    "height": 4,
    "height_factor": 0.2,
    "initial_learning_rate": 0.1,
    "inner_optimizer": _inner_optimizer,
    "input_dim": 5,
    "kernel_size": 3,
    "key_dim": 4,
    "layer": _inner_layer,
    "layers": lambda keras: [keras.layers.Rescaling(0.5, name="inner")],
    "max_number": 4,
    "mode": "int8",
    "n": 3,
    "num_bins": 4,
    "num_classes": 2,
    "num_heads": 2,
    "num_key_value_heads": 2,
    "num_query_heads": 4,
    "output_dim": 3,
    "output_shape": 3,
    "output_size": 2,
    "pool_size": 2,
    "precision": 0.5,
    "rate": 0.5,
    "recall": 0.5,
    "scale": 0.5,
    "sensitivity": 0.5,
    "source_dtype": "float32",
    "specificity": 0.5,
    "stddev": 0.1,
    "target_class_ids": [0, 1],
    "target_shape": (2, 3),
    "tokenizer": "words",
    "units": 3,
    "values": [0.3, 0.2, 0.1],
    "width": 4,
    "width_factor": 0.2,
}
"""For the parameters that have no default."""
ALWAYS = ("name", "seed")
"""Given wherever Keras takes them: it would make up its own, by counters and by chance."""
OPTIONAL: Mapping[str, Any] = {
    "name": "pinned",
    "seed": 3,
    "axis": -1,
    "beta_1": 0.8,
    "bias_initializer": "ones",
    "class_id": 1,
    "clipnorm": 1.0,
    "data_format": "channels_last",
    "delta": 2.0,
    "dropout": 0.25,
    "dtype": "float16",
    "epsilon": 1e-4,
    "from_logits": True,
    "kernel_constraint": lambda keras: keras.constraints.MaxNorm(2, axis=0),
    "kernel_initializer": lambda keras: keras.initializers.HeNormal(seed=3),
    "kernel_regularizer": lambda keras: keras.regularizers.L1L2(l1=0.1, l2=0.01),
    "label_smoothing": 0.1,
    "learning_rate": lambda keras: keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5),
    "mean": 1.0,
    "momentum": 0.9,
    "reduction": "sum",
    "return_sequences": True,
    "staircase": True,
    "strides": 2,
    "thresholds": [0.25, 0.75],
    "trainable": False,
    "use_bias": False,
    "use_ema": True,
    "weight_decay": 0.01,
}
"""For parameters that have a default."""
SPECIAL: Mapping[str, Mapping[str, Any]] = {
    "dtype_policies.FloatDTypePolicy": {"name": "bfloat16"},
    "layers.CategoryEncoding": {"num_tokens": 4},
    "layers.Discretization": {"bin_boundaries": [0.0, 1.0]},
    "layers.Hashing": {"dtype": "int32"},
    "layers.InputLayer": {"shape": (4,)},
    "layers.Normalization": {"mean": 1.0, "variance": 2.0},
    "optimizers.MultiOptimizer": {
        "optimizer_map": lambda keras: keras.optimizers.OptimizerMap(_inner_optimizer(keras))
    },
    "dtype_policies.DTypePolicy": {"name": "mixed_float16"},
    "dtype_policies.GPTQDTypePolicy": {"mode": "gptq/4/128"},
    "dtype_policies.AWQDTypePolicy": {"mode": "awq/4/128"},
    "dtype_policies.Int4DTypePolicy": {"mode": "int4/128"},
    "dtype_policies.QuantizedFloat8DTypePolicy": {"mode": "float8"},
    "layers.Bidirectional": {"layer": lambda keras: keras.layers.LSTM(3, name="inner", seed=3)},
    "layers.RandomPosterization": {"factor": 4},
}
"""Where the tables do not fit; these are always given."""


# --- Keras itself ------------------------------------------------------------------------


def build_all(keras: Any) -> dict[str, dict[str, tuple[tuple[str, ...], Any]]]:
    """Build every class with what is required, and again with options.

    Returns:
        For both, by the classes' paths, the names of the arguments, and the config: an exception
        in its place, as text, for what Keras does not build.
    """
    paths = list(_classes(keras))
    variants = {"required": ALWAYS, "with options": tuple(OPTIONAL)}
    return {
        variant: {path: _build(path, keras, options) for path in paths}
        for variant, options in variants.items()
    }


def _classes(keras: Any) -> Iterator[str]:
    """Yield each class once, by the first of its names."""
    seen: set[int] = set()
    for namespace in NAMESPACES:
        for name, value in vars(find(namespace, keras)).items():
            if inspect.isclass(value) and name[0] != "_" and id(value) not in seen:
                seen.add(id(value))
                yield f"{namespace}.{name}"


def _build(path: str, keras: Any, options: tuple[str, ...]) -> tuple[tuple[str, ...], Any]:
    cls = find(path, keras)
    required, known = _parameters(cls)
    optional = (name for name in [*options, *SPECIAL.get(path, {})] if name in known)
    names = tuple(dict.fromkeys([*required, *optional]))
    try:
        return names, _plain(cls(**arguments(path, names, keras)).get_config())
    except Exception as error:
        return names, f"{type(error).__name__}: {error}"


def _parameters(cls: type) -> tuple[list[str], set[str]]:
    """Return the parameters that must be given, and all that may be."""
    required: list[str] = []
    known: set[str] = set()
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        named = [p for p in parameters if p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}]
        if not known:
            required = [p.name for p in named if p.default is p.empty]
        known |= {p.name for p in named}
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return required, known


def _plain(value: Any) -> Any:
    """Return a config that can be read without Keras; refuse any other."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        # Keras's own subclasses track changes; on the wire they are what they look like.
        return list(map(_plain, value)) if isinstance(value, list) else tuple(map(_plain, value))
    if value is None or isinstance(value, (bool, int, float, str, np.ndarray, np.generic)):
        return value
    raise TypeError(f"a config holds a {type(value).__name__}")


if __name__ == "__main__":
    # Not by name: where this file is looked at without running, no Keras is needed.
    results = build_all(importlib.import_module("keras"))
    Path(sys.argv[1]).write_bytes(pickle.dumps(results))

"""What Keras's objects consist of, in an order that is the same in an object and its copy."""

from __future__ import annotations

from typing import Any

import keras
from keras.src.models.functional import Functional, functional_like_constructor
from keras.src.trainers.compile_utils import MetricsList

__all__ = [
    "SAVED",
    "assembled",
    "children",
    "compile_arguments",
    "inner_nodes",
    "is_compiled",
    "made_by_compile",
    "optimizers",
    "own_variables",
    "resolve_metrics",
    "resolved_metrics",
    "seeded",
    "sorted_nodes",
]

Optimizer = keras.optimizers.Optimizer
SAVED = (
    keras.Operation,
    Optimizer,
    keras.Metric,
    keras.Loss,
    keras.random.SeedGenerator,
    keras.Initializer,
    keras.Regularizer,
    keras.constraints.Constraint,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.DTypePolicy,
    keras.Quantizer,
)
"""What is made anew of a config."""


def assembled(thing: Any) -> str:
    """Tell whether an object is put together of layers that were made before: ``""`` if not.

    Its class may be the user's, as long as that is made in Keras's own way.
    """
    kind = type(thing)
    if isinstance(thing, keras.Sequential):
        plain = kind.__init__ is keras.Sequential.__init__
        return "sequential" if plain and kind.get_config is keras.Sequential.get_config else ""
    if isinstance(thing, Functional):
        plain = functional_like_constructor(kind) and kind.get_config is Functional.get_config
        return "functional" if plain else ""
    return ""


def children(thing: Any) -> list[Any]:
    """Return the layers, operations, metrics and generators right below an object."""
    if isinstance(thing, keras.Sequential):
        return list(thing._layers)
    if isinstance(thing, Functional):
        known = {id(operation) for operation in thing.operations}
        others = [layer for layer in thing._layers if id(layer) not in known]
        return [*thing.operations, *others, *_metrics(thing), *thing._seed_generators]
    if isinstance(thing, keras.Layer):
        return [*thing._layers, *_metrics(thing), *thing._seed_generators]
    inner = getattr(thing, "inner_optimizer", None) if isinstance(thing, Optimizer) else None
    return [] if inner is None else [inner]


def own_variables(thing: Any) -> list[Any]:
    """Return the variables of an object itself, without those of its children."""
    if isinstance(thing, keras.Layer):
        # Keras does not count what a stateful recurrent layer remembers among its variables.
        states = thing.states if isinstance(thing, keras.layers.RNN) and thing.stateful else None
        remembered = keras.tree.flatten(states or [])
        return [*thing._trainable_variables, *thing._non_trainable_variables, *remembered]
    if isinstance(thing, Optimizer):
        return list(thing._variables)
    if isinstance(thing, keras.Metric):
        return list(thing.variables)
    return [thing.state] if isinstance(thing, keras.random.SeedGenerator) else []


def inner_nodes(model: Any) -> list[Any]:
    """Return the nodes of a model that builds its own graph, in their order."""
    graph = model._functional if isinstance(model, keras.Sequential) else model
    return sorted_nodes(graph) if isinstance(graph, Functional) else []


def sorted_nodes(graph: Any) -> list[Any]:
    """Return the nodes of a functional model, inputs first."""
    depths = sorted(graph._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in graph._nodes_by_depth[depth]]


def is_compiled(thing: Any) -> bool:
    """Tell whether an object is a model that was compiled."""
    return isinstance(thing, keras.Model) and bool(thing.compiled)


def made_by_compile(model: Any) -> list[Any]:
    """Return the metrics that a model's ``compile`` makes for itself, and which hold others."""
    losses = getattr(model, "_compile_loss", None)
    found = [getattr(model, "_compile_metrics", None), *(losses.metrics if losses else ())]
    return [each for each in found if each is not None]


def resolved_metrics(model: Any) -> list[Any] | None:
    """Return what a model's ``compile`` has made of metrics, None as long as it has not.

    Returns:
        The names of the outputs, if there are several; then for each output its name and its
        metrics; then the same of the weighted ones.
    """
    compiled = getattr(model, "_compile_metrics", None)
    if compiled is None or not compiled.built:
        return None
    flat = [compiled._flat_metrics, compiled._flat_weighted_metrics]
    lists = [
        [None if each is None else [each.output_name, list(each.metrics)] for each in part]
        for part in flat
    ]
    names = compiled._resolved_output_names
    return [names and list(names), *lists]


def resolve_metrics(model: Any, resolved: list[Any]) -> None:
    """Give a model that was compiled the metrics that ``resolved_metrics`` has returned."""
    compiled = model._compile_metrics
    compiled._resolved_output_names, *lists = resolved
    compiled._flat_metrics, compiled._flat_weighted_metrics = (
        [each and MetricsList(each[1], output_name=each[0]) for each in part] for part in lists
    )
    compiled.built = True


def compile_arguments(model: Any) -> dict[str, Any]:
    """Return what a model was compiled with, by Keras's own ``compile``."""
    config = getattr(getattr(model, "_compile_config", None), "config", {})
    arguments = {**config, "optimizer": getattr(model, "optimizer", None)}
    # Those of an earlier compile() stay, where the last one had none.
    if (losses := getattr(model, "_compile_loss", None)) is not None:
        arguments |= {"loss": losses._user_loss, "loss_weights": losses._user_loss_weights}
    if (metrics := getattr(model, "_compile_metrics", None)) is not None:
        arguments["metrics"] = metrics._user_metrics
        arguments["weighted_metrics"] = metrics._user_weighted_metrics
    return arguments


def _metrics(layer: Any) -> list[Any]:
    made = {id(getattr(layer, name, None)) for name in ("_loss_tracker", "_compile_metrics")}
    return [metric for metric in layer._metrics if id(metric) not in made]


def optimizers(layer: Any) -> dict[str, Any]:
    """Return the optimizers that a layer or model has as attributes, but for the one of ``compile``."""
    if not isinstance(layer, keras.Layer):
        return {}
    known = getattr(layer, "optimizer", None)
    return {
        name: value
        for name, value in vars(layer).items()
        if isinstance(value, Optimizer) and value is not known
    }


def seeded(thing: Any) -> dict[str, Any]:
    """Return the initializers of a layer that have drawn a seed, by attribute; it is in no config."""
    parts = vars(thing) if isinstance(thing, keras.Layer) else {"": thing}
    return {
        name: part
        for name, part in parts.items()
        if isinstance(part, keras.Initializer) and type(getattr(part, "seed", None)) is int
    }

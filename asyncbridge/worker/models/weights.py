"""Weights by name."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["named_weights", "set_named_weights"]


def named_weights(subject: Any) -> dict[str, Any]:
    """Return the weights of a layer or model, or the variables of an optimizer or metric.

    Returns:
        Arrays by the variables' paths, such as ``"dense/kernel"``, in Keras's order. Where a
        path comes again, a number is added: ``"dense/kernel#2"``.
    """
    return {
        name: keras.ops.convert_to_numpy(variable) for name, variable in _named(subject).items()
    }


def set_named_weights(subject: Any, weights: Mapping[str, Any]) -> None:
    """Set the weights of these names, as ``named_weights`` has them; the others stay.

    Raises:
        ValueError: There is no weight of a name, or its shape is another; nothing is set then.
    """
    variables = _named(subject)
    arrays = {name: np.asarray(value) for name, value in weights.items()}
    for name, array in arrays.items():
        _check(subject, variables, name, array.shape)
    for name, array in arrays.items():
        variables[name].assign(array)


def _named(subject: Any) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for variable in subject.weights if hasattr(subject, "weights") else subject.variables:
        name, number = variable.path, 1
        while name in named:
            number += 1
            name = f"{variable.path}#{number}"
        named[name] = variable
    return named


def _check(subject: Any, variables: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> None:
    of = f"of {type(subject).__name__} {getattr(subject, 'name', '')!r}"
    if name not in variables:
        raise ValueError(f"there is no weight {name!r} {of}: {_suggestion(name, list(variables))}")
    expected = tuple(variables[name].shape)
    if shape != expected:
        raise ValueError(f"the weight {name!r} {of} has the shape {expected}, not {shape}")


def _suggestion(name: str, names: list[str]) -> str:
    if not names:
        return "it has none yet; build it first"
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.8)
    shown = close or names[:3]
    left = "" if close or len(names) <= 3 else f", and {len(names) - 3} more"
    start = "do you mean" if close else "it has"
    return f"{start} {', '.join(map(repr, shown))}{left}"

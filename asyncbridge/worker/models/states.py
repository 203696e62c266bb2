"""What a mirror wants to know of its object, once it stands in the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import keras

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["attempt", "state"]

T = TypeVar("T")


def state(*objects: Any) -> list[dict[str, Any]]:
    """Describe layers, models and symbolic tensors; nothing is built for it.

    Returns:
        For each object a dict. Of a layer it holds ``name``, ``built``, ``trainable`` and
        ``parameters`` (None before it is built), of a model also ``layers``, their names. Of a
        symbolic tensor, or a structure of them, it holds ``tensors``: the structure, each node
        of which is a pair of its kind (``"tensor"``, ``"tuple"``, ``"list"``, ``"dict"`` or
        ``"none"``) and its content. For anything else it is empty.
    """
    return [_state(each) for each in objects]


def _state(subject: Any) -> dict[str, Any]:
    if isinstance(subject, keras.Layer):
        return _layer(subject)
    leaves = keras.tree.flatten(subject)
    tensors = [leaf for leaf in leaves if isinstance(leaf, keras.KerasTensor)]
    known = all(leaf is None or isinstance(leaf, keras.KerasTensor) for leaf in leaves)
    return {"tensors": _node(subject)} if tensors and known else {}


def _layer(layer: Any) -> dict[str, Any]:
    # A user's class may have its own properties, in which anything may go wrong.
    built = attempt(lambda: bool(layer.built), otherwise=False)
    described: dict[str, Any] = {
        "name": attempt(lambda: str(layer.name), otherwise=type(layer).__name__),
        "built": built,
        "trainable": attempt(lambda: bool(layer.trainable), otherwise=True),
        "parameters": attempt(lambda: int(layer.count_params()), otherwise=None) if built else None,
    }
    if isinstance(layer, keras.Model):
        described["layers"] = attempt(lambda: _names(layer.layers), list[str]())
    return described


def _names(layers: Any) -> list[str]:
    return [str(layer.name) for layer in layers]


def attempt(call: Callable[[], T], otherwise: T) -> T:
    """Return what a call gives, and something else where it raises."""
    try:
        return call()
    except Exception:
        return otherwise


def _node(structure: Any) -> tuple[str, Any]:
    if structure is None:
        return "none", None
    if isinstance(structure, keras.KerasTensor):
        return "tensor", _tensor(structure)
    if isinstance(structure, dict):
        return "dict", {key: _node(each) for key, each in structure.items()}
    kind = "tuple" if isinstance(structure, tuple) else "list"
    return kind, [_node(each) for each in structure]


def _tensor(tensor: Any) -> dict[str, Any]:
    return {
        "shape": tuple(tensor.shape),
        "dtype": str(tensor.dtype),
        "name": str(tensor.name),
        "sparse": bool(tensor.sparse),
    }

"""How many results a symbolic call has, where that is known without asking the worker.

Python unpacks ``a, b = layer(x)`` at once, so the number must be known here. Where it follows
from the arguments, the tables below say it; a model's own outputs say it for a model. Else the
call gives one symbolic tensor, which may stand for several: they are taken by index, or
unpacked once it was awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from asyncbridge.models.mirrors.wire import keras_name_of

__all__ = ["ONE", "results_of_function", "results_of_layer", "several"]

Values = Mapping[str, Any]
Structure = Any
"""Lists, tuples and dicts of ``ONE``; None for what is not known."""

ONE: Final = "tensor"
"""The structure of a single result."""


def several(count: int, kind: type[tuple[Any, ...] | list[Any]] = tuple) -> Structure:
    """Return the structure of this many results."""
    return kind([ONE] * count)


def results_of_function(full_name: str, values: Values) -> Structure:
    """Return the structure of what a function of Keras gives; None for what is not known."""
    family, _, name = full_name.rpartition(".")
    if not family.startswith("keras.ops"):
        return None
    count = _COUNTED.get(name)
    if count is not None:
        return several(count)
    by_arguments = _BY_ARGUMENTS.get(name)
    return None if by_arguments is None else by_arguments(values)


def results_of_layer(name: str, made_with: Values, called_with: Values) -> Structure:
    """Return the structure of what a layer of Keras gives; None for what is not known.

    Args:
        name: Its class's.
        made_with: Its constructor's arguments.
        called_with: Those of the call, as far as they have names.
    """
    if called_with.get("return_attention_scores"):
        return several(2)
    if name == "Bidirectional":
        return _of_both_directions(made_with)
    if made_with.get("return_state") and name in _STATES:
        return several(1 + _STATES[name])
    return None


def _of_both_directions(made_with: Values) -> Structure:
    layer = made_with["layer"]
    name, inner = _class_in_keras(layer), getattr(layer, "arguments", {})
    outputs = 2 if made_with["merge_mode"] is None else 1
    if not inner.get("return_state"):
        return several(2) if outputs == 2 else None
    return several(outputs + 2 * _STATES[name]) if name in _STATES else None


def _class_in_keras(layer: object) -> str:
    # Not its own class's: that may be a subclass of the user's.
    return (keras_name_of(layer) or "").rpartition(".")[2]


_STATES: Final = {
    "ConvLSTM1D": 2,
    "ConvLSTM2D": 2,
    "ConvLSTM3D": 2,
    "GRU": 1,
    "LSTM": 2,
    "SimpleRNN": 1,
}
"""Recurrent layers, and how many states they give with ``return_state``."""
_COUNTED: Final = {
    "eig": 2,
    "eigh": 2,
    "fft": 2,
    "fft2": 2,
    "histogram": 2,
    "ifft2": 2,
    "lu_factor": 2,
    "moments": 2,
    "qr": 2,
    "rfft": 2,
    "slogdet": 2,
    "stft": 2,
    "top_k": 2,
}
"""Functions that always give the same number of results, several."""


def _split(values: Values) -> Structure:
    sections = values["indices_or_sections"]
    if isinstance(sections, int):
        return several(sections, list)
    return several(len(sections) + 1, list) if isinstance(sections, Sequence) else None


def _unstack(values: Values) -> Structure:
    return several(values["num"], list) if isinstance(values["num"], int) else None


def _unique(values: Values) -> Structure:
    extra = sum(bool(values[f"return_{what}"]) for what in ("index", "inverse", "counts"))
    return several(1 + extra) if extra else None


def _unravel_index(values: Values) -> Structure:
    return several(len(values["shape"]), list) if isinstance(values["shape"], Sequence) else None


_BY_ARGUMENTS: Final[Mapping[str, Callable[[Values], Structure]]] = {
    "array_split": _split,
    "dsplit": _split,
    "hsplit": _split,
    "meshgrid": lambda values: several(len(values["x"]), list),
    "split": _split,
    "svd": lambda values: several(3) if values["compute_uv"] else None,
    "unique": _unique,
    "unravel_index": _unravel_index,
    "unstack": _unstack,
    "vsplit": _split,
}
"""Functions whose number of results follows from their arguments."""

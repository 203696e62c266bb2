"""A call's arguments: taken from a mirror's ``locals()``, checked, and looked through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncbridge.models.mirrors.arguments import Arguments, parameters_of, split, take
from asyncbridge.models.mirrors.described import Described
from asyncbridge.models.mirrors.wire import check, leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["is_symbolic", "only_reads", "take_call"]

_READING = frozenset({
    "compute_output_shape",
    "count_params",
    "export",
    "result",
    "save",
    "save_weights",
    "to_json",
})  # fmt: skip
"""Methods that leave their object as it is, beside those called ``get_...``."""


def take_call(
    label: str, function: Callable[..., object], values: Mapping[str, object]
) -> Arguments:
    """Check a call's arguments, and return what must be said of them.

    Raises:
        TypeError: One has a wrong type, or no wire form.
        ValueError: Data makes no array.
    """
    parameters = parameters_of(function)
    taken = take(label, parameters, values)
    for key, value in taken.items():
        check(value, f"{label}() argument {key!r}")
    return split(parameters, taken)


def is_symbolic(arguments: Arguments) -> bool:
    """Tell whether a symbolic tensor stands in them."""
    return any(isinstance(leaf, Described) and leaf._is_symbolic for leaf in leaves(arguments))


def only_reads(method: str) -> bool:
    """Tell whether a method leaves its object as it is."""
    return method.startswith("get_") or method in _READING

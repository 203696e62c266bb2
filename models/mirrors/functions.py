"""Functions of Keras, mirrored: nodes of a graph, makers of objects, or commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asyncbridge.models.mirrors.arguments import Arguments, parameters_of, split
from asyncbridge.models.mirrors.bodies import plain
from asyncbridge.models.mirrors.mirror import is_symbolic
from asyncbridge.models.mirrors.recipes import called
from asyncbridge.models.mirrors.sending import request
from asyncbridge.models.mirrors.structures import results_of_function
from asyncbridge.models.mirrors.tensor import tensors_of
from asyncbridge.models.mirrors.wire import check

if TYPE_CHECKING:
    from asyncbridge.models.mirrors.mirror import Mirror

__all__ = ["given", "keras_function"]

Function = TypeVar("Function", bound=Callable[..., Any])


def keras_function(
    full_name: str, *, returns: type[Mirror] | None = None
) -> Callable[[Function], Function]:
    """Make a function the mirror of Keras's own, which it also stands for as an argument.

    Called with a symbolic tensor anywhere in its arguments, it gives symbolic tensors: a node of
    the graph. Else it gives a promise of what Keras's gives, tensors as arrays.

    Args:
        full_name: Keras's name of it.
        returns: The class of the mirror that it gives, when what Keras's gives stays in the
            worker.

    The function itself has Keras's signature, and returns its ``locals()``.
    """

    def mark(function: Function) -> Function:
        @wraps(function)
        def mirrored(*args: object, **kwargs: object) -> object:
            return _call(mirrored, function(*args, **kwargs))

        mirrored.keras_name = full_name  # type: ignore[attr-defined]  # an attribute of ours
        mirrored.returns = returns  # type: ignore[attr-defined]  # likewise
        return cast("Function", mirrored)

    return mark


def given(values: Mapping[str, object]) -> Any:
    """Return a mirrored function's ``locals()``, as whatever type it declares."""
    return values


def _call(function: Callable[..., object], values: Mapping[str, object]) -> object:
    """Do what a mirrored function is for.

    Raises:
        BridgeClosed: There is no open bridge, and it makes no mirror.
        TypeError: An argument has no wire form.
        ValueError: An argument belongs to another bridge.
    """
    full_name = cast("str", vars(function)["keras_name"])
    arguments = _arguments(function, values)
    recipe = called(full_name, arguments)
    returns = cast("type[Mirror] | None", vars(function)["returns"])
    if returns is not None:
        return returns._from(recipe)
    if is_symbolic(arguments) and not _tells(full_name):
        return tensors_of(recipe, results_of_function(full_name, values))
    return request(recipe, plain)


def _tells(full_name: str) -> bool:
    """Whether it tells something about a symbolic tensor, and makes no node of the graph."""
    return full_name.startswith(_TELLING_ROOMS) or full_name in _TELLING


_TELLING_ROOMS = ("keras.tree.", "keras.backend.is_", "keras.utils.is_")
_TELLING = frozenset({"keras.ops.is_tensor", "keras.ops.shape"})


def _arguments(function: Callable[..., object], values: Mapping[str, object]) -> Arguments:
    """Return what must be said; the annotations serve editors, and Keras judges the types."""
    for name, value in values.items():
        check(value, f"{function.__name__}() argument {name!r}")
    return split(parameters_of(function), values)

"""Which values may stand as arguments, and how they are kept until they are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from pathlib import PurePath
from types import FunctionType

from asyncbridge.errors import SerializationError
from asyncbridge.promise import Promise
from asyncbridge.references.remote import Remote
from asyncbridge.streams import Stream

__all__ = [
    "carry",
    "check",
    "is_array",
    "is_data",
    "is_handle",
    "is_keras_own",
    "is_remote",
    "is_structure",
    "keras_name_of",
    "leaves",
]

DATA = frozenset({
    "data", "images", "inputs", "labels", "output", "preds", "target", "targets", "values",
    "x", "x1", "x2", "xs", "y", "y_pred", "y_true",
})  # fmt: skip
"""Parameters of Keras's functions and methods that take data."""
ARGS = "args_"
"""How the names of what a layer is called with start."""

_SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})


def keras_name_of(value: object) -> str | None:
    """Return the full name in Keras of a mirror, a mirror's class or a mirrored function."""
    name = None if isinstance(value, Remote) else getattr(value, "keras_name", None)
    return name if isinstance(name, str) else None


def is_keras_own(value: object) -> bool:
    """Tell a mirrored class or function, which stands for Keras's own, from a mirror."""
    return isinstance(value, (type, FunctionType)) and keras_name_of(value) is not None


def is_remote(value: object) -> bool:
    """Tell what is, or will be, in the worker, or is Keras's own, and is no mirror."""
    return isinstance(value, Remote | Promise) or is_keras_own(value)


def is_handle(value: object) -> bool:
    """Tell what stands for a value that is in the worker, or not there yet, and is no mirror."""
    # By its type: an attribute of a reference is code.
    return isinstance(value, Remote | Promise) or hasattr(type(value), "_hand_over")


def is_array(value: object) -> bool:
    """Tell arrays, sparse ones included, by what they have: no numpy is imported for it."""
    if is_handle(value):
        return False
    # A symbolic tensor has a shape as well.
    return keras_name_of(value) is None and hasattr(value, "dtype") and hasattr(value, "shape")


def _is_plain_array(value: object) -> bool:
    # Arrays of objects, and sparse ones, are looked at: they have no wire form, or not all.
    return is_array(value) and getattr(getattr(value, "dtype", None), "kind", "O") != "O"


def is_structure(value: object) -> bool:
    """Tell containers that code must write out, for parts of them are no plain values."""
    return type(value) in {list, tuple, dict} and any(
        is_handle(leaf) or is_array(leaf) or keras_name_of(leaf) is not None
        for leaf in leaves([value])
    )


def is_data(name: str, value: object) -> bool:
    """Tell texts, and plain values in containers, that are data by their parameter's name.

    However few they are, neither code nor errors show them.
    """
    if type(value) not in {str, bytes, list, tuple, dict} or is_structure(value):
        return False
    # What a layer's methods are called with may also be a shape.
    return name in DATA or (name.startswith(ARGS) and type(value) is not tuple)


def leaves(values: Iterable[object]) -> Iterator[object]:
    """Yield what stands in the values, inside any lists, tuples and dicts."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from leaves(value)
        elif isinstance(value, Mapping):
            yield from leaves(value.values())
        else:
            yield value


def carry(value: object, where: str) -> object:
    """Return the value as it is now: later changes to lists, dicts and arrays do not show.

    Args:
        value: An argument.
        where: What errors call it.

    Raises:
        TypeError: It, or a part of it, has no wire form.
    """
    if type(value) in _SCALARS or is_remote(value) or keras_name_of(value) is not None:
        return value
    if is_handle(value):
        return value
    if isinstance(value, PurePath):
        return str(value)
    container = _CONTAINERS.get(type(value))
    if container is not None:
        return container(value, where)
    _check_encodes(value, where)
    return copy(value)


def check(value: object, where: str) -> None:
    """Refuse what has no wire form, where arrays are concerned without a look inside.

    Raises:
        TypeError: The value, or a part of it, has none.
    """
    for leaf in leaves([value]):
        known = type(leaf) in _SCALARS or is_handle(leaf) or is_remote(leaf)
        known = known or _is_plain_array(leaf)
        known = known or type(leaf) is Stream
        if isinstance(leaf, PurePath):
            continue
        if not known and keras_name_of(leaf) is None:
            _check_encodes(leaf, where)


def _check_encodes(value: object, where: str) -> None:
    from asyncbridge.serialization.codec import draft  # noqa: PLC0415 - it loads numpy

    if isinstance(value, (FunctionType, type)):
        raise TypeError(
            f"{where}: {value.__name__} is a {type(value).__name__} of this process, and the "
            "worker has none of it: define it there with bridge.send() or bridge.run(), and "
            "pass bridge.binding(name)"
        )
    if hasattr(value, "__await__"):
        raise TypeError(f"{where}: {value!r} is no value yet: write `await` to have it")
    try:
        draft(value, path=where)
    except SerializationError as error:
        raise TypeError(str(error)) from None


def _carry_list(value: list[object], where: str) -> list[object]:
    return [carry(item, f"{where}[{index}]") for index, item in enumerate(value)]


def _carry_tuple(value: tuple[object, ...], where: str) -> tuple[object, ...]:
    return tuple(carry(item, f"{where}[{index}]") for index, item in enumerate(value))


def _carry_dict(value: dict[object, object], where: str) -> dict[object, object]:
    return {key: carry(item, f"{where}[{key!r}]") for key, item in value.items()}


_CONTAINERS: dict[type, Callable[..., object]] = {
    list: _carry_list,
    tuple: _carry_tuple,
    dict: _carry_dict,
}

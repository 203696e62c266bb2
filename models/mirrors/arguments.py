"""A constructor's arguments: checked against its annotations, kept, compared and shown."""

from __future__ import annotations

import inspect
import numbers
import reprlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from asyncbridge.models.mirrors.wire import is_array, is_data, is_remote

__all__ = ["Arguments", "Parameter", "parameters_of", "same", "show", "split", "take"]

REQUIRED = inspect.Parameter.empty
"""The default of a parameter that has none."""
_BY_POSITION = inspect.Parameter.POSITIONAL_OR_KEYWORD
_REST = inspect.Parameter.VAR_POSITIONAL
_REST_BY_NAME = inspect.Parameter.VAR_KEYWORD


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a mirrored signature.

    Attributes:
        leading: Whether a call reads best with it by position: it is data or has no default,
            and may be given so.
    """

    name: str
    annotation: object
    default: object
    kind: Any
    leading: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What a call says: only what differs from the defaults.

    Attributes:
        leading: What goes by position, under the parameters' names.
        named: What goes by name.
    """

    leading: Mapping[str, object]
    named: Mapping[str, object]

    def __iter__(self) -> Iterator[object]:
        yield from self.leading.values()
        yield from self.named.values()

    def text(self) -> str:
        """Return them as a reader would write them, cut short."""
        shown = [_told(name, value) for name, value in self.leading.items()]
        shown += [f"{name}={_told(name, value)}" for name, value in self.named.items()]
        return ", ".join(shown)


class _Mismatch(Exception):
    """A value that an annotation does not admit."""


@cache
def parameters_of(function: Callable[..., object]) -> tuple[Parameter, ...]:
    """Read the parameters of a mirrored function or constructor, without ``self``."""
    # Without the return type, which no argument needs: it may name what is not imported.
    named = {name: text for name, text in function.__annotations__.items() if name != "return"}
    holder = SimpleNamespace(__annotations__=named)
    module = vars(sys.modules[function.__module__])
    hints = get_type_hints(holder, module, include_extras=True)
    return tuple(
        _parameter(parameter, hints.get(name, object))
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
    )


def _parameter(parameter: inspect.Parameter, annotation: object) -> Parameter:
    wanted = parameter.default is REQUIRED or get_origin(annotation) is Annotated
    return Parameter(
        name=parameter.name,
        annotation=annotation,
        default=parameter.default,
        kind=parameter.kind,
        leading=wanted and parameter.kind is _BY_POSITION,
    )


def take(
    owner: str, parameters: Sequence[Parameter], values: Mapping[str, object]
) -> dict[str, object]:
    """Check a call's arguments against the annotations, and convert where these say so.

    Args:
        owner: What is called, for the errors.
        parameters: The signature.
        values: One value for each parameter; what else it holds is left.

    Raises:
        TypeError: A value has another type than annotated.
        ValueError: Data makes no array.
    """
    return {
        p.name: _take_one(f"{owner}() argument {p.name!r}", p.annotation, values[p.name])
        for p in parameters
    }


def _take_one(where: str, annotation: object, value: object) -> object:
    try:
        return _convert(value, annotation)
    except _Mismatch:
        expected, kind = _describe(annotation), type(value).__name__
        raise TypeError(f"{where} must be {expected}, not {kind}: {show(value)}") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def split(parameters: Sequence[Parameter], values: Mapping[str, object]) -> Arguments:
    """Return what a call must say, by position and by name."""
    leading: dict[str, object] = {}
    named: dict[str, object] = {}
    # Python can give what ``*args`` holds only behind all that may go by position.
    by_position = any(
        parameter.kind is _REST and values[parameter.name] for parameter in parameters
    )
    for index, parameter in enumerate(parameters):
        value: Any = values[parameter.name]
        if parameter.kind is _REST:
            leading |= {f"{parameter.name}_{i}": item for i, item in enumerate(value)}
        elif parameter.kind is _REST_BY_NAME:
            named |= value
        elif by_position and parameter.kind is _BY_POSITION:
            leading[parameter.name] = value
        elif parameter.default is REQUIRED or not same(value, parameter.default):
            # One that was left out ends what can stand by position.
            in_line = parameter.leading and len(leading) == index
            (leading if in_line else named)[parameter.name] = value
    return Arguments(leading=leading, named=named)


# --- checking ----------------------------------------------------------------------------


def _convert(value: object, annotation: object) -> object:
    """Return the value as the annotation wants it; ``_Mismatch`` where it cannot be."""
    if annotation is object or annotation is Any or is_remote(value):
        # What is in the worker only Keras can judge.
        return value
    origin = get_origin(annotation)
    if origin is not None:
        return _GENERIC[origin](value, get_args(annotation))
    if annotation in _PLAIN:
        return _PLAIN[annotation](value)
    if isinstance(annotation, type) and isinstance(value, annotation):
        return value
    raise _Mismatch


def _to_int(value: object) -> int:
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    raise _Mismatch


def _to_float(value: object) -> float:
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    raise _Mismatch


def _to_bool(value: object) -> object:
    # 0 and 1 stand for truth values in much code that Keras takes; they go as they are.
    if isinstance(value, bool) or (type(value) is int and value in {0, 1}):
        return value
    # numpy's own booleans: no numpy is imported to tell one.
    if type(value).__module__ == "numpy" and type(value).__name__ in {"bool", "bool_"}:
        return bool(value)
    raise _Mismatch


def _to_str(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    raise _Mismatch


def _to_none(value: object) -> None:
    if value is not None:
        raise _Mismatch


def _to_union(value: object, arms: tuple[object, ...]) -> object:
    # The arm that needs no conversion goes first: 1 stays an int under ``float | int``.
    for arm in sorted(arms, key=lambda arm: type(value) is not arm):
        try:
            return _convert(value, arm)
        except _Mismatch:
            continue
    raise _Mismatch


def _to_literal(value: object, choices: tuple[object, ...]) -> object:
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return value
    raise _Mismatch


def _to_tuple(value: object, items: tuple[object, ...]) -> tuple[object, ...]:
    if not isinstance(value, tuple):
        raise _Mismatch
    if len(items) == 2 and items[1] is ...:
        return tuple(_convert(item, items[0]) for item in value)
    if len(items) != len(value):
        raise _Mismatch
    return tuple(_convert(item, kind) for item, kind in zip(value, items, strict=True))


def _to_list(value: object, items: tuple[object, ...]) -> list[object]:
    if not isinstance(value, list):
        raise _Mismatch
    return [_convert(item, items[0]) for item in value]


def _to_sequence(value: object, items: tuple[object, ...]) -> object:
    if isinstance(value, tuple):
        return _to_tuple(value, (items[0], ...))
    return _to_list(value, items)


def _to_annotated(value: object, items: tuple[Any, ...]) -> object:
    return items[1](value)


def _to_function(value: object, items: tuple[object, ...]) -> object:
    # Keras's own functions went by before: they are remote. The user's do not cross.
    raise _Mismatch


def _to_mapping(value: object, items: tuple[object, ...]) -> dict[object, object]:
    if not isinstance(value, Mapping):
        raise _Mismatch
    return {_convert(key, items[0]): _convert(item, items[1]) for key, item in value.items()}


_PLAIN: dict[object, Callable[[object], object]] = {
    int: _to_int,
    float: _to_float,
    bool: _to_bool,
    str: _to_str,
    NoneType: _to_none,
}
_GENERIC: dict[object, Callable[[object, tuple[object, ...]], object]] = {
    Union: _to_union,
    UnionType: _to_union,
    Literal: _to_literal,
    tuple: _to_tuple,
    list: _to_list,
    Sequence: _to_sequence,
    dict: _to_mapping,
    Mapping: _to_mapping,
    Callable: _to_function,
    Annotated: _to_annotated,
}


def _describe(annotation: object) -> str:
    origin, items = get_origin(annotation), get_args(annotation)
    if annotation is NoneType or annotation is ...:
        return "None" if annotation is NoneType else "..."
    if origin is Literal:
        return " | ".join(map(repr, items))
    if origin is Callable:
        return "a function of Keras"
    if origin in {Union, UnionType}:
        return " | ".join(map(_describe, items))
    name = getattr(origin or annotation, "__name__", str(annotation))
    return f"{name}[{', '.join(map(_describe, items))}]" if items else name


# --- comparing and showing ---------------------------------------------------------------


def same(left: object, right: object) -> bool:
    """Compare two arguments by type and content; arrays element by element."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if is_array(left):
        return _same_array(left, right)
    if (compare := getattr(left, "_same", None)) is not None:
        return bool(compare(right))
    return not is_remote(left) and bool(left == right)


def _same_array(left: Any, right: Any) -> bool:
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    if hasattr(left, "nnz"):
        return int((left != right).nnz) == 0
    # An array exists here, so numpy is loaded.
    return bool(sys.modules["numpy"].array_equal(left, right))


class _Short(reprlib.Repr):
    """Short reprs: a mirror by what it was made with, an array by its shape and dtype."""

    def repr_instance(self, x: Any, level: int) -> str:
        if is_array(x):
            return f"<{type(x).__name__} {x.shape} {x.dtype}>"
        if hasattr(x, "_brief") and not isinstance(x, type):
            return str(x._brief())
        text = repr(x)
        return text if len(text) <= self.maxother else f"<{type(x).__name__}>"


_short = _Short()
_short.maxother = 120
_short.maxstring = 60
_short.maxtuple = _short.maxlist = _short.maxdict = 6


def show(value: object) -> str:
    """Return a short repr: bounded for any value, arrays by shape and dtype."""
    # numpy names its class ndarray, for which reprlib has no method: repr_instance it is.
    return _short.repr(value)


def _told(name: str, value: object) -> str:
    return f"<{type(value).__name__}>" if is_data(name, value) else show(value)

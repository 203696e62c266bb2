"""What to send instead of an object of a type that has no wire form."""

from __future__ import annotations

import dataclasses
import enum
from types import FunctionType
from typing import TYPE_CHECKING, Final

import numpy as np

from asyncbridge.serialization import extras, files

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["refusal"]

_SERIALIZES: Final = "or register the type with asyncbridge.serializes"
_SERIALIZABLE: Final = "register the type with @asyncbridge.serializable(name=...) on both sides"
# As the caller spells them; a base that is not here is spelled by its own name.
_CONVERSIONS: Final = {"ndarray": "numpy.array"}


def refusal(kind: type, known: Container[type]) -> str:
    """Return why a type's objects are refused, and what to do.

    Args:
        kind: The type.
        known: The types that have a form of their own.
    """
    if kind is np.memmap:
        return files.MEMMAP_ADVICE
    text = f"object of type {kind.__name__} has no wire form"
    advice = extras.advice(kind) or _own_advice(kind) or _other_advice(kind)
    if advice is not None:
        return f"{text}; {advice}"
    if issubclass(kind, enum.Enum):
        # Not by its base, for a member that is a text, too: str(member) is not its value.
        return f"{text}; send value.value, or {_SERIALIZABLE}"
    base = next((base for base in kind.__mro__[1:] if base in known), None)
    if base is not None:
        make = _CONVERSIONS.get(base.__name__, base.__name__)
        send = f"{text}, and does not pass for its base; send {make}(value) to send it as one"
        return f"{send}, or {_SERIALIZABLE}" if _is_plain_class(kind) else f"{send}, {_SERIALIZES}"
    if _is_plain_class(kind):
        return f"{text}; {_SERIALIZABLE}, {_SERIALIZES}"
    parts = "send its parts as dicts, lists and arrays, or make it in the worker"
    return f"{text}; {parts}, {_SERIALIZES}"


def _own_advice(kind: type) -> str | None:
    """Return what a class of this package says of itself."""
    if kind.__module__.partition(".")[0] != "asyncbridge":
        return None
    advice: str | None = getattr(kind, "_wire_advice", None)
    return advice


def _other_advice(kind: type) -> str | None:
    """Return what to do with what is no data: classes, functions, and what gives items in time."""
    if issubclass(kind, type):
        return (
            "take the worker's own: bridge.module(...) has what it can import, and "
            "bridge.binding(name) is a class that code has made there"
        )
    if hasattr(kind, "__await__"):
        return "await it, or send Promise.from_awaitable(value)"
    if hasattr(kind, "__anext__") or hasattr(kind, "__next__"):
        return "asyncbridge.stream(value), as a binding of its own, lets its items flow"
    if issubclass(kind, FunctionType):
        return (
            "bridge.run(function) runs it in the worker, and asyncbridge.stream(function) lets "
            "flow what it gives; as an argument take one of the worker's own: bridge.module(...) has "
            'what it can import, and bridge.send("lambda x: ...", keep=True) makes one'
        )
    return None


def _is_plain_class(kind: type) -> bool:
    """Whether ``serializable`` takes a class, which is no enumeration."""
    return dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")

"""From objects in the worker, and arguments, to code and bindings."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from asyncbridge.codegen import Expression, Literal, Name, Slice, random_name

if TYPE_CHECKING:
    from asyncbridge.codegen import Call
    from asyncbridge.references.remote import Home

__all__ = ["Coded", "RemoteCode", "show", "show_key"]

MAX_TEXT = 60
"""Characters of a text that may stand in code; a longer one travels as a binding."""
SHOWN = 24
"""Characters of an argument that a label shows."""


class Coded(Protocol):
    """What has code of its own."""

    def _code(self, code: RemoteCode) -> Expression:
        """Return it."""
        ...


@cache
def _suffix(index: int) -> str:
    """Return the random letters of a command's binding, by its place among them.

    The names go with their command, so the next one may use them; commands of one kind are then
    the same code, which the worker compiles once.
    """
    return random_name()


class RemoteCode:
    """The code of one command in the making.

    Args:
        home: Where it is sent.

    Attributes:
        home: Likewise.
        bindings: What it is to be sent with.
        labels: What errors call some of it.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.bindings: dict[str, object] = {}
        self.labels: dict[str, str] = {}
        self._names: dict[int, str] = {}

    def value(self, value: object, label: str = "") -> Expression:
        """Return the code of an operand or an argument, which errors call by a label."""
        coded = getattr(type(value), "_code", None)
        if coded is not None:
            expression: Expression = coded(value, self)
            return expression
        if _is_plain(value):
            return Literal(value)
        name = self.bound(value)
        if label:
            self.labels[name.id] = label
        return name

    def index(self, key: object) -> object:
        """Return what stands between the brackets of ``owner[key]``."""
        if isinstance(key, tuple):
            return tuple(map(self.index, key))
        if isinstance(key, slice):
            return Slice(*[None if part is None else self.value(part) for part in _parts(key)])
        return self.value(key)

    def call(
        self, function: Expression, args: tuple[object, ...], keywords: dict[str, Any], said: str
    ) -> Call:
        """Return the code of a call of what a reader would write so."""
        return function.call(
            *[self.value(each, f"argument {at} of {said}()") for at, each in enumerate(args)],
            **{
                name: self.value(each, f"argument {name!r} of {said}()")
                for name, each in keywords.items()
            },
        )

    def builtin(self, name: str) -> Expression:
        """Return the code of a built-in function, whatever its name stands for by now."""
        from asyncbridge.references.module import RemoteModule  # noqa: PLC0415 - a cycle

        return self.bound(RemoteModule("builtins", self.home), "builtins").attr(name)

    def bound(self, value: object, hint: str = "value") -> Name:
        """Return the name of a binding for this very object: one, however often it is used."""
        name = self._names.get(id(value))
        if name is None:
            name = self._names[id(value)] = f"{hint}_{_suffix(len(self.bindings))}"
            self.bindings[name] = value
        return Name(name)


def show(value: object) -> str:
    """Return a short text for an argument, for labels."""
    said = getattr(type(value), "_said", None)
    if said is not None:
        text: str = said(value)
    elif isinstance(value, slice):
        ends = ["" if part is None else show(part) for part in _parts(value)]
        text = ":".join(ends if value.step is not None else ends[:2])
    elif isinstance(value, tuple):
        text = f"({', '.join(map(show, value))}{',' * (len(value) == 1)})"
    elif _is_plain(value):
        text = repr(value)
    else:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def show_key(key: object) -> str:
    """Return a short text for what stands between brackets."""
    if not isinstance(key, tuple) or not key:
        return show(key)
    return f"{', '.join(map(show, key))}{',' * (len(key) == 1)}"


def _parts(key: slice) -> tuple[Any, Any, Any]:
    return key.start, key.stop, key.step


def _is_plain(value: object) -> bool:
    """Tell what a reader would write out himself."""
    # By exact type: code says nothing of a subclass.
    if value is None or value is ... or type(value) is bool:
        return True
    if type(value) is str:
        return len(value) <= MAX_TEXT
    if type(value) is int:
        return value.bit_length() <= 64
    return type(value) is float and math.isfinite(value)

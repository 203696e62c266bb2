"""From arguments to code: small plain values stand in it, all others travel as bindings."""

from __future__ import annotations

import math
from functools import cache
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING

from asyncbridge.codegen import (
    Block,
    Call,
    Expression,
    FromImport,
    Import,
    Literal,
    Name,
    Node,
    Slice,
    Statement,
    as_expression,
    random_name,
)
from asyncbridge.models.mirrors.wire import (
    is_data,
    is_keras_own,
    is_structure,
    keras_name_of,
    leaves,
)
from asyncbridge.references.binding import Binding

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.models.mirrors.arguments import Arguments

__all__ = ["Code"]

WORKER_SIDE = "worker_models"
"""What commands call ``asyncbridge.worker.models``."""
MAX_TEXT = 500
"""Characters of a text that may stand in code: errors then show it, such as a file's name."""
MAX_ITEMS = 16
"""Plain values inside a container that may stand in code."""


@cache
def _suffix(index: int) -> str:
    """Return the random letters of a command's binding, by its place among them.

    A command's bindings go with it, so that the next one may use their names. Calls of one kind
    are then the same code, which the worker compiles once.
    """
    return random_name()


class Code:
    """One command in the making: its bindings, and what it must import.

    Args:
        name_of: The name, in the worker, of a mirror that stands for an object there.
    """

    def __init__(self, name_of: Callable[[object], str | None]) -> None:
        self.bindings: dict[str, object] = {}
        self._name_of = name_of
        # A dict for its order.
        self._imports: dict[str, Statement] = {}

    def call(self, function: Expression, arguments: Arguments) -> Call:
        """Return the call of a function with these arguments."""
        return function.call(
            *[self._argument(name, value) for name, value in arguments.leading.items()],
            **{name: self._argument(name, value) for name, value in arguments.named.items()},
        )

    def program(self, *body: Statement | Expression) -> Node:
        """Return the whole code, what it imports first."""
        return Block((*self._imports.values(), *body))

    def worker(self, function: str) -> Expression:
        """Return a function of ours that is made for mirrors, on the worker's side."""
        self._import_our_side()
        return Name(WORKER_SIDE).attr(function)

    def keras(self, full_name: str) -> Expression:
        """Return Keras's own class or function of this name."""
        self._imports["keras"] = Import("keras")
        first, *rest = full_name.split(".")
        node: Expression = Name(first)
        for part in rest:
            node = node.attr(part)
        return node

    def value(self, value: object, hint: str) -> Expression:
        """Return the code for an argument.

        Args:
            value: The argument.
            hint: What a binding's name starts with, for a reader of the code.
        """
        if (name := self._name_of(value)) is not None:
            return Name(name)
        if isinstance(value, Binding):
            return Name(value.name)
        if is_keras_own(value) and (full_name := keras_name_of(value)) is not None:
            return self.keras(full_name)
        if isinstance(value, PurePath):
            return self.value(str(value), hint)
        if _is_small(value):
            return as_expression(value)
        if is_structure(value):
            return self._structure(value, hint)
        return self._bind(value, hint)

    def index(self, key: object) -> object:
        """Return what stands between the brackets of ``owner[key]``."""
        if isinstance(key, tuple):
            return tuple(map(self.index, key))
        if isinstance(key, slice):
            return Slice(*map(self._bound, (key.start, key.stop, key.step)))
        return Literal(key) if key is ... else self.value(key, "index")

    def _import_our_side(self) -> None:
        self._imports["worker"] = FromImport("asyncbridge.worker", (("models", WORKER_SIDE),))

    def _argument(self, name: str, value: object) -> Expression:
        return (self._bind if is_data(name, value) else self.value)(value, name)

    def _bound(self, bound: object) -> Expression | None:
        return None if bound is None else self.value(bound, "index")

    def _structure(self, value: object, hint: str) -> Expression:
        if isinstance(value, dict):
            return as_expression({key: self.value(part, hint) for key, part in value.items()})
        assert isinstance(value, (list, tuple))
        return as_expression(type(value)(self.value(part, hint) for part in value))

    def _bind(self, value: object, hint: str) -> Name:
        # The worker takes what is bound out of the errors of commands that know our side of it.
        self._import_our_side()
        name = f"{hint}_{_suffix(len(self.bindings))}"
        self.bindings[name] = value
        return Name(name)


def _is_small(value: object) -> bool:
    """Tell plain values that a reader would write out himself."""
    if type(value) in {list, tuple, dict}:
        inner = list(islice(leaves([value]), MAX_ITEMS + 1))
        return (
            len(inner) <= MAX_ITEMS and all(map(_is_small_leaf, inner)) and _has_small_keys(value)
        )
    return _is_small_leaf(value)


def _is_small_leaf(value: object) -> bool:
    # By exact type: code says nothing of a subclass.
    if type(value) is str or type(value) is bytes:
        return len(value) <= MAX_TEXT
    if type(value) is int:
        return value.bit_length() <= 64
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) is bool


def _has_small_keys(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_small_leaf, value)) and all(map(_has_small_keys, value.values()))
    return not isinstance(value, (list, tuple)) or all(map(_has_small_keys, value))

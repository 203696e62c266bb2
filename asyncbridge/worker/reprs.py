"""Short ``repr``s, made without looking at all there is: of containers the first items alone.

They run the user's code, where a class has a ``__repr__`` of its own: whoever asks guards
against one that does not end.
"""

from __future__ import annotations

import itertools
import reprlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.worker.guards import attempt, cut

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FAILED", "REPR_LIMIT", "Short"]

REPR_LIMIT: Final = 160
"""Bytes of one ``repr``."""
FAILED: Final = "<repr() failed>"

_PYTHON: Final = frozenset(("builtins", "collections"))
_VIEWS: Final = frozenset(map(type, ({}.keys(), {}.values(), {}.items())))


class Short(reprlib.Repr):
    """As Python's own, but for what goes through all the items to show a few."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = self.maxlong = REPR_LIMIT

    def line(self, value: object) -> str:
        """Return a value's ``repr`` in one line of at most ``REPR_LIMIT`` bytes; never raises."""
        text = attempt(partial(self.repr, value), FAILED)
        # Cut first: what is left is a plain str, and short.
        return " ".join(cut(text, REPR_LIMIT).split())

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        """Return a dict's first items, in its order."""
        if level <= 0:
            return "{...}"
        items = itertools.islice(dict.items(x), self.maxdict)
        shown = [
            f"{self.repr1(key, level - 1)}: {self.repr1(item, level - 1)}" for key, item in items
        ]
        return f"{{{_listed(shown, more=len(x) > self.maxdict)}}}"

    def repr_set(self, x: set[Any], level: int) -> str:
        """Return a set's first items, as they come."""
        if level <= 0 or not x:
            return "set()" if not x else "{...}"
        return f"{{{self._first(x, len(x), level)}}}"

    def repr_frozenset(self, x: frozenset[Any], level: int) -> str:
        """Return a frozenset's first items, as they come."""
        return f"frozenset({self.repr_set(set(itertools.islice(x, self.maxfrozenset + 1)), level)})"

    def repr_bytes(self, x: bytes | bytearray, level: int) -> str:
        """Return the head, as the literal that it is."""
        # The head alone: Python's own writes all of it first.
        text = repr(bytes(memoryview(x)[: self.maxstring]))
        return text if len(x) <= self.maxstring else f"{text[: self.maxstring - 3]}..."

    def repr_bytearray(self, x: bytearray, level: int) -> str:
        """Return the head, as its constructor's call."""
        return f"bytearray({self.repr_bytes(x, level)})"

    def repr_instance(self, x: Any, level: int) -> str:
        """Return what anything else says of itself; of Python's own containers, the first items."""
        kind = type(x)
        if kind in _VIEWS:
            return f"{kind.__name__}([{self._first(x, len(x), level)}])"
        if _maker(kind) in _PYTHON:
            for base, write in _BUILT_IN.items():
                # Such as an OrderedDict, or a list of the user's: Python would show every item.
                if issubclass(kind, base):
                    return f"{kind.__name__}({write(self, x, level)})"
        return attempt(partial(repr, x), FAILED)

    def _first(self, items: Iterable[Any], count: int, level: int) -> str:
        shown = [self.repr1(item, level - 1) for item in itertools.islice(items, self.maxset)]
        return _listed(shown, more=count > self.maxset)


_BUILT_IN: Final = {
    dict: Short.repr_dict,
    list: Short.repr_list,
    tuple: Short.repr_tuple,
    set: Short.repr_set,
    frozenset: Short.repr_frozenset,
    str: Short.repr_str,
    bytes: Short.repr_bytes,
    bytearray: Short.repr_bytearray,
}


def _maker(kind: type) -> str:
    """Return the module of the class that has the type's ``__repr__``."""
    return next(base.__module__ for base in kind.__mro__ if "__repr__" in vars(base))


def _listed(shown: list[str], *, more: bool) -> str:
    return ", ".join([*shown, "..."] if more else shown)

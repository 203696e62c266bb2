"""Writes references in the place of objects that have no wire form, while a value is written."""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final

import orjson

from asyncbridge.protocol.keeping import Told
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.handles import LONGEST_TEXT, ref
from asyncbridge.serialization.walk import TAG
from asyncbridge.worker.arraylikes import kind_of
from asyncbridge.worker.describing import describe

if TYPE_CHECKING:
    from asyncbridge.worker.objects import Objects

__all__ = ["MOST", "Keeper", "TooMany"]

MOST: Final = 10_000
"""References in one value; what has more of them is kept as a whole."""


class TooMany(Exception):
    """A value would be told as too many references."""


class Keeper:
    """Those of one value after another; in the GPU thread.

    Args:
        objects: The account of what is kept.

    Attributes:
        keeps: That it keeps whatever it is given.
        now: The time, by the worker's clock.
        numbers: The objects that the value refers to, once for each place.
    """

    keeps: bool = True

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._all: set[int] = set()
        self.now = 0.0
        self.numbers: list[int] = []

    def begin(self) -> None:
        """Forget the places: the value is walked again."""
        if self.numbers:
            self._all.update(self.numbers)
            self.numbers = []

    def write(self, value: Any, buffers: object, depth: int) -> object:
        """Keep an object, and return the tree of a reference to it.

        Raises:
            TooMany: There are so many already.
        """
        if len(self.numbers) >= MOST:
            raise TooMany
        number = self._objects.number_of(value, self.now)
        self.numbers.append(number)
        kind = kind_of(type(value))
        if kind.bare:  # as most are of which there are many
            return {TAG: "ref", "v": (number, kind.name, "", getsizeof(value), "")}
        about = describe(value)
        told = Told(number, _plain(about.kind), _plain(about.text), about.size, about.device)
        return ref(told)

    def whole(self, value: object) -> Payload:
        """Return a value as one reference."""
        self.begin()
        header = orjson.dumps(self.write(value, None, 0))
        return Payload(header=orjson.Fragment(header), size=len(header))

    def tidy(self) -> None:
        """Let go of what was kept and is told nowhere; the next value may come."""
        self.begin()
        if self._all:
            numbers, self._all = self._all, set()
            self._objects.tidy(numbers)


def _plain(text: str) -> str:
    """Return a text that JSON carries, which a repr, or a class's name, need not be."""
    cut = text[: LONGEST_TEXT // 2]
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode()

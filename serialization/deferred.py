"""Buffers whose bytes are made when they leave, and not in the thread that sends the value.

What does not lie in memory as the wire has it would be copied whole before it is copied again into
shared memory, and the app's loop would wait for that. So a large one is left as it is: its size
is known, and its bytes are written piece by piece, by whoever moves them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Final

from asyncbridge.protocol.messages import Buffer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["DEFERRED_ABOVE", "Deferred", "LaterBytes", "Outgoing", "Undecided", "size_of", "whole"]

DEFERRED_ABOVE: Final = 256 * 1024
"""Bytes above which a buffer is made later: to make a smaller one takes some microseconds."""


class Deferred(ABC):
    """A buffer that is not there yet; what it is made of must stay as it is until it was.

    Attributes:
        nbytes: How many bytes it will have.
    """

    nbytes: int

    @abstractmethod
    def pieces(self) -> Iterator[tuple[int, int, Callable[[memoryview], None]]]:
        """Yield where each piece begins, how long it is, and what writes it into memory."""

    def write(self, target: memoryview, *, going_on: Callable[[], bool] = lambda: True) -> bool:
        """Write all of it into memory; return False when it was broken off."""
        for start, size, put in self.pieces():
            if not going_on():
                return False
            put(target[start : start + size])
        return True


class LaterBytes(Deferred):
    """Bytes that can be copied only in small slices: the GIL is held.

    A bytearray is not held by a view, which would forbid its owner to resize it.
    """

    def __init__(self, value: bytearray | memoryview) -> None:
        self.nbytes = len(value)
        self._value = value

    def pieces(self) -> Iterator[tuple[int, int, Callable[[memoryview], None]]]:
        """Yield slices; what was cut off meanwhile is zeros."""
        for start in range(0, self.nbytes, DEFERRED_ABOVE):
            size = min(DEFERRED_ABOVE, self.nbytes - start)
            yield start, size, partial(self._put, start)

    def _put(self, start: int, target: memoryview) -> None:
        part = self._value[start : start + len(target)]
        target[: len(part)] = part
        target[len(part) :] = bytes(len(target) - len(part))


Outgoing = Buffer | Deferred
"""A buffer on its way out."""


class Undecided(ABC):
    """A buffer on whose content the form of its value depends.

    Attributes:
        nbytes: How many bytes it may have at most.
    """

    nbytes: int

    @abstractmethod
    def decide(self) -> tuple[Outgoing, tuple[object, object] | None]:
        """Look at the content, in any thread.

        Returns:
            The buffer, and where the value was written in the wrong form, that and the right one.
        """


def size_of(buffer: Outgoing | Undecided) -> int:
    """Return a buffer's bytes, or how many it may have."""
    return memoryview(buffer).nbytes if isinstance(buffer, Buffer) else buffer.nbytes


def whole(buffer: Outgoing) -> Buffer:
    """Return a buffer's bytes, made now if they were to be made later."""
    if not isinstance(buffer, Deferred):
        return buffer
    made = bytearray(buffer.nbytes)
    buffer.write(memoryview(made))
    return made

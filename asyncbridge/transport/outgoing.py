"""The bytes of a buffer on its way out, chunk by chunk: there already, or made as they leave."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from asyncbridge.serialization.deferred import Deferred

if TYPE_CHECKING:
    from asyncbridge.serialization.deferred import Outgoing

__all__ = ["Source", "source_of"]


class Source(ABC):
    """A buffer's bytes.

    Attributes:
        nbytes: How many there are.
        is_ready: Whether they are in memory.
    """

    nbytes: int
    is_ready: bool

    @abstractmethod
    def part(self, start: int, size: int) -> memoryview:
        """Return some of them; from any thread."""


class Ready(Source):
    """Bytes in memory."""

    is_ready = True

    def __init__(self, view: memoryview) -> None:
        self.nbytes = view.nbytes
        self._view = view

    def part(self, start: int, size: int) -> memoryview:
        """Return a view."""
        return self._view[start : start + size]


class Making(Source):
    """Bytes that are made for whoever goes through them from front to back.

    One piece at a time is in memory. Whoever goes back has all made anew up to there, as a
    transfer does that is taken up again.
    """

    is_ready = False

    def __init__(self, buffer: Deferred) -> None:
        self.nbytes = buffer.nbytes
        self._buffer = buffer
        # A chunk of a transfer that was cut may still be under way when the next one begins.
        self._lock = threading.Lock()
        self._pieces = buffer.pieces()
        self._start = 0
        self._piece = memoryview(b"")

    def part(self, start: int, size: int) -> memoryview:
        """Return a copy."""
        made = memoryview(bytearray(min(size, self.nbytes - start)))
        with self._lock:
            if start < self._start:
                self._pieces, self._start, self._piece = self._buffer.pieces(), 0, memoryview(b"")
            filled = 0
            while filled < made.nbytes:
                taken = self._from(start + filled)[: made.nbytes - filled]
                made[filled : filled + taken.nbytes] = taken
                filled += taken.nbytes
        return made

    def _from(self, place: int) -> memoryview:
        """Return the rest of the piece that has a place in it."""
        while place >= self._start + self._piece.nbytes:
            self._start, size, put = next(self._pieces)
            if place < self._start + size:
                self._piece = memoryview(bytearray(size))
                put(self._piece)
            else:  # not asked for: it is only skipped
                self._start, self._piece = self._start + size, memoryview(b"")
        return self._piece[place - self._start :]


def source_of(buffer: Outgoing) -> Source:
    """Return a buffer's bytes, for a transfer."""
    if isinstance(buffer, Deferred):
        return Making(buffer)
    return Ready(memoryview(buffer).cast("B"))

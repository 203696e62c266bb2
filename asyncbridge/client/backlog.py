"""Room in the client's backlog, counted across threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from asyncbridge.errors import BridgeClosed, QueueFull
from asyncbridge.protocol.limits import Gauge

if TYPE_CHECKING:
    from asyncbridge.protocol.limits import Bound

__all__ = ["Backlog"]


class Backlog:
    """Counts what was sent and has not left the client yet."""

    def __init__(self, bound: Bound) -> None:
        self._gauge = Gauge(bound)
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        self._waiters = 0
        self._closed = False

    def take(self, size: int) -> None:
        """Count one command in.

        Raises:
            QueueFull: There is no room for it.
        """
        with self._lock:
            if not self._gauge.fits(size):
                raise QueueFull(
                    f"the backlog is full ({self._gauge}): await bridge.drain() before sending more"
                )
            self._gauge.take(size)

    def count(self, size: int) -> None:
        """Count one command in that has come back, whether there is room or not."""
        with self._lock:
            self._gauge.take(size)

    def wait_and_take(self, size: int) -> None:
        """Count one command in, blocking until there is room.

        Raises:
            BridgeClosed: The bridge was closed meanwhile.
        """
        with self._lock:
            self._waiters += 1
            try:
                self._room.wait_for(lambda: self._closed or self._gauge.fits(size))
            finally:
                self._waiters -= 1
            if self._closed:
                raise BridgeClosed("the bridge was closed while a command waited for room")
            self._gauge.take(size)

    def give(self, size: int) -> None:
        """Count one command out."""
        with self._lock:
            self._gauge.give(size)
            if self._waiters:  # a sync bridge's alone
                self._room.notify_all()

    def recount(self, before: int, size: int) -> None:
        """Count a command for what it is, once that is known."""
        with self._lock:
            self._gauge.recount(before, size)
            self._room.notify_all()

    def close(self) -> None:
        """Wake whoever waits: there will be no more room."""
        with self._lock:
            self._closed = True
            self._room.notify_all()

"""A bound, by count and by bytes, at which one waits for room; who comes first goes first."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING

from asyncbridge.protocol.limits import Bound, Gauge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

__all__ = ["SMALL_BYTES", "Gate", "Gates"]

SMALL_BYTES = 4 * 1024 * 1024
"""Bytes up to which a transfer does not wait for larger ones."""


class Gate:
    """Lets so many through, of so many bytes, and the others wait; on the loop alone.

    One of any size goes when no other one holds room: so nobody waits for ever.

    Args:
        bound: How many there may be, and how many bytes they may have together.
    """

    def __init__(self, bound: Bound) -> None:
        self._gauge = Gauge(bound)
        self._waiters: deque[tuple[asyncio.Future[None], int]] = deque()

    @property
    def count(self) -> int:
        """How many were let through, and have not left."""
        return self._gauge.count

    @property
    def size(self) -> int:
        """Bytes that they hold."""
        return self._gauge.size

    @contextlib.asynccontextmanager
    async def passing(self, size: int) -> AsyncGenerator[None]:
        """Wait for room for a transfer, and hold it while the block runs."""
        await self.enter(size)
        try:
            yield
        finally:
            self.leave(size)

    def enter_now(self, size: int) -> bool:
        """Take room until ``leave``, if nobody has to wait for it; tells whether it did."""
        if self._waiters or not self._gauge.fits(size):
            return False
        self._gauge.take(size)
        return True

    async def enter(self, size: int) -> None:
        """Wait for room, and take it until ``leave``."""
        if self.enter_now(size):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((waiter, size))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # let in at the same moment
                self.leave(size)
            else:
                waiter.cancel()
                self._admit()
            raise

    def leave(self, size: int) -> None:
        """Give room back, and let in, in order, as many as there is room for now."""
        self._gauge.give(size)
        if self._waiters:
            self._admit()

    def _admit(self) -> None:
        while self._waiters:
            waiter, size = self._waiters[0]
            if not waiter.done() and not self._gauge.fits(size):
                return
            self._waiters.popleft()
            if not waiter.done():
                self._gauge.take(size)
                waiter.set_result(None)


class Gates:
    """Two gates, so that a small transfer does not stand behind a large one.

    Args:
        bound: Of each, but that the small ones have no more bytes than they need.
    """

    def __init__(self, bound: Bound) -> None:
        few = min(bound.size, bound.count * SMALL_BYTES)
        self._small = Gate(Bound(count=bound.count, size=few))
        self._large = Gate(bound)

    @property
    def size(self) -> int:
        """Bytes that those hold who were let through."""
        return self._small.size + self._large.size

    def passing(self, size: int) -> AbstractAsyncContextManager[None]:
        """Wait for room for a transfer, and hold it while the block runs."""
        return (self._small if size <= SMALL_BYTES else self._large).passing(size)

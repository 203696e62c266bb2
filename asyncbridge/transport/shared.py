"""One session's buffers in shared memory, seen from either end: lent there, borrowed here."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
from typing import TYPE_CHECKING, TypeVar

from asyncbridge.errors import DecodeError
from asyncbridge.lifetime import Finalizers
from asyncbridge.protocol.messages import Placed, Returned
from asyncbridge.serialization.deferred import Deferred, size_of, whole
from asyncbridge.transport.arena import ALIGNMENT, COMPARED
from asyncbridge.transport.copying import copy_into
from asyncbridge.transport.mapping import Mapping, let_go
from asyncbridge.transport.origins import origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncbridge.protocol.messages import Buffer, Message
    from asyncbridge.serialization.deferred import Outgoing
    from asyncbridge.transport.arena import Arena, Segment
    from asyncbridge.transport.leases import Peering
    from asyncbridge.transport.origins import Tally

__all__ = ["COPY_INLINE", "SharedMemory"]

T = TypeVar("T")
R = TypeVar("R")
LARGE = 1024 * 1024
"""Bytes from which a new segment is worth a look at those that it may have replaced."""
COPY_INLINE = 256 * 1024
"""Bytes up to which a buffer is copied on the loop: a thread would take longer to wake."""


class SharedMemory:
    """What two processes of one machine lend each other over one connection.

    A side copies a buffer into a segment of its own arena and says so (``Placed``); the other
    side maps it, looks at it for as long as it likes, and says when it no longer does
    (``Returned``). It is used on the loop, but for ``place``.

    Args:
        arena: This side's segments.
        peering: The other side's.
        post: Queues a message to the other side.
        tally: Counts buffers that are lent again; without it, none is remembered.
    """

    def __init__(
        self,
        arena: Arena,
        peering: Peering,
        post: Callable[[Message], None],
        *,
        tally: Tally | None = None,
    ) -> None:
        self._arena = arena
        self._peering = peering
        self._post = post
        self._tally = tally
        self._loop = asyncio.get_running_loop()
        self._lent: dict[str, Segment] = {}
        self._mappings: dict[str, Mapping] = {}
        self._garbage = Finalizers(self._wake)
        self._closed = False
        # Two threads may map at the same time, and the loop may close meanwhile.
        self._mapping = threading.Lock()

    # --- lending ---

    async def lend(self, buffer_id: str, buffer: Outgoing) -> Segment | None:
        """Copy a buffer and tell the other side where it is; None where there is no room."""
        size = size_of(buffer)
        segment = self._arena.warm(size) if size <= COPY_INLINE else None
        if segment is not None:
            copy_into(segment.view(), memoryview(whole(buffer)).cast("B"), going_on=lambda: True)
        else:
            with contextlib.suppress(RuntimeError):  # the arena was closed
                segment = await self._in_thread(self.place, buffer)
        if segment is not None:
            self.tell(buffer_id, segment)
        return segment

    async def let_go(self, buffer: Buffer) -> None:
        """Free most of the memory of an array that was lent, and that nothing else refers to."""
        # Not of bytes: those may be anybody's.
        if isinstance(buffer, memoryview) and buffer.nbytes > LARGE:
            with contextlib.suppress(RuntimeError):
                await self._in_thread(let_go, buffer)

    def place(self, buffer: Outgoing, *, anew: bool = False) -> Segment | None:
        """Copy a buffer into a segment, in any thread; None where there is no room.

        One that was lent before may lie in a free segment still, unchanged.

        Args:
            buffer: What is copied.
            anew: It will not be sent again, and was not sent before.
        """
        if anew or self._tally is None or isinstance(buffer, Deferred):
            return self._arena.place(buffer)
        origin = origin_of(buffer)
        segment = None if origin is None else self._arena.recall(origin)
        if segment is None:
            segment = self._arena.place(buffer)
        else:
            same = self._arena.refill(segment, buffer)
            if same is None:
                return None
            if segment.used <= COMPARED:  # a larger one was not looked at
                self._tally.count(segment.used, hit=same)
        if segment is not None:
            segment.origin = origin
        return segment

    def tell(self, buffer_id: str, segment: Segment) -> None:
        """Tell the other side where a buffer is."""
        if self._closed:
            self._arena.give_back(segment)
            return
        self._lent[buffer_id] = segment
        self._post(Placed(id=buffer_id, segment=segment.name, offset=0, size=segment.used))

    def returned(self, buffer_ids: Iterable[str]) -> None:
        """Take segments back that the other side no longer looks at."""
        for buffer_id in buffer_ids:
            if (segment := self._lent.pop(buffer_id, None)) is not None:
                self._arena.give_back(segment)

    # --- borrowing ---

    async def borrow(self, placed: Placed) -> memoryview:
        """Return a view of a buffer of the other side's; when it is garbage, it goes back.

        Raises:
            DecodeError: What the other side says of it cannot be.
            OSError: It cannot be mapped.
        """
        if placed.segment not in self._mappings:
            mapping = await self._in_thread(self._map, placed)
            self._mappings.setdefault(placed.segment, mapping)
        return self.view(placed)

    def view(self, placed: Placed) -> memoryview:
        """Do as ``borrow``, in the caller's thread, which may block for a moment.

        Raises:
            DecodeError: What the other side says of it cannot be.
            OSError: It cannot be mapped.
        """
        mapping = self._mappings.get(placed.segment)
        if mapping is None:
            mapping = self._mappings[placed.segment] = self._map(placed)
        check_place(placed, mapping.size)
        return mapping.view(
            placed.offset, placed.size, lambda raw: self._garbage.tie(raw, placed.id)
        )

    def decline(self, buffer_id: str) -> None:
        """Give a buffer back that nobody here has looked at."""
        self._post(Returned(ids=(buffer_id,)))

    def give_back(self) -> None:
        """Tell the other side what is no longer looked at."""
        ids = self._garbage.take()
        if ids and not self._closed:
            self._post(Returned(ids=ids))

    def close(self) -> None:
        """Let go of the other side; what it may still look at is never used again."""
        if self._closed:
            return
        self._closed = True
        for segment in self._lent.values():
            self._arena.discard(segment)
        self._lent.clear()
        with self._mapping:
            self._mappings.clear()
            self._peering.close()

    # --- inner steps ---

    def _map(self, placed: Placed) -> Mapping:
        with self._mapping:
            if self._closed:
                raise OSError(errno.ESHUTDOWN, "the connection has ended")
            if placed.size >= LARGE:
                self._forget_retired()
            file = self._peering.open(placed.segment)
            try:
                size = os.fstat(file).st_size
                check_place(placed, size)
                return Mapping(file, size)
            finally:
                os.close(file)

    def _forget_retired(self) -> None:
        """Let go of mappings whose files are gone: their owner has made room for this one."""
        # Of a copy, made in one step: the loop adds to it meanwhile.
        for name in list(self._mappings):
            if not self._peering.has(name):
                self._mappings.pop(name, None)

    def _wake(self) -> None:
        # From within the garbage collector, in any thread.
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.give_back)

    async def _in_thread(self, function: Callable[[T], R], argument: T) -> R:
        return await self._loop.run_in_executor(self._arena.copiers, function, argument)


def check_place(placed: Placed, size: int) -> None:
    """Hold what the other side says of a buffer's place against its segment.

    Raises:
        DecodeError: It does not lie in there.
    """
    if placed.size < 1 or placed.offset < 0 or placed.offset % ALIGNMENT:
        raise DecodeError(f"bulk buffer {placed.id:.80} lies at no place: {placed.offset}")
    if placed.offset + placed.size > size:
        raise DecodeError(
            f"bulk buffer {placed.id:.80} of {placed.size} bytes at {placed.offset} lies beyond its "
            f"segment of {size} bytes"
        )

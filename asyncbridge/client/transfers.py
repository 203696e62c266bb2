"""Bulk buffers of one session on their way, both directions, beside the control channel."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from asyncbridge.errors import DecodeError
from asyncbridge.outcome import capture
from asyncbridge.protocol.messages import BulkRef
from asyncbridge.serialization.codec import decode
from asyncbridge.serialization.split import join
from asyncbridge.tasks import spawn
from asyncbridge.transport.leases import Peering
from asyncbridge.transport.shared import COPY_INLINE, SharedMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from asyncbridge.outcome import Outcome
    from asyncbridge.protocol.messages import (
        Buffer,
        Message,
        Payload,
        Placed,
        Returned,
        Welcome,
    )
    from asyncbridge.transport.arena import Arena, Segment
    from asyncbridge.transport.contract import Bulk

__all__ = ["Transfers", "has_bulk"]

UPLOADS = 4
"""Bulk buffers that are on their way to the worker at once."""


class Transfers:
    """Moves buffers through shared memory, else over a bulk lane.

    Args:
        lane: The session's bulk lane.
        broken: Called with what an upload failed by; a command waits for it in vain.
        arena: This side's segments, if there are any; closed along.
        post: Queues a message to the worker.
    """

    def __init__(
        self,
        lane: Bulk,
        broken: Callable[[BaseException], None],
        *,
        arena: Arena | None = None,
        post: Callable[[Message], None] = lambda _: None,
    ) -> None:
        self._lane = lane
        self._broken = broken
        self._arena = arena
        self._post = post
        self._shared: SharedMemory | None = None
        self._placed: dict[str, Placed] = {}
        self._closing: asyncio.Future[None] | None = None
        self._uploads = asyncio.Semaphore(UPLOADS)
        self._closed = False

    @property
    def arena_name(self) -> str:
        """What the worker is to look for; empty without an arena."""
        return "" if self._arena is None else self._arena.lease.name

    async def meet(self, welcome: Welcome | None) -> None:
        """Share memory with the worker, if it has shown that it sees the same."""
        arena = self._arena
        if arena is None or welcome is None or welcome.proof != arena.lease.proof:
            return
        loop = asyncio.get_running_loop()
        try:
            peering = await loop.run_in_executor(
                arena.copiers, Peering, arena.lease.root, welcome.arena
            )
        except OSError:  # it has none of its own
            return
        self._shared = SharedMemory(arena, peering, self._post)

    def upload(self, buffers: Mapping[str, Buffer]) -> None:
        """Start to move buffers to the worker, the first ones first."""
        for buffer_id, buffer in buffers.items():
            name = f"asyncbridge-upload-{buffer_id}"
            spawn(self._send(buffer_id, buffer), name=name, on_error=self._broken)

    def place(self, buffer: Buffer) -> Segment | bytes:
        """Copy a buffer to where it leaves from, whatever becomes of it here; in any thread."""
        segment = None if self._shared is None else self._shared.place(buffer)
        return bytes(buffer) if segment is None else segment

    def send_placed(self, held: Mapping[str, Segment | bytes]) -> None:
        """Move what ``place`` has copied to the worker."""
        for buffer_id, each in held.items():
            if isinstance(each, bytes):
                self.upload({buffer_id: each})
            elif self._shared is not None:
                self._shared.tell(buffer_id, each)

    def drop_placed(self, held: Iterable[Segment | bytes]) -> None:
        """Take back what ``place`` has copied, and nobody wants any more."""
        for each in held:
            if self._arena is not None and not isinstance(each, bytes):
                self._arena.give_back(each)

    async def fetch(self, value: Payload, *, writable: bool = True) -> Payload:
        """Return a value with its bulk buffers in their places.

        Args:
            value: As the worker has sent it.
            writable: Whether the arrays over its bulk buffers may be written.

        Raises:
            ChannelClosed: The worker is gone.
            DecodeError: A buffer is not of the size that the value says.
        """
        refs = [buffer for buffer in value.buffers if isinstance(buffer, BulkRef)]
        bulk = {ref.id: as_told(await self._receive(ref), writable=writable) for ref in refs}
        return join(value, bulk)

    async def decode(self, value: Payload) -> Outcome[object]:
        """Decode a value, off the loop where it is large: some arrays are looked through."""
        if self._arena is None or value.size <= COPY_INLINE:
            return capture(decode, value)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._arena.copiers, lambda: capture(decode, value))

    def placed(self, message: Placed) -> None:
        """Note where a buffer is that a value will refer to."""
        if self._shared is not None:
            self._placed[message.id] = message

    def returned(self, message: Returned) -> None:
        """Take segments back from the worker."""
        if self._shared is not None:
            self._shared.returned(message.ids)

    def decline(self, value: Payload) -> None:
        """Give back what a value refers to that nobody waits for."""
        for buffer in value.buffers:
            if isinstance(buffer, BulkRef) and self._placed.pop(buffer.id, None) is not None:
                assert self._shared is not None
                self._shared.decline(buffer.id)

    def give_back(self) -> None:
        """Tell the worker which of its segments nobody here looks at any more."""
        if self._shared is not None:
            self._shared.give_back()

    def close(self) -> None:
        """Start no more uploads, and take this side's segments away; what is mapped stays."""
        if self._closed:
            return
        self._closed = True
        self._placed.clear()
        if self._shared is not None:
            self._shared.close()
        if self._arena is not None:
            loop = asyncio.get_running_loop()
            with contextlib.suppress(RuntimeError):  # the loop ends; its process takes all along
                self._closing = loop.run_in_executor(None, self._arena.close)

    async def closed(self) -> None:
        """Wait until the segments are gone."""
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _send(self, buffer_id: str, buffer: Buffer) -> None:
        async with self._uploads:
            if self._closed:
                return
            if self._shared is None or await self._shared.lend(buffer_id, buffer) is None:
                await self._lane.send(buffer_id, buffer)

    async def _receive(self, ref: BulkRef) -> Buffer:
        placed, shared = self._placed.pop(ref.id, None), self._shared
        if placed is None or shared is None:
            return await self._lane.receive(ref.id, ref.size)
        if placed.size != ref.size:
            raise DecodeError(f"bulk buffer {ref.id} has {placed.size} bytes, not {ref.size}")
        try:
            return await shared.borrow(placed)
        except OSError:  # the worker still has it to be fetched
            data = await self._lane.receive(ref.id, ref.size)
            shared.decline(ref.id)
            return data


def as_told(buffer: Buffer, *, writable: bool) -> Buffer:
    """Return a buffer, or a view of it that cannot be written."""
    return buffer if writable else memoryview(buffer).toreadonly()


def has_bulk(value: Payload) -> bool:
    """Tell whether a part of the value is still in the worker."""
    return any(isinstance(buffer, BulkRef) for buffer in value.buffers)

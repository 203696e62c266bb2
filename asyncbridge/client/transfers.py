"""Bulk buffers of one session on their way, both directions, beside the control channel."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from asyncbridge.client.figures import transfer_info
from asyncbridge.client.resending import Resender
from asyncbridge.errors import DecodeError, TransferError
from asyncbridge.outcome import Error, capture
from asyncbridge.protocol.limits import Bound, TransferLimits
from asyncbridge.protocol.messages import BulkRef
from asyncbridge.serialization.codec import decode
from asyncbridge.serialization.deferred import size_of
from asyncbridge.serialization.split import join
from asyncbridge.serialization.walk import TakesLong
from asyncbridge.tasks import spawn
from asyncbridge.transport.copying import copiers
from asyncbridge.transport.gate import Gates
from asyncbridge.transport.leases import Peering
from asyncbridge.transport.origins import Tally
from asyncbridge.transport.shared import COPY_INLINE, SharedMemory
from asyncbridge.transport.sizes import ASK_FOR_LESS, check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from asyncbridge.client.figures import TransferInfo
    from asyncbridge.outcome import Outcome
    from asyncbridge.protocol.messages import (
        Buffer,
        Digest,
        Message,
        Payload,
        Placed,
        Returned,
        Welcome,
    )
    from asyncbridge.serialization.deferred import Outgoing
    from asyncbridge.transport.arena import Arena, Segment
    from asyncbridge.transport.contract import Bulk

    Told = Callable[[dict[str, object]], object]

__all__ = ["Transfers", "decoded_quickly", "has_bulk"]

T = TypeVar("T")
R = TypeVar("R")

SIDE: Final = "in the client"
"""Where values are read here, as errors say it."""
UPLOADS = 4
"""Bulk buffers that are on their way to the worker at once."""
DOWNLOADS = 16
"""Bulk buffers that are on their way from the worker at once, by streams."""


class Transfers:
    """Moves buffers through shared memory, else over a bulk lane.

    Args:
        lane: The session's bulk lane.
        broken: Called with what an upload failed by; the session is of no use any more.
        failed: Called with a buffer's id and why this process could not send it; its command
            waits for it in vain.
        arena: This side's segments, if there are any; closed along.
        post: Queues a message to the worker.
        limits: How much it moves.
    """

    def __init__(
        self,
        lane: Bulk,
        broken: Callable[[BaseException], None],
        *,
        arena: Arena | None = None,
        post: Callable[[Message], None] = lambda _: None,
        failed: Callable[[str, TransferError], None] = lambda _, __: None,
        limits: TransferLimits = TransferLimits(),  # noqa: B008 - it is frozen
    ) -> None:
        self._lane = lane
        self._broken = broken
        self._failed = failed
        self._arena = arena
        self._post = post
        self._shared: SharedMemory | None = None
        self._peer: str | None = None
        self._placed: dict[str, Placed] = {}
        self._closing: asyncio.Future[None] | None = None
        self._copiers = None if arena is None else arena.copiers
        self._uploads = Gates(Bound(count=UPLOADS, size=limits.in_flight))
        self._downloads = Gates(Bound(count=DOWNLOADS, size=limits.in_flight))
        self._largest = limits.largest
        self._largest_there = 0
        self._lent_again = Tally()
        self._resender = Resender(lane, post)
        self._moving: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def arena_name(self) -> str:
        """What the worker is to look for; empty without an arena."""
        return "" if self._arena is None else self._arena.lease.name

    async def meet(self, welcome: Welcome | None) -> None:
        """Share memory with the worker, if it has shown that it sees the same."""
        arena = self._arena
        if welcome is not None:
            self._resender.keeps, self._largest_there = welcome.keeps, welcome.largest
        if arena is None or welcome is None or welcome.proof != arena.lease.proof:
            return
        loop = asyncio.get_running_loop()
        try:
            peering = await loop.run_in_executor(
                arena.copiers, Peering, arena.lease.root, welcome.arena
            )
        except OSError:  # it has none of its own
            return
        self._shared = SharedMemory(arena, peering, self._post, tally=self._lent_again)
        self._peer = welcome.arena

    @property
    def shares_memory(self) -> bool:
        """Whether the worker has shown that it is on this machine."""
        return self._shared is not None

    def info(self, worker: Mapping[str, Any]) -> TransferInfo:
        """Tell how arrays travel, beside what the worker tells of itself."""
        own = None if self._arena is None or self._shared is None else self._arena.figures()
        streamed = self._resender.tally
        return transfer_info(worker, own=own, shared=self._lent_again, streamed=streamed)

    def told(self, message: Digest) -> None:
        """Take the worker's word of what it has kept."""
        self._resender.told(message)

    @property
    def largest(self) -> int:
        """Bytes that a command's bindings may have, here and in the worker; 0 for any."""
        return min(filter(None, (self._largest, self._largest_there)), default=0)

    def upload(self, buffers: Mapping[str, Outgoing]) -> None:
        """Start to move buffers to the worker, the first ones first."""
        for buffer_id, buffer in buffers.items():
            name = f"asyncbridge-upload-{buffer_id}"
            on_error = partial(self._not_sent, buffer_id)
            moving = spawn(self._send(buffer_id, buffer), name=name, on_error=on_error)
            self._moving.add(moving)
            moving.add_done_callback(self._moving.discard)

    async def uploaded(self) -> None:
        """Wait until nothing is on its way to the worker."""
        while self._moving:
            await asyncio.wait(self._moving)

    def _not_sent(self, buffer_id: str, error: BaseException) -> None:
        if isinstance(error, TransferError):
            self._failed(buffer_id, error)
        else:
            self._broken(error)

    def place(self, buffer: Buffer) -> Segment | bytes:
        """Copy a buffer to where it leaves from, whatever becomes of it here; in any thread."""
        segment = None if self._shared is None else self._shared.place(buffer, anew=True)
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
            TooLarge: The value says that it is; nothing is fetched then.
        """
        if self._largest and value.size > self._largest:
            self.decline(value)
            check_size("the result", value.size, self._largest, ASK_FOR_LESS)
        refs = [buffer for buffer in value.buffers if isinstance(buffer, BulkRef)]
        bulk = {ref.id: as_told(await self._receive(ref), writable=writable) for ref in refs}
        return join(value, bulk)

    async def decode(
        self, value: Payload, *, path: str = "result", handles: Told | None = None
    ) -> Outcome[object]:
        """Decode a value, off the loop where that takes long: some arrays are looked through."""
        quickly = decoded_quickly(value, path=path, handles=handles)
        return quickly or await self.apart(
            partial(decode, path=path, side=SIDE, largest=self._largest, handles=handles), value
        )

    async def apart(self, function: Callable[[T], R], argument: T) -> Outcome[R]:
        """Call a function in a thread that steps back for the loop's."""
        if self._copiers is None:
            self._copiers = copiers()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._copiers, lambda: capture(function, argument))
        except RuntimeError as error:  # closed meanwhile: nobody waits for it any more
            return Error(error)

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

    def close(self, *, lost: bool = False) -> None:
        """Start no more uploads, and take this side's segments away; what is mapped stays.

        Args:
            lost: The worker seems to be dead. Its own segments go, too, if it is.
        """
        if self._closed:
            return
        self._closed = True
        self._lane.close()
        self._placed.clear()
        self._resender.close()
        if self._shared is not None:
            self._shared.close()
        if self._arena is None:
            if self._copiers is not None:
                self._copiers.shutdown(wait=False)
        else:
            loop = asyncio.get_running_loop()
            with contextlib.suppress(RuntimeError):  # the loop ends; its process takes all along
                dying = self._peer if lost else None
                self._closing = loop.run_in_executor(None, self._arena.close, dying)

    async def closed(self) -> None:
        """Wait until the segments are gone."""
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _send(self, buffer_id: str, buffer: Outgoing) -> None:
        async with self._uploads.passing(size_of(buffer)):
            if self._closed:
                return
            if self._shared is None or await self._shared.lend(buffer_id, buffer) is None:
                await self._resender.send(buffer_id, buffer)

    async def _receive(self, ref: BulkRef) -> Buffer:
        placed, shared = self._placed.pop(ref.id, None), self._shared
        if placed is None or shared is None:
            return await self._download(ref)
        if placed.size != ref.size:
            raise DecodeError(f"bulk buffer {ref.id} has {placed.size} bytes, not {ref.size}")
        try:
            return await shared.borrow(placed)
        except OSError:  # the worker still has it to be fetched
            data = await self._download(ref)
            shared.decline(ref.id)
            return data

    async def _download(self, ref: BulkRef) -> Buffer:
        async with self._downloads.passing(ref.size):
            return await self._lane.receive(ref.id, ref.size)


def decoded_quickly(
    value: Payload, *, path: str = "result", handles: Told | None = None
) -> Outcome[object] | None:
    """Decode a value, unless it is one for another thread.

    Args:
        value: As the worker has sent it.
        path: What errors call it.
        handles: Makes references of what the worker tells of its objects; None where it may not.
    """
    if value.buffers and (value.size > COPY_INLINE or has_bulk(value)):
        return None
    outcome = capture(decode, value, path=path, side=SIDE, quickly=True, handles=handles)
    took_long = isinstance(outcome, Error) and isinstance(outcome.error, TakesLong)
    return None if took_long else outcome


def as_told(buffer: Buffer, *, writable: bool) -> Buffer:
    """Return a buffer, or a view of it that cannot be written."""
    return buffer if writable else memoryview(buffer).toreadonly()


def has_bulk(value: Payload) -> bool:
    """Tell whether a part of the value is still in the worker."""
    # Asked of every value: most have no buffers.
    return bool(value.buffers) and any(isinstance(buffer, BulkRef) for buffer in value.buffers)

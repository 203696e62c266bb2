"""Both ends in one process: real frames through two queues, for tests and fakes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.limits import FRAME_BYTES
from asyncbridge.serialization.deferred import whole
from asyncbridge.serialization.frames import pack_all, unpack
from asyncbridge.transport.contract import Bulk, Channel, ChannelClosed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncbridge.protocol.messages import Message
    from asyncbridge.serialization.deferred import Outgoing
    from asyncbridge.transport.bulk import BulkStore

__all__ = ["MemoryBulk", "MemoryChannel", "channel_pair"]


class MemoryChannel(Channel):
    """One end of a pair; what it writes is packed to bytes, as on a socket."""

    def __init__(self) -> None:
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._peer: MemoryChannel | None = None
        self._closed = False
        self.frames_written = 0

    def join(self, peer: MemoryChannel) -> None:
        """Make ``peer`` the other end."""
        self._peer = peer

    async def write(self, messages: Sequence[Message]) -> None:
        """Hand one frame to the other end."""
        peer = self._peer
        if self._closed or peer is None or peer._closed:
            raise ChannelClosed("the channel is closed")
        for data in pack_all(messages, max_bytes=FRAME_BYTES):
            self.frames_written += 1
            peer._inbox.put_nowait(data)

    async def read(self) -> list[Message]:
        """Return the next frame's messages."""
        data = None if self._closed else await self._inbox.get()
        if data is None:
            self._closed = True
            raise ChannelClosed("the peer closed the channel")
        return unpack(data, max_bytes=FRAME_BYTES)

    async def close(self) -> None:
        """End both directions."""
        if self._closed:
            return
        self._closed = True
        self._inbox.put_nowait(None)
        if self._peer is not None:
            self._peer._inbox.put_nowait(None)


def channel_pair() -> tuple[MemoryChannel, MemoryChannel]:
    """Return two channels that are each other's peer."""
    left, right = MemoryChannel(), MemoryChannel()
    left.join(right)
    right.join(left)
    return left, right


class MemoryBulk(Bulk):
    """The bulk lane to a worker in the same process; every buffer is copied once, as ever."""

    def __init__(self, store: BulkStore) -> None:
        self._store = store

    async def send(self, buffer_id: str, buffer: Outgoing) -> None:
        """Copy a buffer into the worker's store."""
        self._store.arrived(buffer_id, bytearray(whole(buffer)))

    async def receive(self, buffer_id: str, size: int) -> bytearray:
        """Copy a buffer out of the worker's store."""
        buffer = self._store.take(buffer_id)
        if buffer is None:
            raise ChannelClosed(f"the worker holds no bulk buffer {buffer_id}")
        data = bytearray(buffer)
        if len(data) != size:
            raise DecodeError(f"bulk buffer {buffer_id} has {len(data)} bytes, not {size}")
        return data

    def close(self) -> None:
        """Do nothing: there is no connection."""

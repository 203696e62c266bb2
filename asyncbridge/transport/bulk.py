"""The worker's store of bulk buffers: what has come in, and what waits to be fetched.

Nothing is allocated for what a peer merely declares: an incoming buffer grows with the
bytes that arrive.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncbridge.errors import DecodeError, TooLarge

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Buffer, BulkRef

__all__ = ["CHUNK_BYTES", "BulkStore", "Incoming"]

CHUNK_BYTES = 4 * 1024 * 1024
"""Bytes of a bulk buffer that are handed to the socket at once."""


class Incoming:
    """A buffer that is coming in, chunk by chunk."""

    __slots__ = ("_limit", "data")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.data = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Add what has arrived.

        Raises:
            TooLarge: More arrives than the sender had announced.
        """
        if len(self.data) + len(chunk) > self._limit:
            raise TooLarge(f"a bulk buffer announced with {self._limit} bytes brings more")
        self.data += chunk


class BulkStore:
    """One session's bulk buffers in the worker, both directions; used on the loop alone."""

    def __init__(self) -> None:
        self._arrivals: dict[str, asyncio.Future[Buffer]] = {}
        self._offers: dict[str, Buffer] = {}
        self._offers_of: dict[int, tuple[str, ...]] = {}

    # --- towards the worker ---

    async def arrival(self, ref: BulkRef) -> Buffer:
        """Wait for a buffer that a command refers to.

        Raises:
            DecodeError: It came with another size than the command says.
        """
        try:
            data = await self._arrival(ref.id)
        finally:
            self._arrivals.pop(ref.id, None)
        if len(data) != ref.size:
            raise DecodeError(f"bulk buffer {ref.id} has {len(data)} bytes, not {ref.size}")
        return data

    def arrived(self, buffer_id: str, data: Buffer) -> None:
        """Note a buffer that has arrived whole.

        Raises:
            DecodeError: A buffer of that id is here already.
        """
        future = self._arrival(buffer_id)
        if future.done():
            raise DecodeError(f"bulk buffer {buffer_id} came twice")
        future.set_result(data)

    # --- towards the client ---

    def offer(self, command_id: int, buffers: dict[str, Buffer]) -> None:
        """Hold a command's buffers until they are fetched."""
        self._offers.update(buffers)
        self._offers_of[command_id] = tuple(buffers)

    def take(self, buffer_id: str) -> Buffer | None:
        """Return an offered buffer; it stays until its command is acknowledged."""
        return self._offers.get(buffer_id)

    def acknowledged(self, command_id: int) -> None:
        """Let go of the buffers of a command whose outcome the client has seen."""
        for buffer_id in self._offers_of.pop(command_id, ()):
            self._offers.pop(buffer_id, None)

    def close(self) -> None:
        """Let go of everything; who waits for an arrival is cancelled."""
        for future in self._arrivals.values():
            future.cancel()
        self._arrivals.clear()
        self._offers.clear()
        self._offers_of.clear()

    def _arrival(self, buffer_id: str) -> asyncio.Future[Buffer]:
        future = self._arrivals.get(buffer_id)
        if future is None:
            future = self._arrivals[buffer_id] = asyncio.get_running_loop().create_future()
        return future

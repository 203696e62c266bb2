"""The worker's store of bulk buffers: what has come in, and what waits to be fetched."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from asyncbridge.errors import DecodeError
from asyncbridge.transport.chunks import Landing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncbridge.protocol.messages import Buffer, BulkRef
    from asyncbridge.transport.stream import Stream

__all__ = ["BulkStore", "NotComing"]

REMEMBERED: Final = 1024
"""Buffers that have arrived, whose sender may yet ask whether they have."""


class NotComing(Exception):
    """A buffer that is waited for will not come: its sender has said so."""


class BulkStore:
    """One session's bulk buffers in the worker, both directions; used on the loop alone.

    Args:
        limit: The most bytes that a buffer may have which is sent here.
        keep: Called with the id of one that was streamed, and the buffer; returns what its
            command is to have.
    """

    def __init__(
        self, *, limit: int | None = None, keep: Callable[[str, Buffer], Buffer] = lambda _, b: b
    ) -> None:
        self._limit = limit
        self._keep = keep
        self._arrivals: dict[str, asyncio.Future[Buffer]] = {}
        self._offers: dict[str, Buffer] = {}
        self._offers_of: dict[int, tuple[str, ...]] = {}
        self._landings: dict[str, Landing] = {}
        self._landed: dict[str, None] = {}
        self._abandoned: set[str] = set()
        self._streams: set[Stream] = set()

    # --- towards the worker ---

    async def arrival(self, ref: BulkRef) -> Buffer:
        """Wait for a buffer that a command refers to.

        Raises:
            DecodeError: It came with another size than the command says.
            NotComing: It will not come any more.
        """
        if ref.id in self._abandoned:
            raise NotComing(ref.id)
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
        if buffer_id in self._abandoned:
            return
        future = self._arrival(buffer_id)
        if future.done():
            raise DecodeError(f"bulk buffer {buffer_id} came twice")
        future.set_result(data)

    def fail(self, buffer_id: str, error: OSError) -> None:
        """Note that a buffer came, and could not be taken."""
        arrival = self._arrival(buffer_id)
        arrival.set_exception(error)
        arrival.exception()  # perhaps nobody waits for it

    def abandon(self, buffer_ids: Iterable[str]) -> None:
        """Wait no more for buffers, some of which will not come; drop the others."""
        for buffer_id in buffer_ids:
            self._abandoned.add(buffer_id)
            future = self._arrivals.pop(buffer_id, None)
            if future is not None and not future.done():
                future.set_exception(NotComing(buffer_id))

    def landing(self, buffer_id: str, size: int) -> Landing | None:
        """Return where a buffer goes on to arrive; None where it is here already.

        Raises:
            DecodeError: It was announced with another size before.
            TooLarge: There is no room for it.
        """
        if buffer_id in self._landed or buffer_id in self._abandoned:
            return None
        landing = self._landings.get(buffer_id)
        if landing is None:
            landing = self._landings[buffer_id] = Landing(size, self._limit)
        elif landing.size != size:
            raise DecodeError(
                f"bulk buffer {buffer_id} was announced with {landing.size} bytes before, "
                f"and now with {size}"
            )
        return landing

    def landed(self, buffer_id: str) -> None:
        """Note that a buffer is whole."""
        landing = self._landings.pop(buffer_id)
        self._landed[buffer_id] = None
        if len(self._landed) > REMEMBERED:
            del self._landed[next(iter(self._landed))]
        self.arrived(buffer_id, self._keep(buffer_id, landing.data))

    def join(self, stream: Stream) -> None:
        """Count a bulk connection to this session: it ends along."""
        self._streams.add(stream)

    def leave(self, stream: Stream) -> None:
        """Forget a connection that has ended."""
        self._streams.discard(stream)

    def cut(self) -> None:
        """End the session's bulk connections."""
        for stream in tuple(self._streams):
            stream.abort()

    # --- towards the client ---

    def offer(self, command_id: int, buffers: dict[str, Buffer]) -> None:
        """Hold a command's buffers until they are fetched."""
        self._offers.update(buffers)
        self._offers_of[command_id] = tuple(buffers)

    def holds(self, command_id: int) -> bool:
        """Tell whether a command's buffers wait to be fetched."""
        return command_id in self._offers_of

    def here(self, refs: Iterable[BulkRef]) -> dict[str, Buffer] | None:
        """Return buffers that have arrived; None if one of them has not, as it should."""
        found = {}
        for ref in refs:
            future = self._arrivals.get(ref.id)
            if future is None or not future.done() or future.cancelled() or future.exception():
                return None
            found[ref.id] = future.result()
            if len(found[ref.id]) != ref.size:
                return None
        return found

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
        self.cut()
        self._arrivals.clear()
        self._landings.clear()
        self._offers.clear()
        self._offers_of.clear()

    def _arrival(self, buffer_id: str) -> asyncio.Future[Buffer]:
        future = self._arrivals.get(buffer_id)
        if future is None:
            future = self._arrivals[buffer_id] = asyncio.get_running_loop().create_future()
        return future

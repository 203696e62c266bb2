"""Bulk buffers of one session on their way, both directions, beside the control channel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncbridge.protocol.messages import BulkRef
from asyncbridge.serialization.split import join
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncbridge.protocol.messages import Buffer, Payload
    from asyncbridge.transport.contract import Bulk

__all__ = ["Transfers", "has_bulk"]

UPLOADS = 4
"""Bulk buffers that are on their way to the worker at once."""


class Transfers:
    """Moves buffers over a bulk lane.

    Args:
        lane: The session's bulk lane.
        broken: Called with what an upload failed by; a command waits for it in vain.
    """

    def __init__(self, lane: Bulk, broken: Callable[[BaseException], None]) -> None:
        self._lane = lane
        self._broken = broken
        self._uploads = asyncio.Semaphore(UPLOADS)
        self._closed = False

    def upload(self, buffers: Mapping[str, Buffer]) -> None:
        """Start to move buffers to the worker, the first ones first."""
        for buffer_id, buffer in buffers.items():
            name = f"asyncbridge-upload-{buffer_id}"
            spawn(self._send(buffer_id, buffer), name=name, on_error=self._broken)

    async def fetch(self, value: Payload) -> Payload:
        """Return a value with its bulk buffers in their places.

        Raises:
            ChannelClosed: The worker is gone.
            DecodeError: A buffer is not of the size that the value says.
        """
        refs = [buffer for buffer in value.buffers if isinstance(buffer, BulkRef)]
        return join(value, {ref.id: await self._lane.receive(ref.id, ref.size) for ref in refs})

    def close(self) -> None:
        """Start no more uploads."""
        self._closed = True

    async def _send(self, buffer_id: str, buffer: Buffer) -> None:
        async with self._uploads:
            if not self._closed:
                await self._lane.send(buffer_id, buffer)


def has_bulk(value: Payload) -> bool:
    """Tell whether a part of the value is still in the worker."""
    return any(isinstance(buffer, BulkRef) for buffer in value.buffers)

"""The default transport: one aiohttp WebSocket for messages, HTTP streams for bulk buffers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientTimeout, WSMsgType

from asyncbridge.errors import DecodeError, TooLarge
from asyncbridge.protocol.limits import FRAME_BYTES
from asyncbridge.serialization.deferred import Deferred, size_of
from asyncbridge.serialization.frames import pack_all, unpack
from asyncbridge.transport.bulk import CHUNK_BYTES, Incoming
from asyncbridge.transport.contract import Bulk, Channel, ChannelClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aiohttp import ClientSession, ClientWebSocketResponse, StreamReader
    from aiohttp.web import WebSocketResponse

    from asyncbridge.protocol.messages import Message
    from asyncbridge.serialization.deferred import Outgoing

__all__ = ["HttpBulk", "WebSocketChannel", "chunks_of", "read_stream"]


class WebSocketChannel(Channel):
    """Messages over an open WebSocket, the client's end or the worker's."""

    def __init__(
        self,
        socket: ClientWebSocketResponse | WebSocketResponse,
        *,
        frame_bytes: int = FRAME_BYTES,
    ) -> None:
        self._socket = socket
        self._frame_bytes = frame_bytes

    async def write(self, messages: Sequence[Message]) -> None:
        """Write messages, as few frames as the peer's limit allows."""
        try:
            for data in pack_all(messages, max_bytes=self._frame_bytes):
                await self._socket.send_bytes(data)
        except (ConnectionError, ClientError, RuntimeError) as error:
            # aiohttp raises RuntimeError for a socket whose transport is gone.
            raise ChannelClosed(f"the connection ended: {error}") from error

    async def read(self) -> list[Message]:
        """Return the next frame's messages."""
        message = await self._socket.receive()
        if message.type is WSMsgType.BINARY:
            return unpack(message.data, max_bytes=self._frame_bytes)
        if message.type is WSMsgType.TEXT:
            raise DecodeError("the peer sent text; frames are binary")
        raise ChannelClosed(self._why_closed())

    async def close(self) -> None:
        """Close the WebSocket."""
        await self._socket.close()

    def _why_closed(self) -> str:
        error = self._socket.exception()
        code = self._socket.close_code
        return f"the connection ended (code {code}{f', {error}' if error else ''})"


class HttpBulk(Bulk):
    """Bulk buffers as streamed HTTP bodies, each on a connection of its own."""

    def __init__(self, http: ClientSession, base: str, headers: dict[str, str]) -> None:
        self._http = http
        self._base = base
        self._headers = headers

    async def send(self, buffer_id: str, buffer: Outgoing) -> None:
        """PUT a buffer to the worker, in chunks."""
        headers = {**self._headers, "Content-Length": str(size_of(buffer))}
        if isinstance(buffer, Deferred):
            data = chunks_made(buffer)
        else:
            data = chunks_of(memoryview(buffer).cast("B"))
        await self._request("PUT", buffer_id, None, data=data, headers=headers)

    async def receive(self, buffer_id: str, size: int) -> bytearray:
        """GET a buffer from the worker, growing with what arrives."""
        incoming = Incoming(size)
        try:
            await self._request("GET", buffer_id, incoming, headers=self._headers)
        except TooLarge as error:
            raise DecodeError(f"bulk buffer {buffer_id}: {error}") from None
        if len(incoming.data) != size:
            raise DecodeError(f"bulk buffer {buffer_id} has {len(incoming.data)} bytes, not {size}")
        return incoming.data

    async def _request(
        self,
        method: str,
        buffer_id: str,
        incoming: Incoming | None,
        *,
        headers: dict[str, str],
        data: AsyncIterator[memoryview] | None = None,
    ) -> None:
        url = f"{self._base}/{buffer_id}"
        timeout = ClientTimeout(total=None)  # as long as the bytes flow
        try:
            async with self._http.request(
                method, url, data=data, headers=headers, timeout=timeout
            ) as response:
                if response.status != 200:
                    text = (await response.text())[:500]
                    raise ChannelClosed(f"the worker refused bulk buffer {buffer_id}: {text}")
                if incoming is not None:
                    await read_stream(response.content, incoming)
        except (TimeoutError, ClientError, ConnectionError) as error:
            raise ChannelClosed(f"the bulk connection ended: {error}") from error


async def read_stream(stream: StreamReader, incoming: Incoming) -> None:
    """Read a whole HTTP body into ``incoming``."""
    async for chunk in stream.iter_any():
        incoming.feed(chunk)


async def chunks_made(buffer: Deferred) -> AsyncIterator[memoryview]:
    """Yield the pieces of a buffer that is made as it leaves, each made off the loop."""
    chunks = buffer.chunks()
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk


async def chunks_of(view: memoryview) -> AsyncIterator[memoryview]:
    """Yield a buffer of bytes in pieces that keep the loop responsive."""
    for start in range(0, view.nbytes, CHUNK_BYTES):
        yield view[start : start + CHUNK_BYTES]

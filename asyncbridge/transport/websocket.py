"""The default transport's connections: aiohttp WebSockets that carry frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import ClientError, WSMsgType

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.limits import FRAME_BYTES
from asyncbridge.serialization.frames import Place, pack_all, place_of, unpack
from asyncbridge.transport.contract import ChannelClosed, Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import ClientWebSocketResponse
    from aiohttp.web import WebSocketResponse

    from asyncbridge.protocol.messages import Message

__all__ = ["WebSocketWire"]


class WebSocketWire(Wire):
    """An open WebSocket, the client's end or the worker's."""

    writes_at_once = True

    def __init__(
        self,
        socket: ClientWebSocketResponse | WebSocketResponse,
        *,
        frame_bytes: int = FRAME_BYTES,
    ) -> None:
        self._socket = socket
        self._frame_bytes = frame_bytes

    async def send(self, messages: Sequence[Message], place: Place) -> None:
        """Write messages, as few frames as the peer's limit allows."""
        try:
            for data in pack_all(messages, place=place, max_bytes=self._frame_bytes):
                await self._socket.send_bytes(data)
        except (ConnectionError, ClientError, RuntimeError) as error:
            # aiohttp raises RuntimeError for a socket whose transport is gone.
            raise ChannelClosed(f"the connection ended: {error}") from error

    async def receive(self) -> tuple[list[Message], Place]:
        """Return the next frame's messages, and its place."""
        message = await self._socket.receive()
        if message.type is WSMsgType.BINARY:
            messages = unpack(message.data, max_bytes=self._frame_bytes)
            return messages, place_of(message.data)
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

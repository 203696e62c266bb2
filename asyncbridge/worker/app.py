"""The worker's aiohttp application: the session's WebSocket and the bulk lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from asyncbridge.errors import DecodeError, TooLarge
from asyncbridge.protocol.limits import FRAME_BYTES
from asyncbridge.transport.bulk import Incoming
from asyncbridge.transport.websocket import WebSocketChannel, chunks_of, read_stream
from asyncbridge.worker.keeping import Room
from asyncbridge.worker.peer import Peer
from asyncbridge.worker.security import guard

if TYPE_CHECKING:
    from asyncbridge.transport.arena import Arena
    from asyncbridge.worker.engine import Engine

__all__ = ["WorkerApp"]


class WorkerApp:
    """Serves one engine to any number of sessions.

    Args:
        engine: Executes the commands.
        token: The secret that every request carries.
        hosts: The Host headers that name this worker.
        arena: Its shared memory, if there is any.
        cache: Bytes that it keeps of what was streamed.
        largest: Bytes of the largest value that a client may send, 0 for any.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        token: str,
        hosts: frozenset[str],
        arena: Arena | None = None,
        cache: int = 0,
        largest: int = 0,
    ) -> None:
        self._engine = engine
        self._arena = arena
        self._room = Room(cache)
        self._largest = largest
        self._sessions: dict[str, Peer] = {}
        self.app = web.Application(middlewares=[guard(token, hosts)])
        self.app.add_routes([
            web.get("/v1/session", self._session),
            web.put("/v1/bulk/{session}/{buffer}", self._put),
            web.get("/v1/bulk/{session}/{buffer}", self._get, allow_head=False),
        ])  # fmt: skip

    async def close(self) -> None:
        """Tell the clients that the worker ends."""
        for peer in list(self._sessions.values()):
            await peer.goodbye("it was told to stop")

    async def _session(self, request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(compress=False, max_msg_size=FRAME_BYTES)
        await response.prepare(request)
        channel = WebSocketChannel(response)
        peer = Peer(
            self._engine,
            channel,
            self._sessions,
            arena=self._arena,
            room=self._room,
            largest=self._largest,
        )
        await peer.serve()
        return response

    async def _put(self, request: web.Request) -> web.Response:
        peer = self._peer(request)
        if request.content_length is None:
            raise web.HTTPLengthRequired(text="a bulk buffer announces its size")
        if self._largest and request.content_length > self._largest:
            raise web.HTTPRequestEntityTooLarge(self._largest, request.content_length)
        incoming = Incoming(request.content_length)
        try:
            await read_stream(request.content, incoming)
            peer.arrived(request.match_info["buffer"], incoming.data)
        except (DecodeError, TooLarge) as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.Response()

    async def _get(self, request: web.Request) -> web.StreamResponse:
        buffer_id = request.match_info["buffer"]
        buffer = self._peer(request).bulk.take(buffer_id)
        if buffer is None:
            raise web.HTTPNotFound(text=f"no bulk buffer {buffer_id} waits here")
        view = memoryview(buffer).cast("B")
        response = web.StreamResponse(headers={hdrs.CONTENT_LENGTH: str(view.nbytes)})
        await response.prepare(request)
        async for chunk in chunks_of(view):
            await response.write(chunk)
        await response.write_eof()
        return response

    def _peer(self, request: web.Request) -> Peer:
        session = request.match_info["session"]
        peer = self._sessions.get(session)
        if peer is None:
            raise web.HTTPNotFound(text=f"session {session} is not connected")
        return peer

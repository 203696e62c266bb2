"""The worker's aiohttp application: the session's WebSocket and the bulk lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from asyncbridge.protocol.limits import FRAME_BYTES
from asyncbridge.transport.websocket import WebSocketChannel
from asyncbridge.worker.bulk import StreamServer
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
        self._streams = StreamServer()
        self.app = web.Application(middlewares=[guard(token, hosts)])
        self.app.add_routes([
            web.get("/v1/session", self._session),
            web.get("/v1/bulk/{session}", self._bulk, allow_head=False),
        ])  # fmt: skip

    async def close(self) -> None:
        """Tell the clients that the worker ends."""
        for peer in list(self._sessions.values()):
            await peer.goodbye("it was told to stop")
            peer.buffers.store.cut()

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

    async def _bulk(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, self._peer(request).buffers.store)

    def _peer(self, request: web.Request) -> Peer:
        session = request.match_info["session"]
        peer = self._sessions.get(session)
        if peer is None:
            raise web.HTTPNotFound(text=f"session {session} is not connected")
        return peer

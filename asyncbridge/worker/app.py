"""The worker's aiohttp application: the session's WebSocket, the HTTP pair and the bulk lane."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Literal

from aiohttp import web

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.limits import FRAME_BYTES
from asyncbridge.protocol.messages import Join, Refused
from asyncbridge.serialization.frames import ORIGIN
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import ChannelClosed
from asyncbridge.transport.resumable import Served
from asyncbridge.transport.retries import Patience
from asyncbridge.transport.websocket import WebSocketWire
from asyncbridge.worker.bulk import StreamServer
from asyncbridge.worker.commands import Commands
from asyncbridge.worker.keeping import Room
from asyncbridge.worker.outbox import Outbox
from asyncbridge.worker.pairs import Pairs
from asyncbridge.worker.peer import Peer
from asyncbridge.worker.problems import as_problems
from asyncbridge.worker.security import guard
from asyncbridge.worker.shelf import Shelf
from asyncbridge.worker.succession import Names

if TYPE_CHECKING:
    from asyncbridge.transport.arena import Arena
    from asyncbridge.transport.contract import Channel, Wire
    from asyncbridge.worker.engine import Engine

__all__ = ["LEASE_S", "WorkerApp"]

LEASE_S: Final = 30.0
FIRST_WORD_S: Final = 10.0
"""Seconds within which a connection has to say which session it is for."""


class WorkerApp:
    """Serves one engine to any number of sessions.

    Args:
        engine: Executes the commands.
        token: The secret that every request carries.
        hosts: The Host headers that name this worker.
        arena: Its shared memory, if there is any.
        cache: Bytes that it keeps of what was streamed.
        largest: Bytes of the largest value that a client may send, 0 for any.
        lease: Seconds for which a session stays whose connection has ended.
        shelf: Where outcomes wait whose client is away.
        callback_hosts: Where notifications may be posted to, besides the clients' own addresses.
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
        lease: float = LEASE_S,
        shelf: Shelf | None = None,
        callback_hosts: frozenset[str] = frozenset(),
    ) -> None:
        self._engine = engine
        self._arena = arena
        self._room = Room(cache)
        self._largest = largest
        self._sessions: dict[str, Peer] = {}
        self._streams = StreamServer()
        self._lease = lease
        self._channels: dict[str, Served] = {}
        self._peers: set[Peer] = set()
        self._names = Names()
        self._shelf = shelf or Shelf()
        self._serving: set[asyncio.Task[None]] = set()
        self._outbox = Outbox()
        pairs = Pairs(self._outbox, self._carry, callback_hosts)
        self._commands = Commands(
            self._outbox,
            self._open_desk,
            halts=engine.halts,
            incarnation=engine.incarnation,
            callback_hosts=callback_hosts,
            patience=Patience(first=0.1, longest=5.0, whole=lease),
            largest=largest,
        )
        self.app = web.Application(
            middlewares=[as_problems, guard(token, hosts)], client_max_size=FRAME_BYTES
        )
        self.app.add_routes([
            web.get("/v1/session", self._session),
            web.post("/v1/messages/{wire}", pairs.take),
            web.get("/v1/bulk/{session}", self._bulk, allow_head=False),
            *self._commands.routes(),
        ])  # fmt: skip

    async def close(self) -> None:
        """Tell the clients that the worker ends."""
        for peer in list(self._sessions.values()):
            await peer.goodbye("it was told to stop")
            peer.buffers.store.cut()
        for peer in list(self._peers):
            await peer.hang_up()
        await asyncio.gather(*self._serving)
        self._shelf.close()
        await self._commands.close()
        await self._outbox.close()

    async def _session(self, request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(compress=False, max_msg_size=FRAME_BYTES)
        await response.prepare(request)
        await self._carry(WebSocketWire(response))
        return response

    async def _carry(self, wire: Wire) -> None:
        """Serve a session over a connection, to the connection's end."""
        join = await first_word(wire)
        channel = None if join is None else await self._channel_for(join, wire)
        if join is not None and channel is not None:
            await channel.take(wire, join.received)
        await wire.close()

    async def _channel_for(self, join: Join, wire: Wire) -> Served | None:
        """Return the channel that goes on, or begins, with a connection; None if none may."""
        known = self._channels.get(join.session)
        ours = join.incarnation == self._engine.incarnation
        if ours and known is not None and not known.has_ended:
            return known
        code: Literal["session", "taken"] = "session"
        if told := self._names.why_fenced(join.session):
            code = "taken"
        elif join.incarnation:
            reason = (
                "another worker has taken the place of the one that it began with"
                if not ours
                else f"it was away for more than {self._lease:g} s"
            )
            told = f"session {join.session} cannot go on: {reason}"
        elif known is not None:
            told = f"session {join.session!r} is connected already"
        else:
            return self._begin(join.session, join.name)
        with contextlib.suppress(ChannelClosed):
            await wire.send([Refused(code=code, message=told)], ORIGIN)
        return None

    def _begin(self, session: str, name: str) -> Served:
        channel = Served(incarnation=self._engine.incarnation, lease=self._lease)
        peer = Peer(
            self._engine,
            channel,
            self._sessions,
            arena=self._arena,
            room=self._room,
            largest=self._largest,
            name=name,
            shelf=self._shelf,
        )
        if name:
            self._names.succeed(name, session, peer)
        self._channels[session] = channel
        self._peers.add(peer)
        task = spawn(peer.serve(), name=f"asyncbridge-session-{session}")
        self._serving.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._serving.discard(task)
            self._peers.discard(peer)
            self._names.ended(name, peer)
            del self._channels[session]

        task.add_done_callback(ended)
        return channel

    def _open_desk(self, channel: Channel) -> Peer:
        """Serve a session whose client is in this process: it shares memory with it as it is."""
        peer = Peer(self._engine, channel, self._sessions, largest=self._largest)
        self._peers.add(peer)
        task = spawn(peer.serve(), name="asyncbridge-desk")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        task.add_done_callback(lambda _: self._peers.discard(peer))
        return peer

    async def _bulk(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, self._peer(request).buffers.store)

    def _peer(self, request: web.Request) -> Peer:
        session = request.match_info["session"]
        peer = self._sessions.get(session)
        if peer is None:
            raise web.HTTPNotFound(text=f"session {session} is not connected")
        return peer


async def first_word(wire: Wire) -> Join | None:
    """Return what a connection begins with; None if that is nothing of use."""
    try:
        async with asyncio.timeout(FIRST_WORD_S):
            messages, _ = await wire.receive()
    except (ChannelClosed, DecodeError, TimeoutError):
        return None
    first = messages[0] if len(messages) == 1 else None
    return first if isinstance(first, Join) else None

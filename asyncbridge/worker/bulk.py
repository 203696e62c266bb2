"""The worker's end of bulk connections: what clients send, and what they fetch."""

from __future__ import annotations

import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from aiohttp import web

from asyncbridge.errors import DecodeError, TooLarge
from asyncbridge.transport.chunks import (
    Terms,
    read_record,
    receive_chunks,
    send_chunks,
    write_record,
)
from asyncbridge.transport.compression import Judge
from asyncbridge.transport.handshake import PROTOCOL, accept, accepted
from asyncbridge.transport.outgoing import source_of
from asyncbridge.transport.records import Damaged, Head, Kind
from asyncbridge.transport.stream import PATIENCE, Stream, StreamCut

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.transport.bulk import BulkStore

__all__ = ["StreamServer"]

log = logging.getLogger(__name__)

THREADS: Final = 2
"""Threads that look after chunks, of all sessions."""


class StreamServer:
    """Serves bulk connections.

    Args:
        patience: Seconds for which nothing may move on a connection that should.
        judge: Makes what decides on compression, for each connection.
    """

    def __init__(self, *, patience: float = PATIENCE, judge: Callable[[], Judge] = Judge) -> None:
        self._patience = patience
        self._judge = judge
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="asyncbridge-stream")

    async def serve(self, request: web.Request, store: BulkStore) -> web.StreamResponse:
        """Take a request's connection over, and serve it to its end."""
        sound = is_sound(request)
        headers = accept(request.headers, sound=sound)
        if headers is None:
            raise web.HTTPUpgradeRequired(
                text=f"this is for connections that change to {PROTOCOL}, with a checksum that this "
                "side has", headers={"Upgrade": PROTOCOL},
            )  # fmt: skip
        transport, protocol = request.transport, request.protocol
        response = web.StreamResponse(status=101, headers=headers)
        await response.prepare(request)
        if transport is None or transport.is_closing():
            return response
        checksum, packs = accepted(headers, sound=sound)
        judge = self._judge() if packs else None
        terms = Terms(threads=self._threads, checksum=checksum, judge=judge)
        await Served(Stream(transport, protocol, patience=self._patience), store, terms).run()
        return response


class Served:
    """One bulk connection of a session."""

    def __init__(self, stream: Stream, store: BulkStore, terms: Terms) -> None:
        self._stream = stream
        self._store = store
        self._terms = terms

    async def run(self) -> None:
        """Do what the client asks, one thing after the other, until the connection ends."""
        self._store.join(self._stream)
        try:
            while True:
                head, buffer_id = await read_record(self._stream, self._terms, idle=True)
                await self._answer(head, buffer_id)
        except (StreamCut, Damaged) as error:
            log.debug("%s", error)
        except DecodeError as error:
            log.warning("a bulk connection is cut off: %s", error)
        finally:
            self._store.leave(self._stream)
            self._stream.abort()

    async def _answer(self, head: Head, buffer_id: str) -> None:
        if head.kind is Kind.PUT:
            await self._take(head.size, buffer_id)
        elif head.kind is Kind.GET:
            await self._give(head, buffer_id)
        else:
            raise DecodeError(f"a record {head.kind.name} came where a request is next")

    async def _take(self, size: int, buffer_id: str) -> None:
        """Receive what is not here yet of a buffer."""
        try:
            landing = self._store.landing(buffer_id, size)
        except (DecodeError, TooLarge) as error:
            await self._say(Kind.REFUSED, text=str(error))
            return
        if landing is None:
            await self._say(Kind.HAVE, offset=size, size=size)
            return
        if landing.stream is not None:
            landing.stream.abort()  # its client has given it up
        async with landing.lock:
            landing.stream = self._stream
            try:
                await self._say(Kind.HAVE, offset=landing.good, size=size, damaged=landing.damaged)
                await receive_chunks(self._stream, landing, self._terms)
            finally:
                landing.stream = None
        self._store.landed(buffer_id)
        await self._say(Kind.HAVE, offset=size, size=size)

    async def _give(self, asked: Head, buffer_id: str) -> None:
        """Send a buffer from where the client has it to its end."""
        buffer = self._store.take(buffer_id)
        if buffer is None:
            await self._say(Kind.REFUSED, text=f"no bulk buffer {buffer_id} waits here")
            return
        source = source_of(buffer)
        await self._say(Kind.HAVE, offset=source.nbytes, size=source.nbytes)
        if source.nbytes == asked.size:
            await send_chunks(self._stream, source, asked.offset, self._terms)

    async def _say(
        self, kind: Kind, *, offset: int = 0, size: int = 0, damaged: int = 0, text: str = ""
    ) -> None:
        head = Head(kind=kind, offset=offset, size=size, damaged=damaged)
        await write_record(self._stream, head, self._terms, text)


def is_sound(request: web.Request) -> bool:
    """Tell whether what carries a request's bytes keeps them as they are."""
    if request.secure:
        return True
    transport = request.transport
    connection = None if transport is None else transport.get_extra_info("socket")
    return connection is not None and connection.family == socket.AF_UNIX

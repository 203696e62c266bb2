"""The worker's end of bulk connections, with clients that do as they like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from asyncbridge.protocol.messages import BulkRef
from asyncbridge.transport.bulk import BulkStore
from asyncbridge.transport.chunks import Terms, read_record, send_chunks, write_record
from asyncbridge.transport.handshake import PROTOCOL, offers
from asyncbridge.transport.outgoing import source_of
from asyncbridge.transport.records import CHUNK_BYTES, Head, Kind
from asyncbridge.transport.stream import Stream, StreamCut
from asyncbridge.worker.bulk import StreamServer

pytestmark = pytest.mark.asyncio

DATA = bytes(range(256)) * (CHUNK_BYTES // 200)


class Client:
    """Opens bulk connections, and says on them what it likes."""

    def __init__(self, http: aiohttp.ClientSession, url: str, store: BulkStore) -> None:
        self.http = http
        self.url = url
        self.store = store

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[tuple[Stream, Terms], None]:
        headers = offers(sound=False) | {"Asyncbridge-Checksum": "crc32"}
        async with self.http.get(self.url, headers=headers) as response:
            assert response.status == 101
            link = response.connection
            assert link is not None
            assert link.transport is not None
            stream = Stream(link.transport, link.protocol)
            with ThreadPoolExecutor(1) as threads:
                yield stream, Terms(threads=threads, checksum="crc32")
            stream.abort()


@asynccontextmanager
async def serving() -> AsyncGenerator[Client, None]:
    """Serve a session's store over TCP."""
    store, server = BulkStore(), StreamServer()
    app = web.Application()

    async def serve(request: web.Request) -> web.StreamResponse:
        return await server.serve(request, store)

    app.router.add_get("/", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as http:
            yield Client(http, f"http://127.0.0.1:{runner.addresses[0][1]}/", store)
    finally:
        store.close()
        await runner.cleanup()


async def whole(client: Client, name: str = "1-0") -> bytes:
    """Return a buffer that has arrived."""
    return bytes(await client.store.arrival(BulkRef(id=name, size=len(DATA))))


@pytest.mark.parametrize("headers", [{}, {"Upgrade": "websocket", "Connection": "Upgrade"}])
async def test_a_plain_request(headers: dict[str, str]) -> None:
    """Whoever does not ask for this protocol is told its name."""
    async with serving() as client, client.http.get(client.url, headers=headers) as response:
        assert response.status == 426
        assert response.headers["Upgrade"] == PROTOCOL


async def test_a_buffer_comes_in_two_parts() -> None:
    """A second connection is told what the first one has brought, and brings the rest."""
    async with serving() as client:
        asked = Head(kind=Kind.PUT, size=len(DATA))
        async with client.open() as (stream, terms):
            await write_record(stream, asked, terms, "1-0")
            assert (await read_record(stream, terms))[0].offset == 0
            await send_chunks(stream, source_of(DATA[:CHUNK_BYTES]), 0, terms)
            await stream.write(b"half a head")
            stream.close()
            while client.store._landings["1-0"].good < CHUNK_BYTES:
                await asyncio.sleep(0)
        async with client.open() as (stream, terms):
            await write_record(stream, asked, terms, "1-0")
            assert (await read_record(stream, terms))[0].offset == CHUNK_BYTES
            await send_chunks(stream, source_of(DATA), CHUNK_BYTES, terms)
            assert (await read_record(stream, terms))[0].offset == len(DATA)
        assert await whole(client) == DATA


async def test_a_connection_takes_the_place_of_another() -> None:
    """One that hangs, unknown to its client, is cut when the client comes again."""
    async with serving() as client, client.open() as (first, terms):
        asked = Head(kind=Kind.PUT, size=len(DATA))
        await write_record(first, asked, terms, "1-0")
        await read_record(first, terms)
        async with client.open() as (second, terms_2):
            await write_record(second, asked, terms_2, "1-0")
            await read_record(second, terms_2)
            with pytest.raises(StreamCut):
                await first.read_into(memoryview(bytearray(1)))
            await send_chunks(second, source_of(DATA), 0, terms_2)
            await read_record(second, terms_2)
        assert await whole(client) == DATA


async def test_another_size_than_before() -> None:
    """It is refused in words, and the connection goes on."""
    async with serving() as client, client.open() as (stream, terms):
        client.store.landing("1-0", 5)
        await write_record(stream, Head(kind=Kind.PUT, size=6), terms, "1-0")
        head, text = await read_record(stream, terms)
        assert head.kind is Kind.REFUSED
        assert text == "bulk buffer 1-0 was announced with 5 bytes before, and now with 6"
        await write_record(stream, Head(kind=Kind.GET, size=6), terms, "2-0")
        assert (await read_record(stream, terms))[1] == "no bulk buffer 2-0 waits here"


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2,
        Head(kind=Kind.HAVE).pack(),
        Head(kind=Kind.CHUNK, length=1, size=1).pack() + b"x",
    ],
    ids=["no record", "an answer", "a chunk"],
)
async def test_what_is_no_request(raw: bytes) -> None:
    """Its connection is cut; others go on."""
    async with serving() as client, client.open() as (other, terms):
        async with client.open() as (stream, _):
            await stream.write(raw)
            with pytest.raises(StreamCut):
                await stream.read_into(memoryview(bytearray(1)))
        client.store.offer(1, {"1-0": b"abc"})
        await write_record(other, Head(kind=Kind.GET, size=3), terms, "1-0")
        assert (await read_record(other, terms))[0].size == 3


async def test_the_session_ends() -> None:
    """Its connections end with it."""
    async with serving() as client, client.open() as (stream, _):
        await asyncio.sleep(0)
        client.store.close()
        with pytest.raises(StreamCut):
            await stream.read_into(memoryview(bytearray(1)))

"""The WebSocket channel and the bulk lane, between a real server and a real client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from asyncbridge.errors import DecodeError, TooLarge
from asyncbridge.protocol.limits import FRAME_BYTES
from asyncbridge.protocol.messages import Message, Output, Ping, Pong
from asyncbridge.serialization.deferred import LaterBytes
from asyncbridge.tasks import spawn
from asyncbridge.transport.bulk import CHUNK_BYTES, Incoming
from asyncbridge.transport.contract import ChannelClosed
from asyncbridge.transport.websocket import HttpBulk, WebSocketChannel, chunks_of, read_stream

pytestmark = pytest.mark.asyncio

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BASE = "http://asyncbridge"
MIB = 1024 * 1024


@asynccontextmanager
async def served(folder: Path, handler: Handler) -> AsyncGenerator[aiohttp.ClientSession, None]:
    """Serve every request with ``handler`` over a Unix socket; yield a client for it."""
    path = str(folder / "s")
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.UnixSite(runner, path).start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as http:
            yield http
    finally:
        await runner.cleanup()


@asynccontextmanager
async def channels(
    folder: Path, *, frame_bytes: int = FRAME_BYTES, reads: int = FRAME_BYTES
) -> AsyncGenerator[tuple[WebSocketChannel, WebSocketChannel], None]:
    """Yield the client's and the worker's end of a WebSocket; ``reads`` is the worker's limit."""
    far: asyncio.Future[WebSocketChannel] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.WebSocketResponse(compress=False, max_msg_size=reads)
        await response.prepare(request)
        far.set_result(WebSocketChannel(response))
        await done.wait()
        return response

    async with served(folder, handle) as http:
        socket = await http.ws_connect(f"{BASE}/", max_msg_size=FRAME_BYTES)
        near = WebSocketChannel(socket, frame_bytes=frame_bytes)
        try:
            yield near, await far
        finally:
            done.set()
            await near.close()


async def read_all(channel: WebSocketChannel, count: int) -> list[list[Message]]:
    """Read frames until ``count`` messages are there."""
    frames: list[list[Message]] = []
    while sum(map(len, frames)) < count:
        frames.append(await channel.read())
    return frames


def texts(count: int, size: int) -> list[Message]:
    """Return messages of some size."""
    return [Output(id=n, stream="stdout", text="x" * size) for n in range(count)]


# --- the channel -------------------------------------------------------------------------


async def test_both_ways(tmp_path: Path) -> None:
    """What is written together at one end is read together at the other, in order."""
    async with channels(tmp_path) as (near, far):
        await near.write([Ping(nonce=1), Ping(nonce=2)])
        await near.write([Ping(nonce=3)])
        assert await far.read() == [Ping(nonce=1), Ping(nonce=2)]
        assert await far.read() == [Ping(nonce=3)]
        await far.write([Pong(nonce=1)])
        assert await near.read() == [Pong(nonce=1)]


async def test_split_over_the_peers_limit(tmp_path: Path) -> None:
    """Messages over the peer's limit together travel in several frames, each within it."""
    async with channels(tmp_path, frame_bytes=1000, reads=1000) as (near, far):
        sent = texts(10, 300)
        await near.write(sent)
        frames = await read_all(far, 10)
        assert [message for frame in frames for message in frame] == sent
        assert 4 <= len(frames) < 10


async def test_split_over_the_default_limit(tmp_path: Path) -> None:
    """So do messages over the default limit: each of them is within it."""
    async with channels(tmp_path) as (near, far):
        sent = texts(3, 30 * MIB)
        writing = asyncio.gather(near.write(sent), read_all(far, 3))
        _, frames = await writing
        assert [message for frame in frames for message in frame] == sent


async def test_a_message_that_is_too_large(tmp_path: Path) -> None:
    """A single message over the limit is refused here, with both sizes, and the channel lives."""
    async with channels(tmp_path, frame_bytes=1000) as (near, far):
        with pytest.raises(TooLarge, match=r"of 1\d\d\d bytes.*1000"):
            await near.write(texts(1, 1000))
        await near.write([Ping(nonce=1)])
        assert await far.read() == [Ping(nonce=1)]


async def test_a_frame_over_the_readers_limit(tmp_path: Path) -> None:
    """A reader does not take a frame over its limit: it ends the connection."""
    async with channels(tmp_path, reads=1000) as (near, far):
        await near.write(texts(1, 2000))
        with pytest.raises(ChannelClosed, match="exceeds limit 1000"):
            await far.read()


async def test_the_peer_closes(tmp_path: Path) -> None:
    """The end is read as the end, with the code, and nothing can be written any more."""
    async with channels(tmp_path) as (near, far):
        closing = spawn(far.close(), name="close")
        with pytest.raises(ChannelClosed, match="code 1000"):
            await near.read()
        await closing
        with pytest.raises(ChannelClosed):
            await near.read()
        with pytest.raises(ChannelClosed, match="ended"):
            await near.write([Ping(nonce=1)])


async def test_close_twice(tmp_path: Path) -> None:
    """A second close does nothing."""
    async with channels(tmp_path) as (near, far):
        closing = spawn(near.close(), name="close")
        with pytest.raises(ChannelClosed):
            await far.read()
        await closing
        await near.close()
        await far.close()


async def test_the_connection_breaks(tmp_path: Path) -> None:
    """A connection that ends without a goodbye is the end of the channel."""
    async with channels(tmp_path) as (near, far):
        response = far._socket
        assert isinstance(response, web.WebSocketResponse)
        transport = response._req.transport  # type: ignore[union-attr] # it is prepared
        assert transport is not None
        transport.abort()
        with pytest.raises(ChannelClosed, match="1006"):
            await near.read()


async def test_text(tmp_path: Path) -> None:
    """Text is no frame."""
    async with channels(tmp_path) as (near, far):
        await near._socket.send_str("hello")
        with pytest.raises(DecodeError, match="sent text"):
            await far.read()


async def test_no_frame(tmp_path: Path) -> None:
    """Bytes that are no frame are refused by name."""
    async with channels(tmp_path) as (near, far):
        await near._socket.send_bytes(b"GET / HTTP/1.1")
        with pytest.raises(DecodeError, match="no frame"):
            await far.read()


# --- bulk --------------------------------------------------------------------------------


async def test_chunks() -> None:
    """A buffer is handed over in pieces of a bounded size, without a copy."""
    data = bytearray(CHUNK_BYTES + 5)
    pieces = [piece async for piece in chunks_of(memoryview(data))]
    assert [piece.nbytes for piece in pieces] == [CHUNK_BYTES, 5]
    data[-1] = 7
    assert pieces[1][-1] == 7
    assert [piece async for piece in chunks_of(memoryview(b""))] == []


@pytest.mark.parametrize("size", [0, 1, 2 * CHUNK_BYTES + 3])
async def test_bulk_both_ways(tmp_path: Path, size: int) -> None:
    """A buffer arrives as it is, with its size announced and the headers given, and comes back."""
    held: dict[str, bytearray] = {}

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.headers["X-Test"] == "yes"
        if request.method == "GET":
            return web.Response(body=bytes(held[request.path]))
        assert request.content_length is not None
        incoming = Incoming(request.content_length)
        await read_stream(request.content, incoming)
        held[request.path] = incoming.data
        return web.Response()

    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    async with served(tmp_path, handle) as http:
        bulk = HttpBulk(http, f"{BASE}/bulk", {"X-Test": "yes"})
        await bulk.send("1-0", memoryview(data))
        assert held == {"/bulk/1-0": data}
        assert await bulk.receive("1-0", size) == data


async def test_bulk_of_numbers(tmp_path: Path) -> None:
    """A buffer that is no plain bytes travels as its bytes."""
    held: list[bytes] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        held.append(await request.read())
        return web.Response()

    async with served(tmp_path, handle) as http:
        await HttpBulk(http, BASE, {}).send("1", memoryview(bytes(range(8))).cast("H"))
    assert held == [bytes(range(8))]


async def test_bulk_that_is_made_as_it_leaves(tmp_path: Path) -> None:
    """Piece by piece, with its length announced."""
    got: list[tuple[int | None, bytes]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        got.append((request.content_length, await request.read()))
        return web.Response()

    data = bytearray(range(250)) * 4000
    async with served(tmp_path, handle) as http:
        await HttpBulk(http, f"{BASE}/v1/bulk/s", {}).send("1", LaterBytes(data))
    assert got == [(len(data), bytes(data))]


@pytest.mark.parametrize("size", [9, 11])
async def test_bulk_of_another_size(tmp_path: Path, size: int) -> None:
    """A fetched buffer has the size that the message told."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(10))

    async with served(tmp_path, handle) as http:
        with pytest.raises(DecodeError):
            await HttpBulk(http, BASE, {}).receive("1", size)


@pytest.mark.parametrize("large", [False, True])
async def test_bulk_refused(tmp_path: Path, large: bool) -> None:
    """A refusal is told in the worker's words, also when it comes before all is sent."""

    async def handle(request: web.Request) -> web.StreamResponse:
        raise web.HTTPNotFound(text="no such session")

    async with served(tmp_path, handle) as http:
        bulk = HttpBulk(http, BASE, {})
        with pytest.raises(ChannelClosed, match="bulk"):
            await bulk.send("1", bytes(32 * MIB if large else 1))
        with pytest.raises(ChannelClosed, match="refused bulk buffer 1: no such session"):
            await bulk.receive("1", 10)


async def test_bulk_that_is_cut(tmp_path: Path) -> None:
    """A body that ends early is the end of the connection."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        await response.write(bytes(5))
        assert request.transport is not None
        request.transport.close()
        return response

    async with served(tmp_path, handle) as http:
        with pytest.raises(ChannelClosed, match="bulk"):
            await HttpBulk(http, BASE, {}).receive("1", 10)


async def test_bulk_to_nobody(tmp_path: Path) -> None:
    """With no worker to reach, the bulk lane is closed, both ways."""
    connector = aiohttp.UnixConnector(str(tmp_path / "nothing"))
    async with aiohttp.ClientSession(connector=connector) as http:
        bulk = HttpBulk(http, BASE, {})
        with pytest.raises(ChannelClosed, match="ended"):
            await bulk.send("1", b"x")
        with pytest.raises(ChannelClosed, match="ended"):
            await bulk.receive("1", 1)

"""The WebSocket, between a real server and a real client."""

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
from asyncbridge.serialization.frames import ORIGIN
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import ChannelClosed
from asyncbridge.transport.websocket import WebSocketWire

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
) -> AsyncGenerator[tuple[WebSocketWire, WebSocketWire], None]:
    """Yield the client's and the worker's end of a WebSocket; ``reads`` is the worker's limit."""
    far: asyncio.Future[WebSocketWire] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.WebSocketResponse(compress=False, max_msg_size=reads)
        await response.prepare(request)
        far.set_result(WebSocketWire(response))
        await done.wait()
        return response

    async with served(folder, handle) as http:
        socket = await http.ws_connect(f"{BASE}/", max_msg_size=FRAME_BYTES)
        near = WebSocketWire(socket, frame_bytes=frame_bytes)
        try:
            yield near, await far
        finally:
            done.set()
            await near.close()


async def read_all(channel: WebSocketWire, count: int) -> list[list[Message]]:
    """Read frames until ``count`` messages are there."""
    frames: list[list[Message]] = []
    while sum(map(len, frames)) < count:
        frames.append((await channel.receive())[0])
    return frames


def texts(count: int, size: int) -> list[Message]:
    """Return messages of some size."""
    return [Output(id=n, stream="stdout", text="x" * size) for n in range(count)]


async def test_both_ways(tmp_path: Path) -> None:
    """What is written together at one end is read together at the other, in order."""
    async with channels(tmp_path) as (near, far):
        await near.send([Ping(nonce=1), Ping(nonce=2)], ORIGIN)
        await near.send([Ping(nonce=3)], ORIGIN)
        assert (await far.receive())[0] == [Ping(nonce=1), Ping(nonce=2)]
        assert (await far.receive())[0] == [Ping(nonce=3)]
        await far.send([Pong(nonce=1)], ORIGIN)
        assert (await near.receive())[0] == [Pong(nonce=1)]


async def test_split_over_the_peers_limit(tmp_path: Path) -> None:
    """Messages over the peer's limit together travel in several frames, each within it."""
    async with channels(tmp_path, frame_bytes=1000, reads=1000) as (near, far):
        sent = texts(10, 300)
        await near.send(sent, ORIGIN)
        frames = await read_all(far, 10)
        assert [message for frame in frames for message in frame] == sent
        assert 4 <= len(frames) < 10


async def test_split_over_the_default_limit(tmp_path: Path) -> None:
    """So do messages over the default limit: each of them is within it."""
    async with channels(tmp_path) as (near, far):
        sent = texts(3, 30 * MIB)
        writing = asyncio.gather(near.send(sent, ORIGIN), read_all(far, 3))
        _, frames = await writing
        assert [message for frame in frames for message in frame] == sent


async def test_a_message_that_is_too_large(tmp_path: Path) -> None:
    """A single message over the limit is refused here, with both sizes, and the channel lives."""
    async with channels(tmp_path, frame_bytes=1000) as (near, far):
        with pytest.raises(TooLarge, match=r"of 1\d\d\d bytes.*1000"):
            await near.send(texts(1, 1000), ORIGIN)
        await near.send([Ping(nonce=1)], ORIGIN)
        assert (await far.receive())[0] == [Ping(nonce=1)]


async def test_a_frame_over_the_readers_limit(tmp_path: Path) -> None:
    """A reader does not take a frame over its limit: it ends the connection."""
    async with channels(tmp_path, reads=1000) as (near, far):
        await near.send(texts(1, 2000), ORIGIN)
        with pytest.raises(ChannelClosed, match="exceeds limit 1000"):
            await far.receive()


async def test_the_peer_closes(tmp_path: Path) -> None:
    """The end is read as the end, with the code, and nothing can be written any more."""
    async with channels(tmp_path) as (near, far):
        closing = spawn(far.close(), name="close")
        with pytest.raises(ChannelClosed, match="code 1000"):
            await near.receive()
        await closing
        with pytest.raises(ChannelClosed):
            await near.receive()
        with pytest.raises(ChannelClosed, match="ended"):
            await near.send([Ping(nonce=1)], ORIGIN)


async def test_close_twice(tmp_path: Path) -> None:
    """A second close does nothing."""
    async with channels(tmp_path) as (near, far):
        closing = spawn(near.close(), name="close")
        with pytest.raises(ChannelClosed):
            await far.receive()
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
            await near.receive()


async def test_text(tmp_path: Path) -> None:
    """Text is no frame."""
    async with channels(tmp_path) as (near, far):
        await near._socket.send_str("hello")
        with pytest.raises(DecodeError, match="sent text"):
            await far.receive()


async def test_no_frame(tmp_path: Path) -> None:
    """Bytes that are no frame are refused by name."""
    async with channels(tmp_path) as (near, far):
        await near._socket.send_bytes(b"GET / HTTP/1.1")
        with pytest.raises(DecodeError, match="no frame"):
            await far.receive()

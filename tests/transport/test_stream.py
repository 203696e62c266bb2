"""One bulk connection, over a real pair of sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from asyncbridge.tasks import spawn
from asyncbridge.transport.stream import Stream, StreamCut

pytestmark = pytest.mark.asyncio

MIB = 1024 * 1024


class Former(asyncio.Protocol):
    """Whose connection it was."""

    def __init__(self) -> None:
        self.lost = 0

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost += 1


@asynccontextmanager
async def pair(patience: float = 30.0) -> AsyncGenerator[tuple[Stream, Stream], None]:
    """Yield the two ends of a connection."""
    loop = asyncio.get_running_loop()
    streams = []
    for end in socket.socketpair():
        transport, former = await loop.create_connection(Former, sock=end)
        streams.append(Stream(transport, former, patience=patience))
    near, far = streams
    try:
        yield near, far
    finally:
        near.abort()
        far.abort()
        await asyncio.sleep(0)


async def test_bytes_go_into_the_view() -> None:
    """They are read where they belong, in order, and no further than asked for."""
    async with pair() as (near, far):
        writing = spawn(near.write(bytes(range(100)) * (MIB // 50)), name="writing")
        whole = bytearray(2 * MIB // 100 * 100)
        view = memoryview(whole)
        await far.read_into(view[:3])
        await far.read_into(view[3:3])
        await far.read_into(view[3:])
        await writing
        assert whole == bytes(range(100)) * (len(whole) // 100)


async def test_the_end_of_the_connection() -> None:
    """Who reads is told, and so is who comes later; the former protocol is told once."""
    async with pair() as (near, far):
        reading = spawn(far.read_into(memoryview(bytearray(5))), name="reading")
        await asyncio.sleep(0)
        former = far._former
        assert isinstance(former, Former)
        near.close()
        with pytest.raises(StreamCut, match="the other side closed it"):
            await reading
        assert far.closed
        with pytest.raises(StreamCut):
            await far.write(b"x")
        with pytest.raises(StreamCut):
            await far.read_into(memoryview(bytearray(1)))
        await asyncio.sleep(0)
        assert former.lost == 1


async def test_a_writer_whose_peer_leaves() -> None:
    """It does not wait for ever."""
    async with pair() as (near, far):
        writing = spawn(near.write(bytes(64 * MIB)), name="writing")
        await asyncio.sleep(0)
        far.abort()
        with pytest.raises(StreamCut):
            await writing


@pytest.mark.parametrize("writes", [False, True])
async def test_a_peer_that_stalls(writes: bool) -> None:
    """When nothing moves for too long, the connection is given up, and the error says so."""
    async with pair(patience=0.05) as (near, _):
        with pytest.raises(StreamCut, match=r"nothing moved for 0.05 s"):
            if writes:
                await near.write(bytes(64 * MIB))
            else:
                await near.read_into(memoryview(bytearray(1)))
        assert near.closed


async def test_idle_is_no_stall() -> None:
    """A connection on which nothing is asked for may rest; half a record may not."""
    async with pair(patience=0.01) as (near, far):
        head = bytearray(4)
        reading = spawn(far.read_into(memoryview(head), idle=True), name="reading")
        done, _ = await asyncio.wait({reading}, timeout=0.05)
        assert not done
        await near.write(b"ab")
        with pytest.raises(StreamCut, match="nothing moved"):
            await reading


async def test_a_read_that_is_cancelled() -> None:
    """Its connection is closed: what comes next would be in the wrong place."""
    async with pair() as (_, far):
        view = bytearray(5)
        reading = spawn(far.read_into(memoryview(view)), name="reading")
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert far.closed
        assert view == bytes(5)

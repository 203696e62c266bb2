from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.chaos.proxy import Proxy, Shape
from tests.limits import HANG_S

pytestmark = pytest.mark.asyncio

DATA = bytes(range(256)) * 20
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def through(folder: Path, arrange: Callable[[Proxy], None]) -> AsyncGenerator[Ends]:
    """Connect through a proxy to a server that echoes what it is sent."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    server = await asyncio.start_unix_server(echo, folder / "server.sock")
    front = folder / "proxy.sock"
    proxy = Proxy(front, folder / "server.sock")
    await proxy.start()
    arrange(proxy)
    reader, writer = await asyncio.open_unix_connection(front)
    try:
        async with asyncio.timeout(HANG_S):
            yield reader, writer
    finally:
        writer.close()
        await proxy.close()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    "shape", [Shape(), Shape(size=1), Shape(size=100, rate=100_000), Shape(late=0.001)]
)
async def test_bytes_come_whole_in_any_shape(shape: Shape, folder: Path) -> None:
    """Whole or in slices, slow or late; what is behind them passes as ever."""
    async with through(folder, lambda p: p.shape("there", 100, 1000, shape)) as (reader, writer):
        writer.write(DATA)
        assert await reader.readexactly(len(DATA)) == DATA


@pytest.mark.parametrize("after", [0, 1, 999, 5000])
async def test_a_cut_is_after_that_byte(after: int, folder: Path) -> None:
    """What came before it has passed, and nothing behind it."""
    async with through(folder, lambda p: p.end_after("back", after)) as (reader, writer):
        writer.write(DATA)
        got = b""
        try:
            while data := await reader.read(1000):
                got += data
        except ConnectionError:
            pass
        assert got == DATA[:after]


async def test_a_half_close_leaves_the_other_way_open(folder: Path) -> None:
    """The server reads to the end, and answers what it has read."""
    async with through(folder, lambda p: p.end_after("there", 1234, "half_close")) as both:
        reader, writer = both
        writer.write(DATA)
        assert await reader.read(-1) == DATA[:1234]


async def test_a_black_hole_takes_everything(folder: Path) -> None:
    """And ends the connection."""
    async with through(folder, lambda p: p.black_hole(0.01)) as (reader, writer):
        writer.write(DATA)
        assert await reader.read(-1) == b""


async def test_a_reset_on_tcp() -> None:
    """Is one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = Proxy(("127.0.0.2", server.getsockname()[1]), server.getsockname())
        await proxy.start()
        proxy.end_after("there", 10, "reset")
        assert isinstance(proxy.front, tuple)
        reader, writer = await asyncio.open_connection(*proxy.front)
        writer.write(DATA)
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(HANG_S):
                await reader.read()
        writer.close()
        await proxy.close()

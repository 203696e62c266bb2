"""The client's bulk lane, between a real server and a real client, with a bad network between."""

from __future__ import annotations

import asyncio
import random
import ssl
import subprocess
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest
from aiohttp import web

from asyncbridge.errors import DecodeError, TooLarge
from asyncbridge.protocol.messages import BulkRef
from asyncbridge.tasks import spawn
from asyncbridge.transport import compression
from asyncbridge.transport.bulk import BulkStore
from asyncbridge.transport.contract import ChannelClosed
from asyncbridge.transport.records import CHUNK_BYTES
from asyncbridge.transport.retries import Backoff
from asyncbridge.transport.streams import DAMAGE, StreamBulk
from asyncbridge.worker.bulk import StreamServer
from tests.limits import HANG_S

pytestmark = pytest.mark.asyncio

MIB = 1024 * 1024
SIZE = 2 * CHUNK_BYTES + MIB
DATA = random.Random(7).randbytes(SIZE)
QUICK = Backoff(tries=8, first=0.001, longest=0.002)

Way = Literal["up", "down"]
WAYS: tuple[Way, ...] = ("up", "down")


@dataclass
class Fault:
    """What befalls one connection, at a byte behind the HTTP headers of one direction."""

    what: Literal["cut", "flip", "stall"]
    way: Way
    at: int


class Proxy:
    """Passes bytes on; each connection takes the next fault, if there is one."""

    def __init__(self, target: int, *, tls: bool) -> None:
        self._tls = tls
        self._closing = asyncio.Event()
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.carried: list[dict[Way, int]] = []
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []
        self.stalled = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self.faults.popleft() if self.faults else self.always
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        counts: dict[Way, int] = {"up": 0, "down": 0}
        self.carried.append(counts)
        with suppress(ConnectionError):
            await asyncio.gather(
                self._pass_on(reader, far_writer, "up", fault, counts),
                self._pass_on(far_reader, writer, "down", fault, counts),
            )
        abort([writer, far_writer])

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        way: Way,
        fault: Fault | None,
        counts: dict[Way, int],
    ) -> None:
        if not self._tls:  # whose bytes are counted from the first one on
            with suppress(asyncio.IncompleteReadError):
                writer.write(await reader.readuntil(b"\r\n\r\n"))
        while data := await reader.read(256 * 1024):
            place = -1 if fault is None or fault.way != way else fault.at - counts[way]
            if fault is not None and 0 <= place < len(data):
                if fault.what == "flip":
                    data = data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
                else:
                    writer.write(data[:place])
                    counts[way] += place
                    if fault.what == "stall":
                        self.stalled.set()
                        await self._closing.wait()
                    raise ConnectionAbortedError
            counts[way] += len(data)
            writer.write(data)
            await writer.drain()
        raise ConnectionAbortedError

    def close(self) -> None:
        self._closing.set()
        abort(self._writers)


def abort(writers: list[asyncio.StreamWriter]) -> None:
    """End connections at once."""
    for writer in writers:
        writer.transport.abort()


class Network:
    """A worker's store, a client's lane, and what stands between."""

    def __init__(self, store: BulkStore, proxy: Proxy, lane: StreamBulk) -> None:
        self.store = store
        self.proxy = proxy
        self.lane = lane
        self.sent = 0

    async def move(self, way: Way, data: bytes = DATA) -> bytes:
        """Move a buffer one way; return it as it has arrived."""
        self.sent += 1
        name = f"{self.sent}-0"
        async with asyncio.timeout(HANG_S):
            if way == "down":
                self.store.offer(self.sent, {name: data})
                return bytes(await self.lane.receive(name, len(data)))
            await self.lane.send(name, data)
            return bytes(await self.store.arrival(BulkRef(id=name, size=len(data))))


@asynccontextmanager
async def network(
    *,
    tls: tuple[Path, Path] | None = None,
    judge: Any = compression.Judge,
    patience: float = 30.0,
    **options: Any,
) -> AsyncGenerator[Network, None]:
    """Serve a store behind a proxy; yield a lane to it."""
    store, server = BulkStore(), StreamServer(patience=patience, judge=judge)
    app = web.Application()

    async def serve(request: web.Request) -> web.StreamResponse:
        return await server.serve(request, store)

    app.router.add_get("/bulk", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    near = far = None
    if tls is not None:
        near = ssl.create_default_context(cafile=tls[0])
        far = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        far.load_cert_chain(*tls)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=far).start()
    proxy = Proxy(runner.addresses[0][1], tls=tls is not None)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    connector = aiohttp.TCPConnector(ssl=near or True)
    async with aiohttp.ClientSession(connector=connector) as http:
        url = f"http{'s' if tls else ''}://127.0.0.1:{port}/bulk"
        options = {"backoff": QUICK, "judge": judge, "patience": patience, **options}
        lane = StreamBulk(http, url, {}, sound=tls is not None, **options)
        try:
            yield Network(store, proxy, lane)
        finally:
            lane.close()
            store.close()
            proxy.close()
            listener.close()
            await runner.cleanup()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            [*command, *names, "-keyout", str(key), "-out", str(cert)],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("needs openssl")
    return cert, key


def places(count: int) -> list[int]:
    """Return bytes of a transfer, from its first to nearly its last."""
    chosen = random.Random(3)
    return [0, 20, 36, 100, *(chosen.randrange(SIZE) for _ in range(count))]


@pytest.mark.parametrize("size", [0, 1, 300_000, CHUNK_BYTES, SIZE])
@pytest.mark.parametrize("way", WAYS)
async def test_a_buffer_arrives_as_it_is(way: Way, size: int) -> None:
    """Of any size, either way."""
    async with network() as net:
        assert await net.move(way, DATA[:size]) == DATA[:size]


async def test_connections_are_kept() -> None:
    """One buffer after the other goes over the same connection, both ways."""
    async with network() as net:
        for way in (*WAYS, *WAYS):
            assert await net.move(way, DATA[:1000]) == DATA[:1000]
        assert len(net.proxy.carried) == 1


@pytest.mark.parametrize("at", places(4))
@pytest.mark.parametrize("way", WAYS)
async def test_a_cut_connection(way: Way, at: int) -> None:
    """Wherever a connection is cut, the buffer arrives over another one, and is right."""
    async with network() as net:
        net.proxy.faults.append(Fault("cut", way, at))
        assert await net.move(way) == DATA
        assert len(net.proxy.carried) == 2


@pytest.mark.parametrize("at", places(4))
@pytest.mark.parametrize("way", WAYS)
async def test_a_flipped_bit(way: Way, at: int) -> None:
    """Whichever bit is flipped on the way, what arrives is right."""
    async with network(patience=0.5) as net:
        net.proxy.faults.append(Fault("flip", way, at))
        assert await net.move(way) == DATA
        assert len(net.proxy.carried) == 2


@pytest.mark.parametrize("way", WAYS)
async def test_what_has_arrived_is_not_sent_again(way: Way) -> None:
    """After a cut in the second chunk, the first one stays where it is."""
    async with network() as net:
        net.proxy.faults.append(Fault("cut", way, CHUNK_BYTES + MIB))
        assert await net.move(way) == DATA
        first, second = (counts[way] for counts in net.proxy.carried)
        assert first == CHUNK_BYTES + MIB
        assert SIZE - CHUNK_BYTES < second < SIZE - CHUNK_BYTES + 1000


@pytest.mark.parametrize("way", WAYS)
async def test_many_cuts(way: Way) -> None:
    """Tries are counted only while a transfer comes no further."""
    async with network(backoff=Backoff(tries=3, first=0.001)) as net:
        for _ in range(2):
            net.proxy.faults.append(Fault("cut", way, CHUNK_BYTES + 100))
            net.proxy.faults.append(Fault("cut", way, 100))
        assert await net.move(way) == DATA
        assert len(net.proxy.carried) == 5


@pytest.mark.parametrize("way", WAYS)
async def test_a_network_that_always_damages(way: Way) -> None:
    """After a few times the error says where, and what to look for; nothing wrong arrives."""
    async with network() as net:
        net.proxy.always = Fault("flip", way, 2 * MIB)
        with pytest.raises(DecodeError, match=rf"1-0, at byte 0: .* damaged on its way {DAMAGE} t"):
            await net.move(way)
        assert len(net.proxy.carried) == DAMAGE + (way == "up")


@pytest.mark.parametrize("way", WAYS)
async def test_a_network_that_always_cuts(way: Way) -> None:
    """After some tries that come to nothing, the lane gives up."""
    async with network() as net:
        net.proxy.always = Fault("cut", way, 2 * MIB)
        with pytest.raises(ChannelClosed, match="1-0, at byte 0: .*; so did 7 tries before"):
            await net.move(way)
        assert len(net.proxy.carried) == 8


@pytest.mark.parametrize("way", WAYS)
async def test_a_network_that_stalls(way: Way) -> None:
    """A connection on which nothing moves is given up; meanwhile another buffer passes."""
    async with network(patience=0.3) as net:
        net.proxy.faults.append(Fault("stall", way, CHUNK_BYTES + 5))
        moving = spawn(net.move(way), name="moving")
        await net.proxy.stalled.wait()
        assert await net.move(way, b"small") == b"small"
        assert await moving == DATA


async def test_several_at_once() -> None:
    """Buffers do not wait for each other, and each is right."""
    async with network() as net:
        parts = [DATA[n * MIB : (n + 1) * MIB] for n in range(8)]
        assert await asyncio.gather(*(net.move(WAYS[n % 2], parts[n]) for n in range(8))) == parts


# --- refusals ----------------------------------------------------------------------------


async def test_nothing_waits_there() -> None:
    """A buffer that nobody offered is named, and the connection is used again."""
    async with network() as net:
        with pytest.raises(ChannelClosed, match="refused bulk buffer 9-0: no bulk buffer 9-0"):
            await net.lane.receive("9-0", 1)
        assert await net.move("down", b"abc") == b"abc"


@pytest.mark.parametrize("size", [2, 4])
async def test_another_size_than_the_value_says(size: int) -> None:
    """It is told before a byte of it is read."""
    async with network() as net:
        net.store.offer(1, {"1-0": b"abc"})
        with pytest.raises(DecodeError, match=f"1-0 has 3 bytes, not {size}"):
            await net.lane.receive("1-0", size)


async def test_over_the_limit() -> None:
    """A buffer over the user's limit is not asked for."""
    async with network(limit=1000) as net:
        assert await net.move("down", DATA[:1000]) == DATA[:1000]
        with pytest.raises(TooLarge, match="of 1001 bytes, where the limit is 1000"):
            await net.move("down", DATA[:1001])


async def test_a_size_that_no_machine_has() -> None:
    """A lie about the size is an error, at either end, and takes no memory."""
    async with network() as net:
        with pytest.raises(TooLarge, match="no memory for a buffer of"):
            await net.lane.receive("1-0", 1 << 60)
        with pytest.raises(TooLarge, match="no memory for a buffer of"):
            net.store.landing("1-0", 1 << 60)


async def test_sent_twice() -> None:
    """What has arrived is not sent again, nor taken for another buffer."""
    async with network() as net:
        await net.lane.send("1-0", DATA)
        await net.lane.send("1-0", DATA)
        assert bytes(await net.store.arrival(BulkRef(id="1-0", size=SIZE))) == DATA
        assert net.proxy.carried[0]["up"] < SIZE + 1000


async def test_closed() -> None:
    """What is on its way when the lane is closed fails at once, and so does what comes later."""
    async with network() as net:
        net.proxy.faults.append(Fault("stall", "up", 1000))
        moving = spawn(net.move("up"), name="moving")
        await net.proxy.stalled.wait()
        net.lane.close()
        with pytest.raises(ChannelClosed):
            await moving
        with pytest.raises(ChannelClosed, match="lane is closed"):
            await net.move("up")


async def test_nobody_answers(unused_tcp_port: int) -> None:
    """With no worker to reach, the lane gives up after some tries."""
    async with aiohttp.ClientSession() as http:
        lane = StreamBulk(http, f"http://127.0.0.1:{unused_tcp_port}/", {}, backoff=QUICK)
        with pytest.raises(ChannelClosed, match="Cannot connect"):
            await lane.send("1-0", b"x")
        lane.close()


# --- TLS and compression -----------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_tls(way: Way, certificate: tuple[Path, Path]) -> None:
    """Over TLS a buffer arrives as it is, also after a cut in the middle."""
    async with network(tls=certificate) as net:
        net.proxy.faults.append(Fault("cut", way, CHUNK_BYTES + MIB))
        assert await net.move(way) == DATA
        assert len(net.proxy.carried) == 2


class Eager(compression.Judge):
    """Finds compression worth it wherever data shrinks, as on a slow network."""

    def wants(self) -> bool:
        return True

    def compressed(self, size: int, packed: int, seconds: float) -> bool:
        return compression.pays(ratio=packed / size, link=1.0, speed=1e9)


@pytest.mark.parametrize("way", WAYS)
async def test_compression(way: Way) -> None:
    """Where it is worth it, data that shrinks goes compressed, and random data does not."""
    pytest.importorskip("zstandard")
    async with network(judge=Eager) as net:
        same = bytes(range(256)) * (SIZE // 256)
        assert await net.move(way, same) == same
        before = net.proxy.carried[0][way]
        assert before < SIZE // 100
        assert await net.move(way) == DATA
        assert SIZE < net.proxy.carried[0][way] - before < SIZE + 1000

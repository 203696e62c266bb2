"""The worker's application over a real Unix socket: sessions and the bulk lane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from asyncbridge.protocol.messages import (
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    Accepted,
    Acknowledge,
    BulkRef,
    Claim,
    Command,
    Completed,
    Goodbye,
    Hello,
    Holding,
    Ping,
    Pong,
    Refused,
    Welcome,
)
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.serialization.split import join, split
from asyncbridge.transport.contract import ChannelClosed, Taken
from asyncbridge.transport.records import CHUNK_BYTES
from asyncbridge.transport.resumable import Dialled
from asyncbridge.transport.streams import StreamBulk
from asyncbridge.transport.websocket import WebSocketWire
from asyncbridge.worker.app import WorkerApp
from asyncbridge.worker.backend import Backend
from asyncbridge.worker.engine import Engine
from asyncbridge.worker.executor import StepExecutor
from asyncbridge.worker.security import UNIX_HOST
from tests.limits import HANG_S

pytestmark = pytest.mark.asyncio

TOKEN = "correct-horse"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
BASE = f"http://{UNIX_HOST}"
LARGE = CHUNK_BYTES + 12_345


class Executor(StepExecutor):
    """One that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.queued = asyncio.Semaphore(0)

    def submit(self, job: Callable[[], None]) -> None:
        super().submit(job)
        self.queued.release()


class Worker:
    """A worker in this process, and a client's HTTP session for it."""

    def __init__(
        self, http: aiohttp.ClientSession, app: WorkerApp, executor: Executor, path: Path
    ) -> None:
        self.http = http
        self.app = app
        self.executor = executor
        self.path = path
        self.lanes: list[StreamBulk] = []

    def bulk(self, session: str = "s") -> StreamBulk:
        url = f"{BASE}/v1/bulk/{session}"
        self.lanes.append(StreamBulk(self.http, url, HEADERS, sound=True))
        return self.lanes[-1]

    async def dial(self, session: str = "s", *, name: str = "") -> Dialled:
        socket = await self.http.ws_connect(f"{BASE}/v1/session", headers=HEADERS, compress=0)
        channel = Dialled(session, self.redial, name=name)
        await channel.open(WebSocketWire(socket))
        await channel.write(
            [Hello(oldest=OLDEST_VERSION, newest=PROTOCOL_VERSION, session=session)]
        )
        return channel

    async def redial(self) -> WebSocketWire:
        socket = await self.http.ws_connect(f"{BASE}/v1/session", headers=HEADERS, compress=0)
        return WebSocketWire(socket)

    @asynccontextmanager
    async def session(self, name: str = "s") -> AsyncGenerator[Dialled, None]:
        channel = await self.dial(name)
        assert isinstance((await channel.read())[0], Welcome)
        yield channel
        await channel.close()

    async def step(self) -> None:
        """Run the next command, once it stands in the queue."""
        async with asyncio.timeout(HANG_S):
            await self.executor.queued.acquire()
        assert self.executor.step()


@asynccontextmanager
async def serving(folder: Path, *, lease: float = 30.0) -> AsyncGenerator[Worker, None]:
    """Serve a worker on a Unix socket."""
    executor = Executor()
    engine = Engine(loop=asyncio.get_running_loop(), executor=executor, backend=Backend(None))
    engine.start()
    await executor.queued.acquire()
    executor.step()
    for _ in range(3):  # the word that the import is over takes a turn of the loop
        await asyncio.sleep(0)
    assert engine.state == "ready"
    app = WorkerApp(
        engine, token=TOKEN, hosts=frozenset({UNIX_HOST}), largest=8 * CHUNK_BYTES, lease=lease
    )
    runner = web.AppRunner(app.app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    path = folder / "s"
    await web.UnixSite(runner, str(path)).start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as http:
            worker = Worker(http, app, executor, path)
            yield worker
            for lane in worker.lanes:
                lane.close()
    finally:
        await runner.cleanup()


async def completed(channel: Dialled) -> Completed:
    """Read until a command has completed."""
    async with asyncio.timeout(HANG_S):
        while True:
            for message in await channel.read():
                if isinstance(message, Completed):
                    return message


# --- sessions ----------------------------------------------------------------------------


async def test_a_session(tmp_path: Path) -> None:
    """A command goes over the WebSocket, and its value comes back."""
    async with serving(tmp_path) as worker, worker.session() as channel:
        await channel.write([Command(id=1, code="a + 1", bindings=encode({"a": 41}))])
        await worker.step()
        assert decode((await completed(channel)).value) == 42


async def test_two_sessions(tmp_path: Path) -> None:
    """Sessions have their own ids of commands, and one namespace."""
    async with (
        serving(tmp_path) as worker,
        worker.session("one") as one,
        worker.session("two") as two,
    ):
        await one.write([Command(id=1, code="shared = 5; 'one'")])
        await worker.step()
        await two.write([Command(id=1, code="shared")])
        await worker.step()
        assert decode((await completed(one)).value) == "one"
        assert decode((await completed(two)).value) == 5


async def test_a_session_that_is_taken(tmp_path: Path) -> None:
    """A second connection of a session is told so; the first one goes on."""
    async with serving(tmp_path) as worker, worker.session("s") as first:
        second = await worker.dial("s")
        (answer,) = await second.read()
        assert isinstance(answer, Refused)
        with pytest.raises(ChannelClosed):
            await second.read()
        await first.write([Ping(nonce=4)])
        assert await first.read() == [Pong(nonce=4)]


async def held_by(channel: Dialled) -> list[tuple[int, str]]:
    """Return the list that a client of a name hears first: ids and states."""
    async with asyncio.timeout(HANG_S):
        while True:
            for message in await channel.read():
                if isinstance(message, Holding):
                    return [(row[0], row[2]) for row in message.commands]


async def gone(worker: Worker, session: str) -> None:
    """Wait until a client's lease is over."""
    async with asyncio.timeout(HANG_S):
        while session in worker.app._sessions:
            await asyncio.sleep(0.001)


async def test_a_named_session_outlives_its_lease(tmp_path: Path) -> None:
    """While it holds anything; its client cannot come back, but the next one goes on."""
    async with serving(tmp_path, lease=0.05) as worker:
        first = await worker.dial("one", name="n")
        await first.write([Command(id=1, code="'kept'")])
        assert await held_by(first) == []
        wire = first._wire
        assert wire is not None
        first._drop(wire, ChannelClosed("cut"))
        await gone(worker, "one")
        with pytest.raises(ChannelClosed, match=r"it was away for more than 0\.05 s"):
            while True:
                await first.read()
        await worker.step()
        second = await worker.dial("two", name="n")
        assert await held_by(second) == [(1, "completed")]
        await second.write([Claim(id=1)])
        assert decode((await completed(second)).value) == "kept"
        await second.write([Acknowledge(ids=(1,))])
        await second.close()
        await first.close()
        await gone(worker, "two")
        third = await worker.dial("three", name="n")
        assert await held_by(third) == []
        assert worker.app._names._peers["n"].session == "three"
        await third.close()
        await worker.app.close()


async def test_a_client_that_was_put_out_stays_out(tmp_path: Path) -> None:
    """It hears why, also when its connection was gone at that time."""
    async with serving(tmp_path) as worker:
        first = await worker.dial("one", name="n")
        assert await held_by(first) == []
        wire = first._wire
        assert wire is not None
        first._drop(wire, ChannelClosed("cut"))
        second = await worker.dial("two", name="n")
        assert await held_by(second) == []
        with pytest.raises(Taken, match="another client has taken over session 'n'"):
            while True:
                await first.read()
        await second.write([Ping(nonce=4)])
        assert await second.read() == [Pong(nonce=4)]
        await first.close()
        await second.close()
        await worker.app.close()


async def test_close(tmp_path: Path) -> None:
    """Every connected session hears that the worker ends; one that has left is no matter."""
    async with serving(tmp_path) as worker:
        async with worker.session("gone"):
            pass
        async with worker.session("one") as one, worker.session("two") as two:
            await worker.app.close()
            for channel in (one, two):
                assert await channel.read() == [Goodbye(reason="it was told to stop")]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/session"), ("GET", "/v1/bulk/s")],
)
async def test_every_route_is_guarded(tmp_path: Path, method: str, path: str) -> None:
    """Without the token every route is closed, also that of a session which is there."""
    async with (
        serving(tmp_path) as worker,
        worker.session(),
        worker.http.request(method, BASE + path, data=b"x") as response,
    ):
        assert (response.status, await response.text()) == (403, "wrong token")


async def test_no_websocket(tmp_path: Path) -> None:
    """A plain request for the session's route is answered with an error, and no session."""
    async with (
        serving(tmp_path) as worker,
        worker.http.get(f"{BASE}/v1/session", headers=HEADERS) as response,
    ):
        assert response.status == 400


# --- bulk --------------------------------------------------------------------------------


async def test_bulk_both_ways(tmp_path: Path) -> None:
    """Large buffers travel beside the WebSocket, in both directions, to the byte."""
    data = bytes(range(256)) * (LARGE // 256)
    payload, bulk = split(encode({"x": data}, path="bindings"), prefix="1")
    async with serving(tmp_path) as worker, worker.session() as channel:
        await channel.write([Command(id=1, code="x[::-1]", bindings=payload)])
        for name, buffer in bulk.items():
            await worker.bulk().send(name, buffer)
        await worker.step()
        value = (await completed(channel)).value
        refs = [buffer for buffer in value.buffers if isinstance(buffer, BulkRef)]
        assert [ref.size for ref in refs] == [len(data)]
        fetched = {ref.id: await worker.bulk().receive(ref.id, ref.size) for ref in refs}
        assert decode(join(value, fetched)) == data[::-1]
        await channel.write([Acknowledge(ids=(1,)), Ping(nonce=1)])
        assert await channel.read() == [Pong(nonce=1)]
        with pytest.raises(ChannelClosed, match=f"no bulk buffer {refs[0].id} waits here"):
            await worker.bulk().receive(refs[0].id, refs[0].size)


async def test_bulk_of_an_unknown_session(tmp_path: Path) -> None:
    """Only a connected session moves buffers."""
    async with serving(tmp_path) as worker, worker.session("s"):
        with pytest.raises(ChannelClosed, match="session other is not connected"):
            await worker.bulk("other").send("1-0", b"x")
        with pytest.raises(ChannelClosed, match="session other is not connected"):
            await worker.bulk("other").receive("1-0", 1)


async def test_bulk_of_another_session(tmp_path: Path) -> None:
    """A session's buffers are its own."""
    async with serving(tmp_path) as worker, worker.session("one") as one, worker.session("two"):
        await one.write([Command(id=1, code=f"bytes({LARGE})")])
        await worker.step()
        (ref,) = (await completed(one)).value.buffers
        assert isinstance(ref, BulkRef)
        with pytest.raises(ChannelClosed, match="no bulk buffer"):
            await worker.bulk("two").receive(ref.id, ref.size)


async def test_unknown_bulk(tmp_path: Path) -> None:
    """A buffer that nobody offered is named."""
    async with serving(tmp_path) as worker, worker.session():
        with pytest.raises(ChannelClosed, match="no bulk buffer 9-0 waits here"):
            await worker.bulk().receive("9-0", 1)


@pytest.mark.parametrize("size", [LARGE - 1, LARGE + 1])
async def test_bulk_of_another_size(tmp_path: Path, size: int) -> None:
    """A buffer that is not of the size its command says ends the session; the worker lives."""
    payload, _ = split(encode({"x": bytes(LARGE)}, path="bindings"), prefix="1")
    async with serving(tmp_path) as worker:
        channel = await worker.dial()
        await channel.read()
        await channel.write([Command(id=1, code="len(x)", bindings=payload)])
        assert await channel.read() == [Accepted(ids=(1,))]
        await worker.bulk().send("1-0", bytes(size))
        (goodbye,) = await channel.read()
        assert isinstance(goodbye, Goodbye)
        assert f"bulk buffer 1-0 has {size} bytes, not" in goodbye.reason
        with pytest.raises(ChannelClosed):
            await channel.read()
        async with worker.session("s") as again:
            await again.write([Ping(nonce=1)])
            assert await again.read() == [Pong(nonce=1)]


async def test_a_buffer_that_is_too_large(tmp_path: Path) -> None:
    """It is refused by its announced size, before a byte of it is taken."""
    async with serving(tmp_path) as worker, worker.session():
        with pytest.raises(ChannelClosed, match="limit is 33554432"):
            await worker.bulk().send("1-0", bytes(8 * CHUNK_BYTES + 1))

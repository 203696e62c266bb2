"""Sessions over the HTTP pair, between the worker's application and a client that is a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import pytest
from aiohttp import web

from asyncbridge.client.pair import HttpPair
from asyncbridge.errors import AuthenticationError, ConnectError
from asyncbridge.protocol.messages import (
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    Command,
    Completed,
    Goodbye,
    Hello,
    Message,
    Welcome,
)
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.transport.contract import Channel
from asyncbridge.worker.app import WorkerApp
from asyncbridge.worker.backend import Backend
from asyncbridge.worker.engine import Engine
from asyncbridge.worker.executor import StepExecutor
from asyncbridge.worker.security import UNIX_HOST
from tests.limits import HANG_S

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]

TOKEN = "correct-horse"
BASE = f"http://{UNIX_HOST}"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


class AtOnce(StepExecutor):
    """Runs what it is given in the next turn of the loop."""

    def submit(self, job: Callable[[], None]) -> None:
        super().submit(job)
        asyncio.get_running_loop().call_soon(self.step)


class Worker:
    """A worker in this process, on a Unix socket."""

    def __init__(self, http: aiohttp.ClientSession, app: WorkerApp) -> None:
        self.http = http
        self.app = app
        self.pair = HttpPair()

    async def dial(self, session: str = "s", token: str = TOKEN) -> Channel:
        """Open a session's channel."""
        link = await self.pair.open_link(self.http, BASE, token, session, "w")
        hello = Hello(oldest=OLDEST_VERSION, newest=PROTOCOL_VERSION, session=session)
        await link.channel.write([hello])
        return link.channel

    async def post(self, wire: str, body: bytes) -> tuple[int, dict[str, object]]:
        """Post as a client would; return the status and the answer."""
        async with self.http.post(
            f"{BASE}/v1/messages/{wire}", data=body, headers=HEADERS
        ) as answer:
            data = await answer.read()
            return answer.status, orjson.loads(data) if data else {}


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[Worker, None]:
    """Serve a worker."""
    engine = Engine(loop=asyncio.get_running_loop(), executor=AtOnce(), backend=Backend(None))
    engine.start()
    app = WorkerApp(engine, token=TOKEN, hosts=frozenset({UNIX_HOST}), lease=HANG_S)
    runner = web.AppRunner(app.app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    path = str(folder / "s")
    await web.UnixSite(runner, path).start()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as http:
        worker = Worker(http, app)
        try:
            yield worker
        finally:
            await app.close()
            await worker.pair.close()
            await runner.cleanup()


async def until(channel: Channel, kind: type[Message]) -> Message:
    """Read until a message of a kind comes."""
    async with asyncio.timeout(HANG_S):
        while True:
            for message in await channel.read():
                if isinstance(message, kind):
                    return message


async def value_of(channel: Channel, number: int) -> object:
    """Send a command, and return its value."""
    await channel.write([Command(id=number, code="a + 1", bindings=encode({"a": number}))])
    completed = await until(channel, Completed)
    assert isinstance(completed, Completed)
    assert completed.id == number
    return decode(completed.value)


async def test_a_session(tmp_path: Path) -> None:
    """Commands are posted to the worker, and their values to the client."""
    async with serving(tmp_path) as worker:
        channel = await worker.dial()
        assert isinstance(await until(channel, Welcome), Welcome)
        assert [await value_of(channel, number) for number in (1, 2, 3)] == [2, 3, 4]
        await channel.close()


async def test_a_session_outlives_its_wire(tmp_path: Path) -> None:
    """The client begins another one when the worker has forgotten the first."""
    async with serving(tmp_path) as worker:
        channel = await worker.dial()
        await until(channel, Welcome)
        assert await value_of(channel, 1) == 2
        (served,) = worker.app._channels.values()
        assert served._wire is not None
        await served._wire.close()
        assert await value_of(channel, 2) == 3
        await channel.close()


async def test_the_worker_says_goodbye(tmp_path: Path) -> None:
    """Its last word reaches the client."""
    async with serving(tmp_path) as worker:
        channel = await worker.dial()
        await until(channel, Welcome)
        await worker.app.close()
        goodbye = await until(channel, Goodbye)
        assert isinstance(goodbye, Goodbye)
        assert goodbye.reason == "it was told to stop"
        await channel.close()


async def test_a_wrong_token(tmp_path: Path) -> None:
    """The client is told why."""
    async with serving(tmp_path) as worker:
        with pytest.raises(AuthenticationError, match="wrong token"):
            await worker.dial(token="guessed")


async def test_a_worker_without_the_pair(tmp_path: Path) -> None:
    """What answers there is none: the error says so."""
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    path = str(tmp_path / "s")
    await web.UnixSite(runner, path).start()
    pair = HttpPair()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as http:
        with pytest.raises(ConnectError, match="or one that has no HTTP pair"):
            await pair.open_link(http, BASE, TOKEN, "s", "w")
    await pair.close()
    await runner.cleanup()


async def test_a_callback_that_leads_elsewhere(tmp_path: Path) -> None:
    """It is refused at once."""
    async with serving(tmp_path) as worker:
        body = b'{"number": 0, "messages": [[8, "s"]], "callback": "http://10.1.2.3/x"}'
        status, problem = await worker.post("w", body)
        assert (status, problem["code"]) == (403, "CallbackForbidden")


async def test_a_callback_that_nobody_answers(tmp_path: Path) -> None:
    """The client's next envelope gets to know why there is no answer to the first."""
    async with serving(tmp_path) as worker:
        body = b'{"number": 0, "messages": [[8, "s"]], "callback": "http://127.0.0.1:1/x"}'
        assert await worker.post("w", body) == (204, {})
        async with asyncio.timeout(HANG_S):
            while True:
                status, problem = await worker.post("w", b'{"number": 1, "messages": []}')
                if status != 204:
                    break
        assert (status, problem["code"]) == (410, "Gone")
        assert "http://127.0.0.1:1/x cannot be reached" in str(problem["detail"])


async def test_what_is_no_envelope(tmp_path: Path) -> None:
    """It is a bad request; one of an unknown wire is gone."""
    async with serving(tmp_path) as worker:
        status, problem = await worker.post("w", b"{")
        assert (status, problem["code"]) == (400, "DecodeError")
        status, problem = await worker.post("w", b'{"number": 3, "messages": []}')
        assert (status, problem["code"]) == (410, "Gone")

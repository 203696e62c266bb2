"""Single requests, to a server that answers as no worker should."""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from asyncbridge.client.addresses import Address
from asyncbridge.client.asking import ask
from asyncbridge.errors import AuthenticationError, ConnectError
from tests.client.impostors import serving
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


@asynccontextmanager
async def answered_by(handler: Any) -> AsyncGenerator[Address]:
    """Serve every request with the handler; yield where."""
    async with serving(handler) as path:
        yield Address(url=f"unix://{path}", base="http://asyncbridge", token="secret", socket=path)


def answering(status: int, body: bytes) -> Any:
    """Return a handler that always answers the same."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, body=body)

    return answer


async def test_a_request_and_its_answer() -> None:
    """JSON both ways, with the token in a header."""
    seen: list[tuple[str, str, bytes]] = []

    async def note(request: web.BaseRequest) -> web.Response:
        seen.append((request.path_qs, request.headers["Authorization"], await request.read()))
        return web.Response(status=202, body=b"[1]")

    async with answered_by(note) as address:
        assert await ask(address, "POST", "/v1/x", {"a": 1}, timeout=HANG_S) == (202, [1])
        assert await ask(address, "GET", "/v1/x", timeout=HANG_S) == (202, [1])
    assert seen == [("/v1/x", "Bearer secret", b'{"a":1}'), ("/v1/x", "Bearer secret", b"")]


async def test_a_refusal_is_an_authentication_error_with_the_reason() -> None:
    """As a bridge gets it; the token is in no text, and in no repr."""
    for body, reason in (({"detail": "wrong token"}, "wrong token"), ([], "no reason given")):
        async with answered_by(answering(403, json.dumps(body).encode())) as address:
            with pytest.raises(AuthenticationError, match=f"refused this client: {reason}") as told:
                await ask(address, "GET", "/", timeout=HANG_S)
            assert "secret" not in str(told.value) + repr(address)


async def test_what_is_no_worker() -> None:
    """Whatever it says that is no JSON, or no HTTP."""
    async with answered_by(answering(200, b"<html>")) as address:
        with pytest.raises(ConnectError, match="no asyncbridge worker answers.*status 200"):
            await ask(address, "GET", "/", timeout=HANG_S)
    with tempfile.TemporaryDirectory(prefix="ab-") as folder:
        path = Path(folder, "worker.sock")

        async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 smtp ready\r\n\r\n")
            await reader.read(1)
            writer.close()

        server = await asyncio.start_unix_server(babble, path)
        address = Address(url=f"unix://{path}", base="http://asyncbridge", token="t", socket=path)
        with pytest.raises(ConnectError, match="no asyncbridge worker answers at unix://"):
            await ask(address, "GET", "/", timeout=HANG_S)
        server.close()
        await server.wait_closed()


async def test_nobody_there() -> None:
    """On the network, and on a socket that is none any more."""
    address = Address(url="http://127.0.0.1:1", base="http://127.0.0.1:1", token="t")
    with pytest.raises(ConnectError, match=r"no worker can be reached at http://127\.0\.0\.1:1"):
        await ask(address, "GET", "/", timeout=HANG_S)


async def test_a_worker_that_does_not_answer() -> None:
    """It is told after the time limit, with what may be the matter."""

    async def wait(_: web.BaseRequest) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with answered_by(wait) as address:
        with pytest.raises(ConnectError, match=r"does not answer within 0\.1 s: a command's C"):
            await ask(address, "GET", "/", timeout=0.1)

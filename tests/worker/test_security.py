"""Who is let through, over a real Unix socket: nobody, unless everything is right."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from asyncbridge.worker import security
from asyncbridge.worker.security import UNIX_HOST, guard

pytestmark = pytest.mark.asyncio

TOKEN = "correct-horse"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
BASE = f"http://{UNIX_HOST}"


@asynccontextmanager
async def served(folder: Path) -> AsyncGenerator[tuple[aiohttp.ClientSession, Path], None]:
    """Serve one guarded route; yield a client for it, and the socket's path."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(text="inside")

    path = folder / "s"
    app = web.Application(
        middlewares=[guard(TOKEN, frozenset({UNIX_HOST, "gpu.example", "[::1]"}))]
    )
    app.router.add_route("*", "/here", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as http:
            yield http, path
    finally:
        await runner.cleanup()


async def refused(folder: Path, headers: dict[str, str], path: str = "/here") -> str:
    """Return why a request is refused; fail the test when it is not."""
    async with served(folder) as (http, _), http.get(BASE + path, headers=headers) as response:
        assert response.status == 403
        text = await response.text()
        assert response.headers["Asyncbridge-Refused"] == text
        return text


async def raw(path: Path, request: bytes) -> bytes:
    """Send bytes, and return the answer's first line."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(request)
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line


async def test_let_through(tmp_path: Path) -> None:
    """The worker's own user with its token, and a Host that names it, with any port, gets in."""
    async with served(tmp_path) as (http, _):
        for host in (UNIX_HOST, f"{UNIX_HOST}:80", "gpu.example:18760", "[::1]", "[::1]:9"):
            async with http.get(f"{BASE}/here", headers={**RIGHT, "Host": host}) as response:
                assert (response.status, await response.text()) == (200, "inside")


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer correct",
        "Bearer correct-horse2",
        "bearer correct-horse",
        "Basic correct-horse",
        "correct-horse",
    ],
)
async def test_wrong_token(tmp_path: Path, given: str) -> None:
    """Anything but the exact token is refused."""
    assert await refused(tmp_path, {"Authorization": given}) == "wrong token"


async def test_no_token(tmp_path: Path) -> None:
    """A request without a token is refused."""
    assert await refused(tmp_path, {}) == "wrong token"


async def test_a_token_that_is_no_text(tmp_path: Path) -> None:
    """A token of stray bytes is a wrong one, and no fault of the worker's."""
    async with served(tmp_path) as (_, path):
        request = (
            b"GET /here HTTP/1.1\r\nHost: asyncbridge\r\nAuthorization: Bearer \xff\xfe\r\n\r\n"
        )
        assert b" 403 " in await raw(path, request)


@pytest.mark.parametrize("origin", ["null", "http://asyncbridge", "https://evil.example", ""])
async def test_web_pages(tmp_path: Path, origin: str) -> None:
    """A request with an Origin comes from a web page: refused, with the right token too."""
    reason = await refused(tmp_path, {**RIGHT, "Origin": origin})
    assert reason == "requests from web pages are refused"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8750", "ASYNCBRIDGE", "asyncbridge.evil.example", "",
     "asyncbridge:", "asyncbridge:x", "asyncbridge:80:80", "::1", "[::1", "asyncbridge@evil:80"],
)  # fmt: skip
async def test_another_host(tmp_path: Path, host: str) -> None:
    """The name in the Host header is matched exactly; who has the token hears which there are."""
    reason = await refused(tmp_path, {**RIGHT, "Host": host})
    assert reason == (
        f"the Host header names {host!r}, which is not this worker: it is called [::1], "
        "asyncbridge, gpu.example, with any port; write http://asyncbridge/... over its Unix socket, "
        "or add a name by `asyncbridge worker --name`"
    )
    assert await refused(tmp_path, {"Host": host}) == "wrong token"


async def test_no_host(tmp_path: Path) -> None:
    """A request that names no host is refused."""
    async with served(tmp_path) as (_, path):
        request = b"GET /here HTTP/1.0\r\nAuthorization: Bearer correct-horse\r\n\r\n"
        assert b" 403 " in await raw(path, request)


async def test_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user of this machine is refused, with the right token too."""
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    reason = await refused(tmp_path, RIGHT)
    assert reason == f"this worker belongs to user {me + 1}, not to user {me}"


async def test_unknown_paths(tmp_path: Path) -> None:
    """Without the token nobody learns which paths there are."""
    assert await refused(tmp_path, {}, "/nowhere") == "wrong token"
    async with (
        served(tmp_path) as (http, _),
        http.get(f"{BASE}/nowhere", headers=RIGHT) as response,
    ):
        assert response.status == 404


async def test_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal is logged with its reason, and no token stands in the log."""
    with caplog.at_level(logging.DEBUG):
        await refused(tmp_path, {"Authorization": "Bearer nearly-right"})
    assert "refused GET /here: wrong token" in caplog.text
    assert TOKEN not in caplog.text
    assert "nearly-right" not in caplog.text


async def test_over_tcp() -> None:
    """Over TCP there is no user to ask; all else holds."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(text=str(security.peer_user(request)))

    app = web.Application(middlewares=[guard(TOKEN, frozenset({"gpu.example"}))])
    app.router.add_get("/here", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with aiohttp.ClientSession() as http:
            url = f"http://{host}:{port}/here"
            async with http.get(url, headers={**RIGHT, "Host": "gpu.example:9"}) as response:
                assert (response.status, await response.text()) == (200, "None")
            # The bare address of this end is no name that could have been rebound; a tunnel to
            # it listens on a port of its own.
            for other in (f"{host}:{port}", host, f"{host}:18760"):
                async with http.get(url, headers={**RIGHT, "Host": other}) as response:
                    assert response.status == 200
            async with http.get(url, headers={**RIGHT, "Host": f"evil:{port}"}) as response:
                assert response.status == 403
                assert "127.0.0.1, gpu.example, with any port; add a name" in await response.text()
    finally:
        await runner.cleanup()

"""The client as a server: where a worker posts its notifications to, over the HTTP pair."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Final

from aiohttp import web

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.limits import FRAME_BYTES
from asyncbridge.serialization.envelopes import read_envelope

if TYPE_CHECKING:
    from asyncbridge.transport.posts import PostWire

__all__ = ["Listener"]

HOST: Final = "127.0.0.1"
SHUTDOWN_S: Final = 0.5


class Listener:
    """Takes envelopes on a loopback port, from whoever has its secret.

    Attributes:
        token: The secret.
    """

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self._wires: dict[str, PostWire] = {}
        self._expected = f"Bearer {self.token}".encode()
        self._authority = ""
        app = web.Application(client_max_size=FRAME_BYTES)
        app.add_routes([web.post("/v1/notifications/{wire}", self._take)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        self._authority = f"{HOST}:{self._runner.addresses[0][1]}"

    def address_of(self, name: str) -> str:
        """Return where a wire's envelopes are to be posted."""
        return f"http://{self._authority}/v1/notifications/{name}"

    def add(self, name: str, wire: PostWire) -> None:
        """Let a wire have what is posted for it; it takes the place of all before."""
        self._wires = {name: wire}

    async def close(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        if not self._may(request):
            return web.Response(status=403)
        wire = self._wires.get(request.match_info["wire"])
        if wire is None:
            return web.Response(status=410)
        try:
            await wire.take(read_envelope(await request.read()))
        except DecodeError as error:
            wire.spoil(error)
            return web.Response(status=400)
        return web.Response(status=204)

    def _may(self, request: web.Request) -> bool:
        """Tell whether a request is the worker's, and no web page's."""
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        return (
            "Origin" not in request.headers
            and request.headers.get("Host") == self._authority
            and hmac.compare_digest(given, self._expected)
        )

"""Sessions over the HTTP pair: envelopes that clients post, and where theirs are posted back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from asyncbridge.errors import DecodeError
from asyncbridge.serialization.envelopes import read_envelope
from asyncbridge.tasks import spawn
from asyncbridge.transport.posts import Poster, PostWire
from asyncbridge.worker.callback_urls import check_callback, home_of, read_callback
from asyncbridge.worker.problems import Problem

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from asyncbridge.serialization.envelopes import Envelope
    from asyncbridge.transport.contract import Wire
    from asyncbridge.worker.outbox import Outbox

__all__ = ["Pairs"]

REMEMBERED: Final = 256
"""Wires that have ended, whose clients may yet ask why."""


class Pairs:
    """The wires of clients that are servers, too.

    Args:
        outbox: Makes the requests.
        carry: Serves a session over a wire, to the wire's end.
        callback_hosts: Where wires may lead to besides the clients' own addresses.
    """

    def __init__(
        self,
        outbox: Outbox,
        carry: Callable[[Wire], Awaitable[None]],
        callback_hosts: frozenset[str],
    ) -> None:
        self._outbox = outbox
        self._carry = carry
        self._callback_hosts = callback_hosts
        self._wires: dict[str, PostWire] = {}
        self._gone: dict[str, str] = {}
        self._carrying: set[asyncio.Task[None]] = set()

    async def take(self, request: web.Request) -> web.Response:
        """Take one envelope."""
        name = request.match_info["wire"]
        wire = self._wires.get(name)
        data = await request.read()
        try:
            envelope = read_envelope(data)
            if wire is None:
                wire = self._wires.get(name) or self._open(name, envelope, request)
            await wire.take(envelope)
        except DecodeError as error:
            if wire is not None:
                wire.spoil(error)
            raise Problem(400, "DecodeError", str(error)) from None
        return web.Response(status=204)

    def _open(self, name: str, envelope: Envelope, request: web.Request) -> PostWire:
        if not envelope.callback:
            why = self._gone.get(name, "nobody here knows of it")
            raise Problem(410, "Gone", f"this connection has ended ({why}): begin another one")
        callback = read_callback(envelope.callback)
        check_callback(callback, home_of(request), self._callback_hosts)
        headers = {"Authorization": f"Bearer {envelope.callback_token}"}
        wire = PostWire(Poster(self._outbox.http, callback, headers))
        self._wires[name] = wire
        task = spawn(self._serve(name, wire), name=f"asyncbridge-pair-{name}")
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
        return wire

    async def _serve(self, name: str, wire: PostWire) -> None:
        try:
            await self._carry(wire)
        finally:
            del self._wires[name]
            self._gone[name] = wire.why
            if len(self._gone) > REMEMBERED:
                del self._gone[next(iter(self._gone))]

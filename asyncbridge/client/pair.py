"""The HTTP pair as a way to a worker: both sides post, and both are servers."""

from __future__ import annotations

import secrets
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp

from asyncbridge.client.links import link_of
from asyncbridge.client.listener import Listener
from asyncbridge.errors import AuthenticationError, ConnectError
from asyncbridge.protocol.limits import REASON_CHARS
from asyncbridge.transport.posts import ONCE, Poster, PostFailed, PostWire
from asyncbridge.transport.resumable import Dialled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncbridge.transport.contract import Link

__all__ = ["HttpPair"]


class HttpPair:
    """One bridge's own server, and what it posts to the worker."""

    def __init__(self) -> None:
        self._listener: Listener | None = None

    async def open_link(
        self,
        http: aiohttp.ClientSession,
        base: str,
        token: str,
        session: str,
        what: str,
        connected: Callable[[bool], None] = lambda connected: None,
        *,
        name: str = "",
    ) -> Link:
        """Open a session's channel and its bulk lane.

        Raises:
            AuthenticationError: The worker refused this client.
            ConnectError: What answers there is no worker.
            aiohttp.ClientConnectionError: Nothing answers there.
        """
        headers = {"Authorization": f"Bearer {token}"}
        if self._listener is None:
            self._listener = Listener()
            await self._listener.start()
        # Nothing is posted twice over one wire: what was not taken goes over the next one.
        dial = partial(self._wire, http, base, headers)
        channel = Dialled(session, dial, changed=connected, name=name)
        try:
            await channel.open(await dial())
        except PostFailed as error:
            raise refusal(error, what) from error.__cause__
        return link_of(channel, http, base, headers, session)

    async def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            await self._listener.close()

    async def _wire(
        self, http: aiohttp.ClientSession, base: str, headers: Mapping[str, str]
    ) -> PostWire:
        assert self._listener is not None
        name = secrets.token_hex(16)
        poster = Poster(http, f"{base}/v1/messages/{name}", headers, patience=ONCE)
        extra = {
            "callback": self._listener.address_of(name),
            "callback_token": self._listener.token,
        }
        wire = PostWire(poster, extra=extra)
        self._listener.add(name, wire)
        return wire


def refusal(error: PostFailed, what: str) -> Exception:
    """Return what a first envelope that was not taken means."""
    if isinstance(error.__cause__, aiohttp.ClientConnectionError):
        return error.__cause__
    if error.status == HTTPStatus.FORBIDDEN:
        return AuthenticationError(
            f"the worker ({what}) refused this client: {error.refused[:REASON_CHARS] or 'no reason given'}"
        )
    return ConnectError(
        f"no asyncbridge worker answers ({what}), or one that has no HTTP pair: {error!s:.{REASON_CHARS}}"
    )

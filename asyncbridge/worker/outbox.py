"""The requests that a worker makes: notifications to its clients, and nothing else."""

from __future__ import annotations

import socket
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from asyncbridge.worker.callback_urls import LOCALHOST

__all__ = ["Outbox"]

_LOOPBACK: Final = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


class HomeResolver(AbstractResolver):
    """Looks up names that callbacks may have; ``localhost`` is loopback, whatever tables say."""

    def __init__(self) -> None:
        self._others = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return a name's addresses."""
        if host != LOCALHOST:
            return await self._others.resolve(host, port, family)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=each, proto=0, flags=0)
            for each, address in _LOOPBACK
            if family in (each, socket.AF_UNSPEC)
        ]

    async def close(self) -> None:
        """Let go of what is held, which is nothing."""


class Outbox:
    """A worker's HTTP client, made when it is first needed.

    It keeps no cookies, takes no proxy from the environment, and has no bound on connections: a
    client that does not answer holds up no other one.
    """

    def __init__(self) -> None:
        self._http: aiohttp.ClientSession | None = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """The client."""
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, resolver=HomeResolver()),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._http

    async def close(self) -> None:
        """End all requests."""
        if self._http is not None:
            await self._http.close()

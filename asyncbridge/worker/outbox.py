"""The requests that a worker makes: notifications to its clients, and nothing else."""

from __future__ import annotations

import aiohttp

__all__ = ["Outbox"]


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
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._http

    async def close(self) -> None:
        """End all requests."""
        if self._http is not None:
            await self._http.close()

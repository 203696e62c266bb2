"""What the HTTP pair makes of a worker that cannot be reached; the rest is with the worker's tests."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from asyncbridge.client.pair import HttpPair, refusal
from asyncbridge.errors import AuthenticationError, ConnectError
from asyncbridge.transport.posts import PostFailed


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (403, AuthenticationError, "refused this client: wrong token"),
        (404, ConnectError, "no asyncbridge worker answers"),
        (0, ConnectError, "no asyncbridge worker answers"),
    ],
)
def test_refusals(status: int, kind: type[Exception], message: str) -> None:
    """A status says what they mean."""
    error = refusal(PostFailed("it failed", status=status, refused="wrong token"), "w")
    assert type(error) is kind
    assert message in str(error)


@pytest.mark.asyncio
async def test_nobody_listens(tmp_path: Path, no_leaks: None) -> None:
    """The error is the connector's own, by which a worker that starts is waited for."""
    pair = HttpPair()
    connector = aiohttp.UnixConnector(str(tmp_path / "none"))
    async with aiohttp.ClientSession(connector=connector) as http:
        for _ in range(3):
            with pytest.raises(aiohttp.ClientConnectorError):
                await pair.open_link(http, "http://asyncbridge", "t", "s", "w")
    await pair.close()


@pytest.mark.asyncio
async def test_closing_what_was_never_opened() -> None:
    """There is nothing to do."""
    await HttpPair().close()

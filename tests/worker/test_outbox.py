"""The worker's HTTP client."""

from __future__ import annotations

import socket

import pytest

from asyncbridge.worker.outbox import HomeResolver, Outbox


@pytest.mark.asyncio
async def test_it_is_made_when_it_is_needed() -> None:
    """Once; it trusts nothing of the environment, and closing one that was never used is fine."""
    outbox = Outbox()
    await outbox.close()
    http = outbox.http
    assert outbox.http is http
    assert not http.trust_env
    await outbox.close()
    assert http.closed


@pytest.mark.asyncio
async def test_localhost_is_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """No table is asked for it, as for other names; and only for what is of the wished family."""

    def asked(*_: object, **__: object) -> None:
        raise OSError("a table was asked")

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    resolver = HomeResolver()
    found = await resolver.resolve("localhost", 80, socket.AF_UNSPEC)
    assert [(each["host"], each["port"]) for each in found] == [("127.0.0.1", 80), ("::1", 80)]
    (found4,) = await resolver.resolve("localhost", 80, socket.AF_INET)
    assert found4["family"] == socket.AF_INET
    with pytest.raises(OSError, match="was asked"):
        await resolver.resolve("localhost.example", 80)
    await resolver.close()

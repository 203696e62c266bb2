"""Whatever a value comes to, its promise ends."""

from __future__ import annotations

import logging

import pytest

from asyncbridge.client import transfers
from asyncbridge.client.outcomes import unreadable
from asyncbridge.errors import AsyncBridgeError, DecodeError, TooLarge
from asyncbridge.testing import FakeWorker

CODE = "import numpy; numpy.zeros(100_000)"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (MemoryError("no 8 GiB"), TooLarge, "no memory for the result: no 8 GiB; ask for parts"),
        (ZeroDivisionError("x"), DecodeError, "cannot be read: ZeroDivisionError"),
        (DecodeError("no zone"), DecodeError, "no zone"),
    ],
)
@pytest.mark.asyncio
async def test_a_value_that_cannot_be_made(
    error: Exception,
    kind: type[AsyncBridgeError],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its command is rejected, and the session goes on."""

    def fail(*_: object, **__: object) -> object:
        raise error

    async with FakeWorker().connect() as bridge:
        assert await bridge.send("1") == 1
        with monkeypatch.context() as patch, caplog.at_level(logging.CRITICAL):
            patch.setattr(transfers, "decode", fail)
            with pytest.raises(kind, match=words):
                await bridge.send(CODE)
        assert (await bridge.send(CODE)).sum() == 0
    assert ("asyncbridge's own" in caplog.text) is isinstance(error, ZeroDivisionError)


@pytest.mark.asyncio
async def test_a_value_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise, where a buffer finds no memory."""

    async def fail(*_: object, **__: object) -> object:
        raise MemoryError("no 8 GiB")

    async with FakeWorker().connect() as bridge:
        with monkeypatch.context() as patch:
            patch.setattr(transfers.Transfers, "fetch", fail)
            with pytest.raises(TooLarge, match="no 8 GiB"):
                await bridge.send(CODE)
        assert await bridge.send("1") == 1


def test_our_own_errors_stay_as_they_are() -> None:
    """They say what happened already."""
    error = TooLarge("x")
    assert unreadable(error) is error

"""A bridge over the HTTP pair, with real workers: all that a promise does, it does there."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asyncbridge.client import connect
from asyncbridge.errors import RemoteError
from asyncbridge.streams import stream

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]


async def test_a_worker_of_its_own() -> None:
    """Values small and large, errors, output, chains, cancelling and the worker's state."""
    async with connect(backend=None, transport="http") as bridge:
        assert await bridge.send("x + 1", {"x": 41}).then(lambda value: value * 2) == 84
        large = np.arange(200_000.0)
        assert np.array_equal(await bridge.send("x * 2", {"x": large}), large * 2)
        with pytest.raises(RemoteError, match="ZeroDivisionError"):
            await bridge.send("1 / 0")
        printing = bridge.send("print('said')")
        assert [line.text async for line in printing.output()] == ["said"]
        sleeping = bridge.send("while True: pass")
        while sleeping.state != "running":
            await asyncio.sleep(0)
        assert (await bridge.info()).running is not None
        assert sleeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeping
        results = await asyncio.gather(*[bridge.send(f"{n}") for n in range(3000)])
        assert results == list(range(3000))


async def test_streams() -> None:
    """Items travel to a command as it wants them."""
    async with connect(backend=None, transport="http") as bridge:
        assert await bridge.send("sum(x)", {"x": stream(range(500))}) == sum(range(500))


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Run a worker on a loopback port; yield its address and token."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "asyncbridge.worker", "--backend", "none"]
    command += ["--folder", str(tmp_path / "w"), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as worker:
        assert worker.stderr is not None
        worker.stderr.readline()
        yield f"http://127.0.0.1:{port}", (tmp_path / "w" / "token").read_text().strip()
        worker.terminate()


async def test_a_worker_that_runs(listening: tuple[str, str]) -> None:
    """Over TCP, beside a bridge of the other transport; both see one namespace."""
    url, token = listening
    async with (
        connect(url, token=token, transport="http") as one,
        connect(url, token=token, transport="websocket") as other,
    ):
        await one.send("shared = list(range(100_000))")
        assert await other.send("len(shared)") == 100_000
        assert await one.send("shared") == list(range(100_000))

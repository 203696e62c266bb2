"""Connections to a real worker that are cut: sessions go on, commands run once, in order."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from asyncbridge.client import connect
from asyncbridge.errors import WorkerLost
from asyncbridge.tasks import spawn
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

REPOSITORY = str(Path(__file__).resolve().parents[2])


class Proxy:
    """Passes bytes between clients and a worker, until it is told to cut.

    Args:
        path: The worker's socket; the proxy's own lies beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name("proxy.sock")
        self.cuts = 0
        self.bytes_until_cut: int | None = None
        self._target = str(path)
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        self.path.chmod(0o600)

    async def close(self) -> None:
        """Let nobody in any more, and everybody go."""
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End all connections, at once."""
        self.cuts += 1
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._target)
        both = {writer, back}
        self._open |= both
        pipes = [
            spawn(self._pass(reader, back), name="there"),
            spawn(self._pass(there, writer), name="back"),
        ]
        self._tasks.update(pipes)
        await asyncio.wait(pipes)
        self._tasks.difference_update(pipes)
        self._open -= both

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while data := await reader.read(65536):
                if self.bytes_until_cut is not None:
                    self.bytes_until_cut -= len(data)
                    if self.bytes_until_cut < 0:
                        writer.write(data[: self.bytes_until_cut])
                        self.bytes_until_cut = None
                        self.cut()
                        return
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Start a worker; return its folder."""
    with tempfile.TemporaryDirectory(prefix="ab-") as name:
        path = Path(name, "w")
        process = subprocess.Popen(
            [sys.executable, "-m", "asyncbridge.worker", "--backend", "none", "--folder", path],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": REPOSITORY},
        )
        while not (path / "worker.sock").exists():
            os.sched_yield()
        yield path
        process.terminate()
        process.wait(timeout=HANG_S)


@pytest.mark.parametrize(("count", "size"), [(3000, 0), (1000, 2000), (40, 200_000)])
async def test_nothing_is_lost_and_nothing_runs_twice(folder: Path, count: int, size: int) -> None:
    """However often a connection ends, after whatever byte."""
    chance = random.Random(count)
    proxy = Proxy(folder / "worker.sock")
    await proxy.start()
    token = (folder / "token").read_text().strip()
    async with connect(f"unix://{proxy.path}", token=token, shared_memory=0) as bridge:
        await bridge.send("ran = []")

        async def keep_cutting() -> None:
            while True:
                if proxy.bytes_until_cut is None:
                    proxy.bytes_until_cut = chance.randrange(max(20_000, 60 * size))
                await asyncio.sleep(0)

        cutting = spawn(keep_cutting(), name="cut")
        promises = [
            bridge.send(f"ran.append({number}); {number}, x", {"x": np.full(size, number % 200)})
            for number in range(count)
        ]
        async with asyncio.timeout(HANG_S):
            results = await asyncio.gather(*promises)
        cutting.cancel()
        assert [number for number, _ in results] == list(range(count))
        assert all(
            np.array_equal(x, np.full(size, number % 200)) for number, (_, x) in enumerate(results)
        )
        assert await bridge.send("ran") == list(range(count))
        assert proxy.cuts > 3
    await proxy.close()


async def test_a_command_that_runs_meanwhile(folder: Path) -> None:
    """It goes on in the worker, and its value comes when there is a connection again."""
    proxy = Proxy(folder / "worker.sock")
    await proxy.start()
    token = (folder / "token").read_text().strip()
    async with connect(f"unix://{proxy.path}", token=token) as bridge:
        await bridge.send("import threading; gate = threading.Event()")
        running = bridge.send("while not gate.wait(0.01): pass")
        behind = bridge.send("'behind'")
        while running.state != "running":
            await asyncio.sleep(0)
        proxy.cut()
        async with connect(f"unix://{folder}/worker.sock") as other:
            assert (await other.info()).pid == (await bridge.info()).pid
        proxy.cut()
        assert not running.done()
        async with asyncio.timeout(HANG_S):
            await bridge.info()
            assert running.cancel(mode="interrupt")
            assert await behind == "behind"
    await proxy.close()


async def test_a_worker_that_ends_meanwhile(folder: Path) -> None:
    """Its goodbye is the end of the session: nobody waits for it to come back."""
    proxy = Proxy(folder / "worker.sock")
    await proxy.start()
    token = (folder / "token").read_text().strip()
    async with connect(f"unix://{proxy.path}", token=token) as bridge:
        promise = bridge.send("import time; time.sleep(60)")
        pid = (await bridge.info()).pid
        os.kill(pid, 15)
        with pytest.raises(WorkerLost):
            await promise
    await proxy.close()

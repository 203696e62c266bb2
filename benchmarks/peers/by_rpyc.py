"""rpyc in its classic mode over a Unix socket, by ``async_`` for calls and by value for data."""

# pyright: reportMissingImports=false
# The peers are in an environment of their own.

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rpyc
from rpyc.utils import classic

from benchmarks.peers.contract import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from numpy.typing import NDArray

SERVER = """
import sys
from rpyc.core.service import ClassicService
from rpyc.utils.server import ThreadedServer
ThreadedServer(ClassicService, socket_path=sys.argv[1]).start()
"""

BATCH = 250
PIECE = 2**17
"""Numbers in a piece of an array: 1 MiB."""


class Bridge:
    """One connection to one server, which is a process of its own."""

    async def open(self) -> None:
        """Start the server, and connect when its socket is there."""
        self.folder = tempfile.TemporaryDirectory()
        path = str(Path(self.folder.name) / "socket")
        self.server = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, path)
        while True:
            try:
                self.connection = classic.unix_connect(path)
                break
            except OSError:
                await asyncio.sleep(0.01)
        self.work: Any = self.connection.modules["benchmarks.peers.work"]
        self.one = rpyc.async_(self.work.one)
        await self.trip()

    async def close(self) -> None:
        """Close the connection, end the server."""
        self.connection.close()
        if self.server.returncode is None:
            self.server.kill()
        await self.server.wait()
        self.folder.cleanup()

    async def pid(self) -> int:
        """Tell the server's."""
        return self.server.pid

    async def trip(self) -> None:
        """Call by `async_`."""
        self.one().wait()

    async def pipelined(self, count: int) -> None:
        """Call by `async_`, wait for each in turn.

        In batches: nobody reads answers meanwhile, so with thousands under way both sides would
        block on full sockets until rpyc's time limit ends the connection.
        """
        for _ in range(count // BATCH):
            for result in [self.one() for _ in range(BATCH)]:
                result.wait()

    async def array(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """Deliver it to an array there, and obtain that, in pieces.

        As a whole it takes longer than rpyc's limit of 30 s: each 64 kB that the socket takes, the
        rest is copied.
        """
        there = self.connection.modules.numpy.empty(len(array))
        back = np.empty_like(array)
        for start in range(0, len(array), PIECE):
            there[start : start + PIECE] = classic.deliver(
                self.connection, array[start : start + PIECE]
            )
        for start in range(0, len(array), PIECE):
            back[start : start + PIECE] = classic.obtain(there[start : start + PIECE])
        return back

    async def value(self, value: object) -> object:
        """Deliver and obtain it, which pickles."""
        return classic.obtain(self.work.echo(classic.deliver(self.connection, value)))

    async def reports(self, count: int) -> list[float]:
        """Give a callback."""
        seconds: list[float] = []
        self.work.tell(count, lambda tick: seconds.append(time.time() - tick))
        return seconds

    async def hang(self, path: str, *, to_cancel: bool) -> Awaitable[Any]:
        """Call by `async_`; wait in a thread."""
        result = rpyc.async_(self.work.hang)(path)
        return asyncio.ensure_future(asyncio.to_thread(result.wait))

    async def cancel(self, hanging: Awaitable[Any]) -> None:
        """Refuse: a result can only expire, and its call goes on."""
        raise UnsupportedError("no: an `AsyncResult` can expire, and its call runs on")

"""A process pool of one worker in an event loop, by ``loop.run_in_executor``."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

from benchmarks.peers import work
from benchmarks.peers.contract import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import numpy as np
    from numpy.typing import NDArray


class Bridge:
    """One pool, whose worker is spawned: it has none of the client's threads or memory."""

    async def open(self) -> None:
        """Make the pool."""
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(max_workers=1, mp_context=context)
        self.loop = asyncio.get_running_loop()
        await self.trip()

    async def close(self) -> None:
        """Shut it down."""
        self.pool.shutdown()

    async def pid(self) -> int:
        """Ask the worker."""
        return await self.loop.run_in_executor(self.pool, os.getpid)

    async def trip(self) -> None:
        """Run a function."""
        await self.loop.run_in_executor(self.pool, work.one)

    async def pipelined(self, count: int) -> None:
        """Gather futures."""
        run = self.loop.run_in_executor
        await asyncio.gather(*[run(self.pool, work.one) for _ in range(count)])

    async def array(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give it as an argument."""
        return await self.loop.run_in_executor(self.pool, work.echo, array)

    async def value(self, value: object) -> object:
        """Give it as an argument."""
        return await self.loop.run_in_executor(self.pool, work.echo, value)

    async def reports(self, count: int) -> list[float]:
        """Refuse: a call has its return value only."""
        raise UnsupportedError("none; a queue of `multiprocessing` has to be added")

    async def hang(self, path: str, *, to_cancel: bool) -> Awaitable[Any]:
        """Submit the function, for a future that tells whether it can be cancelled."""
        self.hanging = self.pool.submit(work.hang, path)
        return asyncio.wrap_future(self.hanging)

    async def cancel(self, hanging: Awaitable[Any]) -> None:
        """Try to cancel the future."""
        if not self.hanging.cancel():
            raise UnsupportedError("no: `Future.cancel()` is False once the call runs")

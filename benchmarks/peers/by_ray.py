"""Ray on this machine: an actor as the worker, its calls awaited."""

# pyright: reportMissingImports=false
# The peers are in an environment of their own.

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, cast

import ray

from benchmarks.peers import work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    import numpy as np
    from numpy.typing import NDArray


class Worker:
    """The actor."""

    def pid(self) -> int:
        """Return the process id."""
        return os.getpid()

    def one(self) -> int:
        """Do next to nothing."""
        return work.one()

    def echo(self, value: object) -> object:
        """Return what came."""
        return value

    def hang(self, path: str) -> None:
        """Be busy for long."""
        work.hang(path)

    def ticks(self, count: int) -> Iterator[float]:
        """Yield the time of day."""
        yield from work.ticks(count)


class Bridge:
    """A Ray of its own with one actor."""

    async def open(self) -> None:
        """Start Ray, and the actor."""
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        self.actor: Any = ray.remote(Worker).remote()
        await self.trip()

    async def close(self) -> None:
        """End Ray."""
        ray.shutdown()

    async def pid(self) -> int:
        """Ask the actor."""
        return cast("int", await self.actor.pid.remote())

    async def trip(self) -> None:
        """Await a call."""
        await self.actor.one.remote()

    async def pipelined(self, count: int) -> None:
        """Get many calls at once, which is faster than to await each."""
        ray.get([self.actor.one.remote() for _ in range(count)])

    async def array(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give it as an argument."""
        return cast("NDArray[np.float64]", await self.actor.echo.remote(array))

    async def value(self, value: object) -> object:
        """Give it as an argument."""
        return await self.actor.echo.remote(value)

    async def reports(self, count: int) -> list[float]:
        """Read a generator of the actor while it runs."""
        results = self.actor.ticks.options(num_returns="streaming").remote(count)
        return [time.time() - await result async for result in results]

    async def hang(self, path: str, *, to_cancel: bool) -> Awaitable[Any]:
        """Call the actor; or run a task, which is interrupted; an actor's code is asked only."""
        hang = ray.remote(work.hang) if to_cancel else self.actor.hang
        self.hanging = hang.remote(path)
        return asyncio.wrap_future(self.hanging.future())

    async def cancel(self, hanging: Awaitable[Any]) -> None:
        """Cancel the task."""
        ray.cancel(self.hanging)

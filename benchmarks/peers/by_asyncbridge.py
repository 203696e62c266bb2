"""asyncbridge, with a worker that has no Keras."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import asyncbridge
from benchmarks.peers import work

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import numpy as np
    from numpy.typing import NDArray

TELL = """
import time
from asyncbridge.worker.progress import report
for _ in range(count):
    time.sleep(0.002)
    report(time.time())
"""


class Bridge:
    """A bridge of its own to a local worker."""

    async def open(self) -> None:
        """Connect."""
        self.bridge = await asyncbridge.connect(backend=None, restart="never").__aenter__()
        await self.trip()

    async def close(self) -> None:
        """Close the bridge, which ends the worker."""
        await self.bridge.__aexit__(None, None, None)

    async def pid(self) -> int:
        """Ask the worker."""
        return (await self.bridge.info()).pid

    async def trip(self) -> None:
        """Send code."""
        await self.bridge.send("1+1")

    async def pipelined(self, count: int) -> None:
        """Gather promises."""
        await asyncio.gather(*[self.bridge.send("1+1") for _ in range(count)])

    async def array(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """Send it as a binding."""
        return cast("NDArray[np.float64]", await self.bridge.send("x", {"x": array}))

    async def value(self, value: object) -> object:
        """Send it as a binding."""
        return await self.bridge.send("x", {"x": value})

    async def reports(self, count: int) -> list[float]:
        """Read the progress of a promise."""
        promise = self.bridge.send(
            TELL, {"count": count}, promise_factory=asyncbridge.WatchedPromise
        )
        assert isinstance(promise, asyncbridge.WatchedPromise)  # as the factory says
        return [time.time() - tick async for tick in promise.progress()]

    async def hang(self, path: str, *, to_cancel: bool) -> Awaitable[Any]:
        """Run the function, whose source travels."""
        return self.bridge.run(work.hang, path)

    async def cancel(self, hanging: Awaitable[Any]) -> None:
        """Cancel the promise."""
        cast("asyncbridge.Promise[Any]", hanging).cancel()

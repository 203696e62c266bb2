"""The background event loop that a sync bridge owns."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from asyncbridge.transport.loops import new_event_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["LoopThread"]

T = TypeVar("T")
CANCEL_SECONDS = 10.0
"""How long a cancelled coroutine may take to put things away."""


class LoopThread:
    """An event loop in a daemon thread of its own, from construction until ``stop``."""

    def __init__(self, name: str = "asyncbridge-loop") -> None:
        self.loop = new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, blocking until it is done.

        A ``KeyboardInterrupt`` cancels the coroutine, and gets out once that has ended.
        """
        ended = threading.Event()

        async def run() -> T:
            try:
                return await coroutine
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(run(), self.loop)
        try:
            return future.result()
        except BaseException:
            # Not before it has put away what it had begun.
            future.cancel()
            ended.wait(CANCEL_SECONDS)
            raise

    def soon(self, callback: Callable[..., object], *args: object) -> None:
        """Call on the loop, soon, in the order of the calls."""
        self.loop.call_soon_threadsafe(callback, *args)

    def stop(self) -> None:
        """End the loop and the thread; a second call does nothing."""
        if self.loop.is_closed():
            return
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.get_loop().run_forever()

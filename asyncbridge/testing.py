"""Test doubles for suites of your own: a worker in this process, stepped by hand.

``FakeWorker`` speaks the real protocol in real frames, through the real queue, and executes
the real code, in this process; only the worker's process, the socket and Keras are left out. So
it is for what an app does with a bridge, its commands and its errors. Mirrors need a worker with
Keras behind them: ``asyncbridge.connect(backend="jax")`` is the quickest one.

>>> import asyncio
>>> from asyncbridge.testing import FakeWorker
>>> async def main():
...     async with FakeWorker().connect() as bridge:
...         return await bridge.send("a + 1", {"a": 41})
>>> asyncio.run(main())
42
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asyncbridge.client.bridge import Bridge
from asyncbridge.client.connectors import Worker
from asyncbridge.client.options import Options
from asyncbridge.errors import ConnectError, WorkerLost
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import Link
from asyncbridge.transport.memory import MemoryBulk, MemoryChannel, channel_pair
from asyncbridge.worker.backend import Backend
from asyncbridge.worker.engine import Engine
from asyncbridge.worker.executor import StepExecutor
from asyncbridge.worker.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FakeWorker", "ManualClock", "StepExecutor", "clock_loop"]


class ManualClock:
    """A clock that stands still until it is told to go on; call it for the time in seconds."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass; timers of a ``clock_loop`` that are due run in its next turn."""
        self._now += seconds


def clock_loop(clock: ManualClock) -> asyncio.AbstractEventLoop:
    """Return an event loop whose timers follow a manual clock."""
    loop = asyncio.new_event_loop()
    loop.time = clock  # type: ignore[method-assign] # the seam that asyncio itself uses
    return loop


class FakeWorker(Worker):
    """A worker without a process and without Keras.

    Args:
        stepwise: Run commands only when ``step`` or ``run_all`` says so; otherwise each runs
            in a turn of the loop of its own.
        clock: For the durations that ``info`` tells.
    """

    kind = "fake"

    def __init__(self, *, stepwise: bool = False, clock: Callable[[], float] | None = None) -> None:
        self.executor: StepExecutor = StepExecutor() if stepwise else _LoopExecutor()
        self.engine: Engine | None = None
        self._clock = clock
        self._registry: dict[str, Peer] = {}
        self._bridges = 0
        self._stopped = False
        self._channels: list[MemoryChannel] = []
        self._ended: asyncio.Future[WorkerLost] | None = None

    def connect(self, **options: Any) -> Bridge:
        """Return a bridge to this worker.

        Args:
            options: Fields of ``asyncbridge.client.Options``.
        """

        async def start(_options: Options) -> Worker:
            if self._stopped:
                raise ConnectError("this fake worker's last bridge was closed: make a new one")
            self._bridges += 1
            return self

        return Bridge(Options(**options), start=start)

    def step(self) -> bool:
        """Run the next command to its end; return False when there was none.

        A command that was sent just now is on its way for some turns of the loop.
        """
        return self.executor.step()

    def run_all(self) -> int:
        """Run commands until none is left; return how many."""
        return self.executor.run_all()

    def die(self, reason: str = "killed by SIGKILL", *, signal: str | None = "SIGKILL") -> None:
        """End as a process that is killed does: at once, and in the middle of anything."""
        if not self._ending().done():
            journal = b"" if self.engine is None else self.engine.journal.read()
            self._ending().set_result(WorkerLost(reason, signal=signal, journal=journal))

    def cut(self) -> None:
        """End the connections, as a network does; the worker lives."""
        for channel in self._channels:
            spawn(channel.close(), name="asyncbridge-cut")
        self._channels.clear()

    async def dial(self, session: str) -> Link:
        """Open a link in memory."""
        if self._ending().done():
            raise ConnectError("the fake worker is dead")
        engine = self._engine()
        near, far = channel_pair()
        peer = Peer(engine, far, self._registry)
        self._channels.append(near)
        spawn(peer.serve(), name="asyncbridge-fake-peer")
        return Link(channel=near, bulk=MemoryBulk(peer.bulk))

    async def ended(self) -> WorkerLost:
        """Wait for ``die``."""
        return await asyncio.shield(self._ending())

    async def verdict(self, reason: str) -> WorkerLost:
        """Return how it died, or that the connection ended."""
        ending = self._ending()
        return ending.result() if ending.done() else WorkerLost(f"the connection ended: {reason}")

    async def close(self) -> None:
        """Take no more commands, once the last of its bridges is closed."""
        self.kill()

    def kill(self) -> None:
        """Take no more commands, once the last of its bridges is closed."""
        self._bridges -= 1
        if self._bridges == 0:
            self._stopped = True
            self.executor.stop()

    def _engine(self) -> Engine:
        if self.engine is None:
            loop = asyncio.get_running_loop()
            clock = loop.time if self._clock is None else self._clock
            self.engine = Engine(
                loop=loop, executor=self.executor, backend=Backend(None), clock=clock
            )
            self.engine.start()
            if isinstance(self.executor, _LoopExecutor):
                self.executor.loop = loop
            self.executor.run_all()  # the import of the backend, which is none
        return self.engine

    def _ending(self) -> asyncio.Future[WorkerLost]:
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
        return self._ended


class _LoopExecutor(StepExecutor):
    """Runs each job in a turn of the loop of its own, in order."""

    loop: asyncio.AbstractEventLoop | None = None

    def submit(self, job: Callable[[], None]) -> None:
        super().submit(job)
        if self.loop is not None:
            self.loop.call_soon(self.step)

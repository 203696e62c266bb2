"""A worker in this process, stepped by hand or not.

``FakeWorker`` speaks the real protocol in real frames, through the real queue, and executes
the real code, in this process; only the worker's process, the socket and Keras are left out. So
it is for what an app does with a bridge, its commands and its errors. Mirrors need a worker with
Keras behind them.
"""

from __future__ import annotations

import asyncio
from functools import partial
from signal import SIGKILL
from typing import TYPE_CHECKING, Any

from asyncbridge.client.bridge import Bridge
from asyncbridge.client.connectors import Worker
from asyncbridge.client.options import Options
from asyncbridge.errors import ConnectError, WorkerLost, WrongLoopError
from asyncbridge.protocol.limits import DEFAULT_WINDOW, Bound
from asyncbridge.protocol.worker import WorkerProtocol
from asyncbridge.tasks import spawn
from asyncbridge.testing.executors import LoopExecutor, ThreadExecutor
from asyncbridge.testing.faults import Crash, Failure, FaultPlan
from asyncbridge.testing.printing import Prints
from asyncbridge.transport.contract import Link
from asyncbridge.transport.memory import MemoryBulk, MemoryChannel, channel_pair
from asyncbridge.transport.writer import Writer
from asyncbridge.worker.backend import Backend
from asyncbridge.worker.engine import Engine
from asyncbridge.worker.executor import StepExecutor
from asyncbridge.worker.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import Signals

    from asyncbridge.protocol.messages import Payload
    from asyncbridge.serialization.drafts import Draft
    from asyncbridge.transport.contract import Channel
    from asyncbridge.worker.queue import Job

__all__ = ["FakeWorker", "StepExecutor"]


class FakeWorker(Worker):
    """A worker without a process and without Keras.

    Args:
        stepwise: Begin paused: commands run only when ``step`` or ``run_all`` says so;
            otherwise each runs in a turn of the loop of its own.
        clock: For the durations that ``info`` tells.
        window: What one bridge may have unfinished here, before its backlog fills.
        threaded: Run commands in a thread, as a worker does: those that a stream flows into block
            it while they wait. Nothing is stepped then.
    """

    kind = "fake"

    def __init__(
        self,
        *,
        stepwise: bool = False,
        clock: Callable[[], float] | None = None,
        window: Bound = DEFAULT_WINDOW,
        threaded: bool = False,
    ) -> None:
        # May be set until a bridge is opened.
        self.window = window
        self._threaded = threaded
        self.executor = ThreadExecutor() if threaded else LoopExecutor(paused=stepwise)
        self.engine: Engine | None = None
        self._clock = clock
        self._plan = FaultPlan()
        self._bridges = 0
        self._begin()

    def _begin(self) -> None:
        """Be a new process: nothing of another one is left."""
        self.engine = None
        self._registry: dict[str, Peer] = {}
        self._channels: list[MemoryChannel] = []
        self._stopped = False
        self._loss: WorkerLost | None = None
        self._ended: asyncio.Future[WorkerLost] | None = None

    def connect(self, **options: Any) -> Bridge:
        """Return a bridge to this worker, to be entered as one of ``asyncbridge.connect``.

        Args:
            options: Fields of ``asyncbridge.client.Options``.
        """

        async def start(_options: Options) -> Worker:
            self._check_open()
            self._bridges += 1
            return self

        return Bridge(Options(**options), start=start)

    # --- when commands run ---

    def step(self) -> bool:
        """Run the next command to its end; return False when there was none.

        A command that was sent just now is on its way for some turns of the loop.
        """
        return self.executor.step()

    def begin(self) -> bool:
        """Take up the next command, and stay before its first line; return False if none runs.

        It is ``running`` until the next ``step``, and may be cancelled there: then it is
        interrupted, or sees that it is to stop, if its code looks.

        Raises:
            RuntimeError: A command has begun already.
        """
        return self.executor.begin()

    def run_all(self) -> int:
        """Run commands until none is left; return how many."""
        return self.executor.run_all()

    def pause(self) -> None:
        """Run no more commands until ``resume``: a worker that is busy with something long."""
        self.executor.pause()

    def resume(self) -> None:
        """Run what has come meanwhile, and what comes from now on."""
        self.executor.resume()

    # --- faults ---

    def fail(
        self,
        error: str | type[BaseException],
        message: str = "",
        *,
        times: int | None = 1,
        match: str | None = None,
    ) -> None:
        """Let the next command fail as if its code had raised an exception; it does not run.

        Args:
            error: The exception's type, or its name, such as ``"ValueError"``, with its module if
                it has one; it need not be importable.
            message: What it says.
            times: How many commands fail; None for all from now on.
            match: Only those whose name, or code if they have none, contains this text.
        """
        self._plan.add(Failure.of(error, message), times=times, match=match)

    def crash(
        self,
        reason: str | None = None,
        *,
        signal: Signals = SIGKILL,
        match: str | None = None,
    ) -> None:
        """Die in the middle of the next command.

        Args:
            reason: The supervisor's words, such as ``"killed by the kernel for memory"``; by
                default they name the signal.
            signal: What has ended the process.
            match: Only of one whose name, or code if it has none, contains this text.
        """
        words = reason or f"killed by {signal.name}"
        self._plan.add(Crash(signal=signal, reason=words), match=match)

    def die(self, reason: str = "killed by SIGKILL", *, signal: str | None = "SIGKILL") -> None:
        """End as a process that is killed does: at once, and in the middle of anything."""
        if self._loss is None:
            journal = b"" if self.engine is None else self.engine.journal.read()
            self._loss = loss = WorkerLost(reason, signal=signal, journal=journal)
            if (ended := self._ended) is not None:
                in_loop(ended.get_loop(), lambda: settle(ended, loss))

    def cut(self) -> None:
        """End the connections, as a network does; the worker lives."""
        channels, self._channels = self._channels, []
        if channels and self.executor.loop is not None:
            in_loop(self.executor.loop, lambda: close_all(channels))

    def restart(self) -> None:
        """Be another process, as the next ``connect()`` of an app would start one.

        It has an empty namespace and no faults ahead. If this one lives, it ends by SIGTERM.
        """
        self.die("killed by SIGTERM", signal="SIGTERM")
        self._plan.clear()
        paused = self.executor.paused
        self.executor = ThreadExecutor() if self._threaded else LoopExecutor(paused=paused)
        self._begin()

    # --- what bridges ask of a worker ---

    async def dial(self, session: str) -> Link:
        """Open a link in memory."""
        engine = self._engine()
        near, far = channel_pair()
        peer = _Peer(engine, far, self._registry, window=self.window)
        self._channels.append(near)
        spawn(peer.serve(), name="asyncbridge-fake-peer")
        return Link(channel=near, bulk=MemoryBulk(peer.buffers.store))

    async def ended(self) -> WorkerLost:
        """Wait for ``die``."""
        if self._loss is not None:
            return self._loss
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._ended)

    async def verdict(self, reason: str) -> WorkerLost:
        """Return how it died, or that the connection ended."""
        return self._loss or WorkerLost(f"the connection ended: {reason}")

    async def close(self) -> None:
        """Take no more commands, once the last of its bridges is closed."""
        self.kill()

    def kill(self) -> None:
        """Take no more commands, once the last of its bridges is closed."""
        self._bridges -= 1
        if self._bridges == 0:
            self.stop()

    def kill_process(self) -> None:
        """Die, as a process that is killed."""
        self.die()

    def stop(self) -> None:
        """Take no more bridges and no more commands."""
        self._stopped = True
        self.executor.stop()

    def _check_open(self) -> None:
        if self._loss is not None:
            raise ConnectError("this fake worker is dead: make a new one, or restart() it")
        if self._stopped:
            raise ConnectError(
                "this fake worker's last bridge was closed: make a new one, or restart() it"
            )
        if self.engine is not None and self.executor.loop is not asyncio.get_running_loop():
            raise WrongLoopError(
                "this fake worker belongs to the event loop of its first bridge: make another one "
                "in this loop, or let all that uses it run in one (loop_scope=)"
            )

    def _engine(self) -> Engine:
        loop = asyncio.get_running_loop()
        if self.engine is None:
            self.engine = _Engine(self, self._plan, loop=loop, clock=self._clock or loop.time)
            self.engine.start()
            self.executor.loop = loop
            StepExecutor.run_all(self.executor)  # the import of the backend, which is none
        return self.engine


class _Engine(Engine):
    """Executes commands as the real one does, except for those that a fault is planned for."""

    def __init__(
        self,
        worker: FakeWorker,
        plan: FaultPlan,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
    ) -> None:
        self._prints = Prints()
        super().__init__(
            loop=loop,
            executor=worker.executor,
            backend=Backend(None),
            output=self._prints,
            clock=clock,
        )
        self._worker = worker
        self._plan = plan
        self._failure: Failure | None = None

    def _run(self, job: Job) -> None:
        if self._worker.engine is not self or self._worker._loss is not None:
            return  # a dead process runs nothing
        blocked = job.failures.blocking(job.command.after)
        fault = None if blocked else self._plan.take(job.command.label, job.command.code)
        if isinstance(fault, Crash):
            self.journal.started(job.peer.session, job.command.id)
            self._worker.die(fault.reason, signal=fault.signal.name)
            return
        self._failure = fault
        executor = self._worker.executor
        if not executor.beginning:
            super()._run(job)
        elif self._begin(job):
            executor.begun = partial(self._go_on, job)

    def _go_on(self, job: Job) -> None:
        if self._worker._loss is None:  # as above
            self._finish(job)

    def _execute(self, job: Job) -> Payload | Draft:
        if self._failure is not None:
            # In the place of the command's own code: it raises.
            self.namespace.run(self._failure.code, self._failure.bindings)
        with self._prints.taken():
            return super()._execute(job)


class _Peer(Peer):
    """A peer with a window of its own."""

    def __init__(
        self, engine: Engine, channel: Channel, registry: dict[str, Peer], *, window: Bound
    ) -> None:
        super().__init__(engine, channel, registry)
        self._protocol = WorkerProtocol(incarnation=engine.incarnation, window=window)
        self._writer = Writer(channel, self._protocol.outgoing)


def in_loop(loop: asyncio.AbstractEventLoop, work: Callable[[], object]) -> None:
    """Do something in a loop: at once if it is this one, soon if it is another thread's."""
    if asyncio._get_running_loop() is loop:
        work()
    elif not loop.is_closed():
        loop.call_soon_threadsafe(work)


def settle(ended: asyncio.Future[WorkerLost], loss: WorkerLost) -> None:
    """Tell those who wait for the end how it came."""
    if not ended.done():
        ended.set_result(loss)


def close_all(channels: list[MemoryChannel]) -> None:
    """Close connections, as soon as may be."""
    for channel in channels:
        spawn(channel.close(), name="asyncbridge-cut")

"""Where the commands of a fake worker run: in turns of its loop, or in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncbridge.worker.executor import GpuThread, StepExecutor

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["LoopExecutor", "ThreadExecutor"]


class LoopExecutor(StepExecutor):
    """Runs each job in a turn of the loop of its own, in order, except while it is paused."""

    def __init__(self, *, paused: bool) -> None:
        super().__init__()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.paused = paused
        self.begun: Callable[[], None] | None = None
        """The rest of a command that ``begin`` stays in."""
        self.beginning = False

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job, to be run in a turn of its own."""
        super().submit(job)
        if self.loop is not None and not self.paused:
            self.loop.call_soon(self._turn)

    @property
    def pending(self) -> int:
        """How many jobs are queued, or have begun."""
        return super().pending + (self.begun is not None)

    def begin(self) -> bool:
        """Take up the next job, and stay before its code."""
        if self.begun is not None:
            raise RuntimeError("a command has begun already: step() lets it go on")
        self.beginning = True
        try:
            return super().step() and self.begun is not None
        finally:
            self.beginning = False

    def step(self) -> bool:
        """Run the next job, or the rest of the one that has begun."""
        rest, self.begun = self.begun, None
        if rest is None:
            return super().step()
        rest()
        return True

    def pause(self) -> None:
        """Run no more jobs by itself."""
        self.paused = True

    def resume(self) -> None:
        """Run what waits, and what comes."""
        self.paused = False
        if self.loop is not None:
            for _ in range(self.pending):
                self.loop.call_soon_threadsafe(self._turn)

    def _turn(self) -> None:
        if not self.paused:
            self.step()


class ThreadExecutor(LoopExecutor):
    """Runs each job in one thread of its own, in order."""

    def __init__(self) -> None:
        super().__init__(paused=False)
        self._thread = GpuThread(on_crash=lambda _: None)
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job."""
        if self.loop is None:
            super().submit(job)
        else:
            self._thread.submit(job)

    def stop(self) -> None:
        """Take no more jobs, and end the thread."""
        super().stop()
        self._thread.stop()

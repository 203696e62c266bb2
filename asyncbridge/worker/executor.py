"""The one thread in which every Keras call runs, and the way its results take to the loop.

Keras keeps name counters, dtype policies and seeds per thread, and two threads are no faster
than one: so one thread does it all, in the order of submission.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from asyncbridge.errors import WorkerError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Courier", "Executor", "GpuThread", "StepExecutor"]

T = TypeVar("T")


class Executor(Protocol):
    """What runs jobs one after another, in the order of their submission.

    A job captures its own outcome; what leaks out of it all the same never stops the others.
    """

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job.

        Raises:
            WorkerError: The executor was stopped.
        """

    def stop(self) -> None:
        """Take no more jobs; those already queued are still run. Does not wait."""

    @property
    def idle(self) -> bool:
        """Whether no job is queued or running."""
        ...


class GpuThread:
    """An executor with a thread of its own.

    Args:
        on_crash: Called in the thread with whatever leaked out of a job, ``SystemExit`` and
            ``KeyboardInterrupt`` included.
    """

    def __init__(self, *, on_crash: Callable[[BaseException], None]) -> None:
        self._on_crash = on_crash
        # C code end to end: no lock of Python's is held when an async exception strikes.
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._unfinished = 0
        self._stopped = False
        # A daemon: a fit that never ends must not keep the process from ending.
        self._thread = threading.Thread(target=self._serve, name="asyncbridge-gpu", daemon=True)

    def start(self) -> None:
        """Start the thread; jobs may have been submitted before."""
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job, from any thread.

        Raises:
            WorkerError: The executor was stopped.
        """
        with self._lock:
            if self._stopped:
                raise _refusal()
            self._unfinished += 1
            self._jobs.put(job)

    def stop(self) -> None:
        """Take no more jobs, and end the thread after those already queued. Does not wait."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                self._jobs.put(None)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread's end; tell whether it came within the timeout, in seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def idle(self) -> bool:
        """Whether no job is queued or running."""
        return self._unfinished == 0

    @property
    def ident(self) -> int | None:
        """The thread's identifier, None before it has started."""
        return self._thread.ident

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except BaseException as error:  # SystemExit must not end the thread
                self._report(error)
            finally:
                # While the thread waits for the next job, it must not keep this one's data alive.
                del job
                with self._lock:
                    self._unfinished -= 1

    def _report(self, error: BaseException) -> None:
        try:
            self._on_crash(error)
        except BaseException:  # as above; stderr is all that is left
            with contextlib.suppress(Exception):
                traceback.print_exc()


class StepExecutor:
    """An executor without a thread: jobs run when, and where, a test says so.

    Args:
        on_crash: Called with whatever leaked out of a job; without it, that is raised by
            ``step``, so that the test sees it.
    """

    def __init__(self, *, on_crash: Callable[[BaseException], None] | None = None) -> None:
        self._on_crash = on_crash
        self._jobs: deque[Callable[[], None]] = deque()
        self._stopped = False
        self._running = False

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job.

        Raises:
            WorkerError: The executor was stopped.
        """
        if self._stopped:
            raise _refusal()
        self._jobs.append(job)

    def stop(self) -> None:
        """Take no more jobs; those already queued can still be stepped through."""
        self._stopped = True

    @property
    def idle(self) -> bool:
        """Whether no job is queued or running."""
        return not self._jobs and not self._running

    @property
    def pending(self) -> int:
        """How many jobs are queued."""
        return len(self._jobs)

    def step(self) -> bool:
        """Run the next job; return False when there was none."""
        if not self._jobs:
            return False
        job = self._jobs.popleft()
        self._running = True
        try:
            job()
        except BaseException as error:
            if self._on_crash is None:
                raise
            self._on_crash(error)
        finally:
            self._running = False
        return True

    def run_all(self) -> int:
        """Run jobs, those that they submit included, until none is left; return how many."""
        count = 0
        while self.step():
            count += 1
        return count


class Courier(Generic[T]):
    """Bring items from other threads to the loop, as many as are ready with one wake-up.

    Items of one thread arrive in their order. When the loop is closed, items are let go of.

    Args:
        loop: Where the items go.
        deliver: Called in the loop with the items of a batch, at least one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[list[T]], None]) -> None:
        self._loop = loop
        self._deliver = deliver
        self._items: deque[T] = deque()
        self._woken = False

    def send(self, item: T) -> None:
        """Send an item, from any thread; never blocks and never raises."""
        if self._loop.is_closed():
            self._items.clear()
            return
        # Append, then look: deliver clears the flag, then takes. So whoever finds the flag set
        # has appended before the taking, and whoever finds it clear wakes the loop. Two senders
        # that both find it clear wake it twice, which harms nothing.
        self._items.append(item)
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self.deliver)
            except RuntimeError:  # the loop was closed since the look above
                return

    def deliver(self) -> None:
        """Deliver what has been sent by now; on the loop."""
        self._woken = False
        # No more than are there now: a busy sender must not hold the loop here.
        batch = [self._items.popleft() for _ in range(len(self._items))]
        if batch:
            self._deliver(batch)


def _refusal() -> WorkerError:
    return WorkerError("the executor was stopped and takes no more jobs")

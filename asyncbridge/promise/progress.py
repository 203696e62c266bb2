"""How far a command has come, for any number of readers, early or late, fast or slow."""

from __future__ import annotations

import asyncio
import threading
from asyncio.events import _get_running_loop
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from asyncbridge.errors import WrongLoopError
from asyncbridge.promise.promise import Promise
from asyncbridge.promise.views import short

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from typing import Self

__all__ = ["ProgressReader", "WatchedPromise"]

EVENTS_KEPT = 100_000
"""Events of one command that are kept, before the oldest are let go: some 50 MB."""

T = TypeVar("T")
E = TypeVar("E")


class _Log(Generic[E]):
    """All events of a command that stay, and the newest of those that pass.

    Readers hold a place in it and nothing else, so one that never reads costs nothing.
    """

    def __init__(self) -> None:
        self.events: list[E] = []
        self.first = 0
        """How many events were let go; ``events`` goes on from there."""
        self.passing: E | None = None
        self.passing_at = -1
        """How many events that stay came before the passing one."""
        self.passed = 0
        """How many passing events there were."""
        self.ended = False
        self.lock = threading.Lock()
        """For what readers in other threads look at."""
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def count(self) -> int:
        """How many events there were that stay."""
        return self.first + len(self.events)

    @property
    def last(self) -> E | None:
        """The newest event, None if there was none."""
        if self.passing_at == self.count:
            return self.passing
        return self.events[-1] if self.events else None

    def add(self, event: E, *, transient: bool) -> None:
        with self.lock:
            if transient:
                self.passing, self.passing_at = event, self.count
                self.passed += 1
            else:
                self.events.append(event)
                self._trim()
        self._wake()

    def _trim(self) -> None:
        if len(self.events) > EVENTS_KEPT * 5 // 4:  # seldom, for it moves them all
            surplus = len(self.events) - EVENTS_KEPT
            del self.events[:surplus]
            self.first += surplus

    def end(self) -> None:
        self.ended = True
        self._wake()

    async def change(self) -> None:
        """Wait until an event comes, or the end."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            with suppress(ValueError):  # whoever woke it has taken it out
                self._waiters.remove(waiter)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class ProgressReader(Generic[E]):
    """An iterator of a command's events: ``async for`` in a coroutine, ``for`` in a script.

    It starts with all events so far. Those that only tell how far something has come are not
    kept: a reader that falls behind sees the newest of them alone. It ends with the command,
    however that ends: its error is the promise's.

    Attributes:
        dropped: Events that were let go before this reader had come to them, for there were
            more than 100,000 behind them.
    """

    def __init__(self, log: _Log[E], loop: AbstractEventLoop) -> None:
        self._log = log
        self._loop = loop
        self._place = 0
        self._passed = 0
        self.dropped = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        if _get_running_loop() is self._loop:
            await self._news()
        elif self._loop.is_running() and not self._is_ready():
            # Only the news are waited for there: one that is cancelled here has taken nothing.
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._news(), self._loop))
        return self._take()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E:
        if _get_running_loop() is not None:
            raise WrongLoopError("`for` would block this event loop: use `async for`")
        if self._loop.is_running() and not self._is_ready():
            asyncio.run_coroutine_threadsafe(self._news(), self._loop).result()
        try:
            return self._take()
        except StopAsyncIteration:
            raise StopIteration from None

    async def _news(self) -> None:
        """Wait until there is an event for this reader, or the end; on the log's loop."""
        while not self._has_more() and not self._log.ended:
            await self._log.change()

    def _is_ready(self) -> bool:
        """Tell another thread whether it may take without a wait for the loop."""
        with self._log.lock:
            return self._has_more() or self._log.ended

    def _has_more(self) -> bool:
        return self._place < self._log.count or self._has_passing()

    def _has_passing(self) -> bool:
        log = self._log
        return self._passed < log.passed and self._place == log.passing_at

    def _take(self) -> E:
        """Return the next event.

        Raises:
            StopAsyncIteration: There are no more.
            RuntimeError: There may be more, and the loop that would bring them does not run.
        """
        with self._log.lock:
            if self._has_more():
                return self._taken()
        if not self._log.ended:
            how = "is closed" if self._loop.is_closed() else "does not run"
            raise RuntimeError(f"the event loop {how}: nothing would bring more of the progress")
        raise StopAsyncIteration

    def _taken(self) -> E:
        log = self._log
        if self._place < log.first:
            self.dropped += log.first - self._place
            self._place = log.first
        if self._has_passing():
            self._passed = log.passed
            assert log.passing is not None
            return log.passing
        event = log.events[self._place - log.first]
        self._place += 1
        return event


class WatchedPromise(Promise[T]):
    """A promise of a command that reports its progress.

    The worker's code reports with ``asyncbridge.worker.progress.report(value)``:

    ``bridge.send(code, promise_factory=WatchedPromise)``
    """

    def __init__(self, *, loop: AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._progress: _Log[Any] = _Log()
        self._add_own_callback(type(self)._ended)

    def progress(self) -> ProgressReader[Any]:
        """Return a new iterator of what the command reports, from its beginning on."""
        return ProgressReader(self._progress, self._loop)

    def _progress_text(self) -> str:
        last = self._progress.last
        return "" if last is None else short(last)

    def _report(self, value: Any, *, transient: bool) -> None:
        """Take what the worker reports; on the loop."""
        self._progress.add(value, transient=transient)

    def _ended(self) -> None:
        self._progress.end()

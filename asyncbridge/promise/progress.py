"""How far a command has come: events that stay, and between them some that only pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from asyncbridge.promise.log import Log, LogReader
from asyncbridge.promise.promise import Promise
from asyncbridge.promise.views import short

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ["ProgressReader", "WatchedPromise"]

EVENTS_KEPT = 100_000
"""Events of one command that are kept, before the oldest are let go: some 50 MB."""

T = TypeVar("T")
E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)


class _ProgressLog(Log[E]):
    """A log that has, beside the events that stay, the newest of those that pass."""

    def __init__(self) -> None:
        super().__init__(count=EVENTS_KEPT)
        self.passing: E | None = None
        self.passing_at = -1
        """How many events that stay came before the passing one."""
        self.passed = 0
        """How many passing events there were."""

    @property
    def last(self) -> E | None:
        """The newest event, None if there was none."""
        if self.passing_at == self.count:
            return self.passing
        return self.events[-1] if self.events else None

    def pass_by(self, event: E) -> None:
        """Take an event in the place of the passing one before it."""
        with self.lock:
            self.passing, self.passing_at = event, self.count
            self.passed += 1
        self.wake()


class ProgressReader(LogReader[E_co]):
    """An iterator of a command's events: ``async for`` in a coroutine, ``for`` in a script.

    It starts with all events so far. Those that only tell how far something has come are not
    kept: a reader that falls behind sees the newest of them alone. It ends with the command,
    however that ends: its error is the promise's. ``dropped`` counts events that were let go
    before this reader had come to them, for there were more than 100,000 behind them.
    """

    _log: _ProgressLog[E_co]

    def __init__(self, log: _ProgressLog[E_co], loop: AbstractEventLoop) -> None:
        super().__init__(log, loop)
        self._passed = 0

    def _has_more(self) -> bool:
        return super()._has_more() or self._has_passing()

    def _has_passing(self) -> bool:
        log = self._log
        return self._passed < log.passed and self._place == log.passing_at

    def _take(self) -> E_co:
        if not self._has_passing():
            return super()._take()
        self._passed = self._log.passed
        assert self._log.passing is not None
        return self._log.passing


class WatchedPromise(Promise[T]):
    """A promise of a command that reports its progress.

    The worker's code reports with ``asyncbridge.worker.progress.report(value)``:

    ``bridge.send(code, promise_factory=WatchedPromise)``
    """

    def __init__(self, *, loop: AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._progress: _ProgressLog[Any] = _ProgressLog()
        self._add_own_callback(type(self)._ended)

    def progress(self) -> ProgressReader[Any]:
        """Return a new iterator of what the command reports, from its beginning on."""
        return ProgressReader(self._progress, self._loop)

    def _progress_text(self) -> str:
        last = self._progress.last
        return "" if last is None else short(last)

    def _report(self, value: Any, *, transient: bool) -> None:
        """Take what the worker reports; on the loop."""
        take = self._progress.pass_by if transient else self._progress.add
        take(value)

    def _ended(self) -> None:
        self._progress.end()

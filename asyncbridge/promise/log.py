"""What a command tells as it goes on, for any number of readers, early or late, fast or slow."""

from __future__ import annotations

import asyncio
import threading
from asyncio.events import _get_running_loop
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from asyncbridge.errors import WrongLoopError
from asyncbridge.outcome import LOOK_EVERY, Value, block_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from typing import Self

__all__ = ["Log", "LogReader"]

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)


class Log(Generic[E]):
    """The newest events of something that ends; written on one loop, read anywhere.

    Readers hold a place in it and nothing else, so one that never reads costs nothing.

    Args:
        count: Events that are kept, before the oldest are let go.
        size: What those may come to in all, by ``size_of``.
    """

    def __init__(self, *, count: int, size: int = 0) -> None:
        self.events: list[E] = []
        self.first = 0
        """How many events were let go; ``events`` goes on from there."""
        self.ended = False
        self.lock = threading.Lock()
        """For what readers in other threads look at."""
        self._bounds = count, size
        self._size = 0
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def count(self) -> int:
        """How many events there were."""
        return self.first + len(self.events)

    def size_of(self, event: E) -> int:
        """Return what an event counts for; nothing, where only their number is bounded."""
        return 0

    def add(self, event: E) -> None:
        """Add an event."""
        with self.lock:
            self.events.append(event)
            self._size += self.size_of(event)
            self._trim()
        self.wake()

    def end(self) -> None:
        """Let each reader end, once it has come to the last event."""
        with self.lock:
            self.ended = True
        self.wake()

    def let_go(self, count: int) -> None:
        """Forget the oldest events; with the lock held."""
        self._size -= sum(map(self.size_of, self.events[:count]))
        del self.events[:count]
        self.first += count

    def _trim(self) -> None:
        count, size = self._bounds
        if len(self.events) <= count * 5 // 4 and self._size <= size * 5 // 4:
            return  # letting go moves all the others, so it is done seldom
        surplus, left = max(0, len(self.events) - count), self._size
        left -= sum(map(self.size_of, self.events[:surplus]))
        while left > size and surplus < len(self.events) - 1:  # the newest stays, however large
            left -= self.size_of(self.events[surplus])
            surplus += 1
        self.let_go(surplus)

    async def change(self) -> None:
        """Wait until an event comes, or the end."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            with suppress(ValueError):  # whoever woke it has taken it out
                self._waiters.remove(waiter)

    def wake(self) -> None:
        """Have those that wait for a change look."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class LogReader(Generic[E_co]):
    """An iterator of events: ``async for`` in a coroutine, ``for`` in a script.

    It starts with the first event, and ends with the command that they are of, however that
    ends: its error is the promise's.
    """

    def __init__(self, log: Log[E_co], loop: AbstractEventLoop) -> None:
        self._log = log
        self._loop = loop
        self._place = 0
        self._missed = 0

    @property
    def dropped(self) -> int:
        """How many events were let go before this reader had come to them, for want of room."""
        return self._missed + max(0, self._log.first - self._place)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E_co:
        while (found := self._look()) is None:
            if _get_running_loop() is self._loop:
                await self._log.change()
            else:
                await self._news_from_afar()
        return found.value

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E_co:
        if _get_running_loop() is not None:
            raise WrongLoopError("`for` would block this event loop: use `async for`")
        try:
            while (found := self._look()) is None:
                self._block_until_news()
        except StopAsyncIteration:
            raise StopIteration from None
        return found.value

    async def _news(self) -> None:
        """Wait until there is an event for this reader, or the end; on the log's loop."""
        while not self._has_more() and not self._log.ended:
            await self._log.change()

    async def _news_from_afar(self) -> None:
        """Wait on another loop; until the log's own stops, at the longest."""
        # Only the news are waited for there: one that is cancelled here has taken nothing.
        asked = asyncio.run_coroutine_threadsafe(self._news(), self._loop)
        news = asyncio.wrap_future(asked)
        try:
            while self._loop.is_running() and not news.done():
                await asyncio.wait([news], timeout=LOOK_EVERY)
        finally:
            news.cancel()

    def _block_until_news(self) -> None:
        """Block this thread, likewise."""
        answered = threading.Event()
        with suppress(RuntimeError):  # the loop has stopped: there may be news all the same
            asked = asyncio.run_coroutine_threadsafe(self._news(), self._loop)
            asked.add_done_callback(lambda _: answered.set())
            block_until(answered, self._loop)

    def _look(self) -> Value[E_co] | None:
        """Return the next event, None if it is still to come.

        Raises:
            StopAsyncIteration: There are no more.
            RuntimeError: There may be more, and the loop that would bring them does not run.
        """
        running = self._loop.is_running()  # first, for the end may come with the loop's
        with self._log.lock:
            if self._has_more():
                return Value(self._take())
            ended = self._log.ended
        if ended:
            raise StopAsyncIteration
        if not running:
            how = "is closed" if self._loop.is_closed() else "does not run"
            raise RuntimeError(f"the event loop {how}: nothing would bring more of this")
        return None

    def _has_more(self) -> bool:
        return self._place < self._log.count

    def _take(self) -> E_co:
        """Take the next event, which is there; with the lock held."""
        self._missed, self._place = self.dropped, max(self._place, self._log.first)
        event = self._log.events[self._place - self._log.first]
        self._place += 1
        return event

"""Calls that an event loop leaves to another thread, which runs them when it waits."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from asyncbridge.outcome import LOOK_EVERY, check_running

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

__all__ = ["CallbackQueue"]

_queues: WeakKeyDictionary[AbstractEventLoop, CallbackQueue] = WeakKeyDictionary()


class CallbackQueue:
    """What waits for the thread that makes this; one for each loop.

    Args:
        loop: The loop that the calls come from; it runs in another thread.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = ref(loop)  # the table above is to let it go
        self._thread = threading.get_ident()
        self._due: deque[Callable[[], object]] = deque()
        self._changed = threading.Condition()
        _queues[loop] = self

    @staticmethod
    def here(loop: AbstractEventLoop) -> CallbackQueue | None:
        """Return the queue of the loop's calls for this thread, if there is one."""
        queue = _queues.get(loop)
        return queue if queue is not None and queue.is_mine() else None

    def is_mine(self) -> bool:
        """Return whether this is the thread that runs the calls."""
        return threading.get_ident() == self._thread

    def add(self, call: Callable[[], object]) -> None:
        """Leave a call to the thread; from any other."""
        with self._changed:
            self._due.append(call)
            self._changed.notify_all()

    def wake(self) -> None:
        """Have a thread that waits look whether its wait is over."""
        with self._changed:
            self._changed.notify_all()

    def run_due(self) -> int:
        """Run what is there now; return how many calls that were."""
        count = len(self._due)
        for _ in range(count):
            try:
                call = self._due.popleft()
            except IndexError:  # a call that waits runs others, too
                break
            call()
        return count

    def run_one(self, timeout: float | None) -> int:
        """Wait until there is a call, run what is there, and return how many that were.

        Raises:
            RuntimeError: The loop does not run, so nothing would ever come.
        """
        return self.run_due() if self._wait(lambda: bool(self._due), timeout) else 0

    def run_until(self, event: threading.Event, timeout: float | None) -> bool:
        """Run calls as they come until the loop sets the event; return False when it is late.

        Whoever sets the event calls ``wake``, too.

        Raises:
            RuntimeError: The loop does not run, so nothing will set the event.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self.run_due()
            left = None if deadline is None else deadline - time.monotonic()
            if not self._wait(lambda: bool(self._due) or event.is_set(), left):
                return False
            if event.is_set():
                self.run_due()  # what was there before the event
                return True

    def _wait(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        loop = self._loop()
        assert loop is not None  # whoever waits holds its promise, or its bridge
        while True:
            # In this order, as in block_until.
            running = loop.is_running()
            left = LOOK_EVERY if deadline is None else deadline - time.monotonic()
            with self._changed:
                limit = max(0.0, min(left, LOOK_EVERY)) if running else 0.0
                if self._changed.wait_for(ready, limit):
                    return True
            check_running(loop, running=running)
            if left <= 0:
                return False

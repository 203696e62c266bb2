"""A session's turns in the GPU thread, kept back while one of its commands is halted."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.worker.executor import Executor

    Turn = tuple[Callable[[Any], object], Any]

__all__ = ["Hold"]


class Hold:
    """One session's. What it keeps back takes its turn later, in the order of its coming.

    Turns of other sessions come in between as ever: whatever is kept back has lost its turn, and
    gets a new one, at the end, when the hold is lifted.

    Attributes:
        wanted: Whether a command that fails is to halt its session; set on the loop.
        timeout: Seconds that a halt lasts at most; None for ever.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.timeout: float | None = None
        self._lock = threading.Lock()
        self._up = False
        # Set in the GPU thread alone, so that this thread may look without the lock.
        self._busy = False
        self._kept: deque[Turn] = deque()

    @property
    def is_up(self) -> bool:
        """Whether anything is kept back; in the GPU thread."""
        return self._busy

    def take(self, work: Callable[[Any], object], item: object) -> None:
        """Do a piece of work, if nothing of the session is to be done before it; GPU thread."""
        if not self._busy:
            work(item)
            return
        with self._lock:
            self._kept.append((work, item))
        self._turn()

    def put_up(self) -> None:
        """Let nothing more of the session be done, for the time being; in the GPU thread."""
        with self._lock:
            self._up = self._busy = True

    def lift(self, executor: Executor, first: Turn | None = None) -> None:
        """Let things go on; on the loop.

        Args:
            executor: Gives turns.
            first: What is to be done before all else.
        """
        with self._lock:
            self._up = False
            if first is not None:
                self._kept.appendleft(first)
            turns = max(1, len(self._kept))  # at least one, which finds that there is nothing left
        for _ in range(turns):
            executor.submit(self._turn)

    def _turn(self) -> None:
        with self._lock:
            turn = self._kept.popleft() if self._kept and not self._up else None
            self._busy = self._up or bool(self._kept)
        if turn is not None:
            work, item = turn
            work(item)

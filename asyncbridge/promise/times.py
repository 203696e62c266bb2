"""When a command was sent, began and ended: what its promise tells of its time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Times"]


class Times:
    """The times of one command, by this process's clocks, as its notifications come.

    Args:
        clock: Seconds that only go on, for the durations.
        now: Seconds since 1970, for the date.
    """

    # Plain numbers: this is made for every command, and seldom asked.
    __slots__ = ("_created", "_created_at", "_ended", "_started", "clock")

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time
    ) -> None:
        self.clock = clock
        self._created = clock()
        self._created_at = now()
        self._started: float | None = None
        self._ended: float | None = None

    def start(self) -> None:
        """Note that the command has begun to run."""
        self._started = self.clock()

    def started_before(self, seconds: float) -> None:
        """Note that the command had begun some seconds before this process heard of it."""
        self._started = self.clock() - seconds
        # That it waited before that, and for how long, is not known here.
        self._created = min(self._created, self._started)

    def end(self) -> None:
        """Note its end; the first one counts."""
        if self._ended is None:
            self._ended = self.clock()

    @property
    def has_started(self) -> bool:
        """Whether the command has begun to run."""
        return self._started is not None

    @property
    def created_at(self) -> datetime:
        """When it was sent, in UTC."""
        return datetime.fromtimestamp(self._created_at, UTC)

    @property
    def queued_for(self) -> float:
        """Seconds that it waited until it began, so far or in all."""
        until = self._now() if self._started is None else self._started
        return until - self._created

    @property
    def ran_for(self) -> float | None:
        """Seconds that it ran, so far or in all; None if it has not begun."""
        return None if self._started is None else self._now() - self._started

    def _now(self) -> float:
        return self.clock() if self._ended is None else self._ended

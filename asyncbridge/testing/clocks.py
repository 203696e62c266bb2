"""A clock that a test sets, and an event loop that goes by it."""

from __future__ import annotations

import asyncio

__all__ = ["ManualClock", "clock_loop"]


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

"""Which loop a promise belongs to that nobody gives one: the running one, or a script's bridge's."""

from __future__ import annotations

from asyncio.events import _get_running_loop
from typing import TYPE_CHECKING

from asyncbridge.outcome import runs_elsewhere

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    Finder = Callable[[], "AbstractEventLoop | None"]

__all__ = ["find_by", "loop_here", "start_on"]

_finders: list[Finder] = []


def find_by(finder: Finder) -> None:
    """Ask a function, too, for the loop of code that runs in none; it may know of none."""
    _finders.append(finder)


def loop_here() -> AbstractEventLoop:
    """Return the loop that runs in this thread, else the one of the script's bridge.

    Raises:
        RuntimeError: There is none of the two, as a Future says it.
    """
    running = _get_running_loop()
    if running is not None:
        return running
    for finder in _finders:
        if (loop := finder()) is not None:
            return loop
    raise RuntimeError(
        "no running event loop: promises are made in a coroutine, or in a script within "
        "`with asyncbridge.connect():`"
    )


def start_on(loop: AbstractEventLoop, start: Callable[[], object]) -> None:
    """Call it on the loop: now, or soon if that runs in another thread."""
    if runs_elsewhere(loop):
        loop.call_soon_threadsafe(start)
    else:
        start()

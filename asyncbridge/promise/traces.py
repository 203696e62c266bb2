"""Where a promise was chained, in the tracebacks of asyncio's debug mode."""

from __future__ import annotations

from pathlib import Path
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator
    from traceback import FrameSummary

__all__ = ["chained_at"]

PACKAGE_FOLDER = str(Path(__file__).parent.parent) + "/"


def chained_at(promise: asyncio.Future[Any], error: BaseException) -> BaseException:
    """Put the place where a promise was chained above the error of its handler; return the error.

    Only where asyncio has noted it, which it does in debug mode.
    """
    place = _place_of(promise)
    if place is not None:
        error.__traceback__ = _entry(place, error.__traceback__)
    return error


def _place_of(promise: asyncio.Future[Any]) -> FrameSummary | None:
    """Return the innermost frame outside this package of those that made the promise."""
    stack: list[FrameSummary] = promise._source_traceback or []  # type: ignore[attr-defined] # untyped
    frames = (frame for frame in reversed(stack) if not frame.filename.startswith(PACKAGE_FOLDER))
    return next(frames, None)


def _stand_in() -> Generator[None]:
    yield


def _entry(place: FrameSummary, inner: TracebackType | None) -> TracebackType:
    """Return a line of a traceback that names the place, without the frame that was there."""
    # The frame itself is gone, and would keep its variables alive: this one has its name alone.
    # It is a generator's, which was never started, so that it has no frame that called it.
    code = _stand_in.__code__.replace(co_filename=place.filename, co_name=place.name)
    return TracebackType(inner, FunctionType(code, {})().gi_frame, -1, place.lineno or 1)

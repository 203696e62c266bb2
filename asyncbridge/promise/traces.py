"""What is put into the errors of handlers, for whoever reads them: context, calls, places."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator
    from traceback import FrameSummary

__all__ = ["PACKAGE_FOLDERS", "chained_at", "in_context", "note_call", "trim"]

_PACKAGE = Path(__file__).parent.parent
PACKAGE_FOLDERS = tuple(
    f"{folder}/"
    for folder in {
        _PACKAGE,
        _PACKAGE.resolve(),
        # Where the two rooms that stand beside the package really are.
        (_PACKAGE / "models").resolve(),
        (_PACKAGE / "serialization").resolve(),
    }
)
"""Where this package's own frames are, in the ways that they may be written."""


def chained_at(promise: asyncio.Future[Any], error: BaseException) -> BaseException:
    """Put the place where a promise was chained above the error of its handler; return the error.

    Only where asyncio has noted it, which it does in debug mode.
    """
    place = _place_of(promise)
    if place is not None:
        _set(error, "__traceback__", _entry(place, _get(error, "__traceback__")))
    return error


def _place_of(promise: asyncio.Future[Any]) -> FrameSummary | None:
    """Return the innermost frame outside this package of those that made the promise."""
    stack: list[FrameSummary] = promise._source_traceback or []  # type: ignore[attr-defined] # untyped
    frames = (frame for frame in reversed(stack) if not frame.filename.startswith(PACKAGE_FOLDERS))
    return next(frames, None)


def in_context(error: BaseException, handling: BaseException | None) -> BaseException:
    """Have the error tell in the handling of which one it came up, as ``except`` does; return it."""
    if handling is not None and _get(error, "__context__") is None:
        # As Python does it: a chain of contexts never leads back to its beginning.
        other: BaseException | None = handling
        while other is not None and other is not error:
            other = _get(other, "__cause__") or _get(other, "__context__")
        if other is None:
            _set(error, "__context__", handling)
    return error


# Past the class's own attributes, which may be hostile, or those of a frozen dataclass.
def _get(error: BaseException, name: str) -> Any:
    return BaseException.__dict__[name].__get__(error)


def _set(error: BaseException, name: str, value: object) -> None:
    BaseException.__dict__[name].__set__(error, value)


def note_call(error: BaseException, handler: object, arguments: tuple[object, ...]) -> None:
    """Have an error tell that a function does not take what a handler is given, if it is that."""
    if type(error) is not TypeError or error.__traceback__ is not None:
        return  # it came up in the function
    function: Any = handler
    while isinstance(function, partial):
        function, arguments = function.func, (*function.args, *arguments)
    code = getattr(function, "__code__", None)
    if code is None:
        return  # it came up in one that is written in C
    given = f"{len(arguments)} argument" + "s" * (len(arguments) != 1)
    where = f"{code.co_filename}:{code.co_firstlineno}"
    error.add_note(f"the handler of {where} is called with {given if arguments else 'nothing'}")


def trim(promise: asyncio.Future[Any]) -> None:
    """Take this package's frames off the end of what asyncio has noted in debug mode.

    Not as soon as it is noted: it would cost each promise a look, in debug mode or not.
    """
    stack: list[FrameSummary] | None = promise._source_traceback  # type: ignore[attr-defined] # untyped
    while stack and stack[-1].filename.startswith(PACKAGE_FOLDERS):
        stack.pop()


def _stand_in() -> Generator[None]:
    yield


def _entry(place: FrameSummary, inner: TracebackType | None) -> TracebackType:
    """Return a line of a traceback that names the place, without the frame that was there."""
    # The frame itself is gone, and would keep its variables alive: this one has its name alone.
    # It is a generator's, which was never started, so that it has no frame that called it.
    code = _stand_in.__code__.replace(co_filename=place.filename, co_name=place.name)
    return TracebackType(inner, FunctionType(code, {})().gi_frame, -1, place.lineno or 1)

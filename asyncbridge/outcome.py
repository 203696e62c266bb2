"""Results that cross threads: what a call came to, as a value (after python-trio/outcome)."""

from __future__ import annotations

import threading
import time
from asyncio.events import _get_running_loop
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NoReturn, ParamSpec, TypeAlias, TypeVar

from asyncbridge.errors import WrongLoopError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from types import TracebackType

__all__ = [
    "LOOK_EVERY",
    "Error",
    "Outcome",
    "Value",
    "block_until",
    "call_on",
    "capture",
    "check_running",
    "runs_elsewhere",
    "without_top_frame",
]

P = ParamSpec("P")
_TRACEBACK = BaseException.__dict__["__traceback__"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# Seconds between two looks at whether the loop still runs. It is also how late a Ctrl-C gets
# through on Windows, where a signal does not interrupt a lock.
LOOK_EVERY = 0.1


# One field each, so they are built by position: ``Value(3)`` reads as it does in a ``case``.
@dataclass(frozen=True, slots=True)
class Value(Generic[T_co]):
    """The call returned this."""

    value: T_co

    def unwrap(self) -> T_co:
        """Return the value."""
        return self.value


@dataclass(frozen=True, slots=True)
class Error:
    """The call raised this."""

    error: BaseException

    def unwrap(self) -> NoReturn:
        """Raise the error."""
        error = self.error
        try:
            raise error
        finally:
            # The traceback holds this frame; holding the error in turn would be a cycle.
            del error, self


Outcome: TypeAlias = Value[T] | Error


def capture(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Outcome[T]:
    """Call ``fn`` and return what came of it; nothing that it raises gets out.

    The error's traceback starts in ``fn``: this frame is taken off.
    """
    try:
        return Value(fn(*args, **kwargs))
    except BaseException as error:  # noqa: BLE001 - an outcome is for every way a call ends
        return Error(without_top_frame(error))


def without_top_frame(error: BaseException) -> BaseException:
    """Take the frame that caught the error off its traceback, and return the error."""
    # Past the class's own attributes, which may be hostile. Not inlined: in a frame that the
    # traceback leads back to, a variable that holds it would be a cycle.
    traceback: TracebackType | None = _TRACEBACK.__get__(error)
    _TRACEBACK.__set__(error, traceback and traceback.tb_next)
    return error


def runs_elsewhere(loop: AbstractEventLoop) -> bool:
    """Return whether the loop runs, and in another thread than this one."""
    return _get_running_loop() is not loop and loop.is_running()


def call_on(loop: AbstractEventLoop, fn: Callable[[], T]) -> T:
    """Call ``fn`` on a loop that runs in another thread; return or raise what came of it.

    Raises:
        WrongLoopError: An event loop runs in this thread too, and would be blocked.
        RuntimeError: The loop stopped before it answered.
    """
    if _get_running_loop() is not None:
        raise WrongLoopError("this call waits for another event loop, and would block this one")
    outcomes: list[Outcome[T]] = []
    answered = threading.Event()

    def answer() -> None:
        outcomes.append(capture(fn))
        answered.set()

    loop.call_soon_threadsafe(answer)
    block_until(answered, loop)
    return outcomes[0].unwrap()


def block_until(
    event: threading.Event, loop: AbstractEventLoop, timeout: float | None = None
) -> bool:
    """Block this thread until the loop, in another one, sets the event.

    Args:
        event: What to wait for.
        loop: The loop that sets it.
        timeout: Seconds to wait at most; None for as long as the loop runs.

    Returns:
        False when the time was over first.

    Raises:
        RuntimeError: The loop does not run, so nothing will set the event.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        # In this order: a loop that set the event and then stopped is no error.
        running = loop.is_running()
        left = LOOK_EVERY if deadline is None else deadline - time.monotonic()
        if event.wait(max(0.0, min(left, LOOK_EVERY)) if running else 0):
            return True
        check_running(loop, running=running)
        if left <= 0:
            return False


def check_running(loop: AbstractEventLoop, *, running: bool) -> None:
    """Refuse to wait for a loop that was seen not to run.

    Raises:
        RuntimeError: It did not run.
    """
    if not running:
        how = "is closed" if loop.is_closed() else "does not run"
        raise RuntimeError(f"the event loop {how}: nothing would ever end this wait")

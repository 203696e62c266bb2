"""Waiting for a promise in a thread without a loop, which blocks until it is settled."""

from __future__ import annotations

import threading
from asyncio.events import _get_running_loop
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from asyncbridge.errors import WrongLoopError
from asyncbridge.outcome import block_until
from asyncbridge.promise.callbacks import CallbackQueue
from asyncbridge.promise.handle import Handle
from asyncbridge.promise.waiting import check_seconds, pass_on, when_open
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Generator

__all__ = ["Blocked", "Step", "block_on", "block_until_settled", "blocked_in"]

T = TypeVar("T")


class Blocked:
    """A thread's wait for a promise, without a limit.

    Args:
        promise: What it waits for.
        wake: Ends the wait; from any thread.

    Attributes:
        promise: As above.
        error: What ends the wait instead of the promise.
    """

    def __init__(self, promise: asyncio.Future[Any], wake: Callable[[Any], object]) -> None:
        self.promise = promise
        self.error: BaseException | None = None
        self._wake = wake

    def fail(self, error: BaseException) -> None:
        """End the wait by an error; from any thread."""
        self.error = error
        self._wake(self.promise)


_blocked: dict[int, Blocked] = {}
"""By the idents of the threads; a wait inside of a wait, by a callback, hides that for a while."""


def blocked_in(thread: int) -> Blocked | None:
    """Return what a thread, named by its ident, waits for without a limit; from any thread."""
    return _blocked.get(thread)


def block_until_settled(promise: asyncio.Future[Any], timeout: float | None) -> None:
    """Block this thread until the promise, of a loop in another one, is settled.

    Raises:
        DeadlockError: It can never be, for this thread holds up what settles it.
        ValueError: The timeout is negative.
        WrongLoopError: An event loop runs in this thread.
        TimeoutError: The time is over.
        RuntimeError: The promise's loop does not run.
    """
    check_seconds("timeout", timeout)
    if _get_running_loop() is not None:
        raise WrongLoopError("wait_for_value() would block this event loop: use `await`")
    if not promise.done() and not _settled_in_time(promise, timeout):
        raise TimeoutError(f"no value after {timeout} s; the promise itself goes on")


class Step(Handle[T]):
    """The outcome of a step that a loop makes for a thread.

    Attributes:
        task: Makes it, once it has begun.
    """

    task: asyncio.Task[Any] | None = None


def block_on(loop: asyncio.AbstractEventLoop, step: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function on a loop in another thread, and block this one until its end.

    Raises:
        WrongLoopError: An event loop runs in this thread.
        RuntimeError: The loop does not run.
    """
    outcome: Step[T] = Step._shared_on(loop)

    def start() -> None:
        outcome.task = spawn(step(), name="asyncbridge-step", on_error=lambda _: None)
        outcome.task.add_done_callback(partial(pass_on, outcome))

    loop.call_soon_threadsafe(start)
    try:
        block_until_settled(outcome, None)
    except BaseException:  # such as a KeyboardInterrupt
        if outcome.task is not None:
            when_open(loop, outcome.task.cancel)
        raise
    return outcome.result()


def _settled_in_time(promise: asyncio.Future[Any], timeout: float | None) -> bool:
    settled, loop = threading.Event(), promise.get_loop()
    calls = CallbackQueue.here(loop)
    callback = partial(_set_event, settled, calls)
    promise.add_done_callback(callback)
    try:
        if timeout is not None:
            return _wait(settled, loop, calls, timeout)
        with _seen(Blocked(promise, callback)):
            return _wait(settled, loop, calls, None)
    finally:
        when_open(loop, promise.remove_done_callback, callback)


def _wait(
    settled: threading.Event,
    loop: asyncio.AbstractEventLoop,
    calls: CallbackQueue | None,
    timeout: float | None,
) -> bool:
    if calls is not None:
        return calls.run_until(settled, timeout)
    return block_until(settled, loop, timeout)


@contextmanager
def _seen(wait: Blocked) -> Generator[None]:
    """Let others see what this thread waits for, and end that."""
    thread = threading.get_ident()
    around = _blocked.get(thread)
    _blocked[thread] = wait
    try:
        yield
        if wait.error is not None and not wait.promise.done():
            raise wait.error
    finally:
        wait.error = None  # its traceback holds frames that hold the wait
        if around is None:
            del _blocked[thread]
        else:
            _blocked[thread] = around


def _set_event(event: threading.Event, calls: CallbackQueue | None, _: object) -> None:
    event.set()
    if calls is not None:
        calls.wake()

"""Waiting for a promise: in a task of its loop, or on another loop.

A promise is typed here as what is needed of it: a future whose ``add_done_callback`` may be
called from any thread.
"""

from __future__ import annotations

import asyncio
from asyncio.events import _get_running_loop
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from asyncbridge.errors import WrongLoopError
from asyncbridge.outcome import LOOK_EVERY, Error, capture, check_running
from asyncbridge.promise.loops import start_on
from asyncbridge.promise.views import short
from asyncbridge.protocol.limits import LONGEST_S

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Generator
    from contextvars import Context

__all__ = [
    "Awaiting",
    "Waiter",
    "check_seconds",
    "copy_of",
    "no_longer_when_done",
    "pass_on",
    "wait",
    "wait_at_most",
    "wait_elsewhere",
    "when_done",
    "when_open",
]

T = TypeVar("T")

# Called unbound: the promise's own methods do more than is wanted here.
_add_done_callback = asyncio.Future.add_done_callback
_remove_done_callback = asyncio.Future.remove_done_callback


class Waiter:
    """The private future that one ``await`` waits on: asyncio's duck type, one task wide.

    It passes the task's wake-up on to the promise, so waking costs what it costs on a
    Future; but the task's cancellation stops here and only takes the wake-up back.
    """

    __slots__ = ("_asyncio_future_blocking", "_error", "_message", "_wakeup", "get_loop", "promise")

    def __init__(self, promise: asyncio.Future[Any]) -> None:
        self._asyncio_future_blocking = True  # the mark of `yield from` in asyncio's protocol
        self.promise = promise
        self.get_loop = promise.get_loop  # the task asks for it: it is to be its own

    def __repr__(self) -> str:
        return repr(self.promise)

    def add_done_callback(
        self, wakeup: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Have the promise call the task's wake-up."""
        self._wakeup: tuple[Callable[[Any], object], Context | None] | None = (wakeup, context)
        _add_done_callback(self.promise, wakeup, context=context)

    def cancel(self, msg: object = None) -> bool:
        """Wake the task alone; return False if it is about to wake anyway."""
        if self._wakeup is None or self.promise.done():
            return False
        (wakeup, context), self._wakeup = self._wakeup, None
        self._message = msg
        self._error: BaseException | None = None
        self.promise.remove_done_callback(wakeup)
        self.promise.get_loop().call_soon(wakeup, self, context=context)
        return True

    def fail(self, error: BaseException) -> None:
        """Wake the task alone, by an error; in vain if it is about to wake anyway."""
        if self.cancel():
            self._error = error

    def result(self) -> None:
        """Raise the cancellation, or the error: asked for by the task that was woken."""
        error, self._error = self._error, None  # its traceback holds this frame
        try:
            if error is not None:
                raise error
        finally:
            del error
        raise asyncio.CancelledError(*(() if self._message is None else (self._message,)))


@dataclass(frozen=True, slots=True)
class _Relay:
    """A callback that runs on a loop which is not the future's own; taken back by an equal one."""

    loop: AbstractEventLoop
    callback: Callable[[Any], object]

    def __call__(self, future: asyncio.Future[Any]) -> None:
        when_open(self.loop, self.callback, future)


def wait(promise: asyncio.Future[T]) -> Generator[Any, None, T]:
    """Wait for a promise that is shared, and leave it alive if the wait is cancelled.

    Raises:
        WrongLoopError: The promise is of another loop, which does not run.
    """
    try:
        if _get_running_loop() is promise.get_loop():
            yield Waiter(promise)
        else:
            yield from wait_elsewhere(promise)
        return promise.result()
    finally:
        del promise  # the error's traceback holds this frame: a cycle otherwise


class Awaiting(asyncio.Future[T]):
    """A future that one ``await`` of a promise waits on, and that looks like it.

    Attributes:
        promise: What is awaited.
    """

    def __init__(self, promise: asyncio.Future[Any], *, loop: AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.promise = promise

    def __repr__(self) -> str:
        return repr(self.promise)

    def fail(self, error: BaseException) -> None:
        """End the wait by an error; in vain if it is over."""
        if not self.done():
            self.set_exception(error)


def copy_of(promise: asyncio.Future[T]) -> asyncio.Future[T]:
    """Return a future of the running loop that ends as the promise does, and is one's own.

    Slower than ``wait``; but what awaits it leaves no frame of ours in an error's traceback.

    Raises:
        WrongLoopError: The promise is of another loop, which does not run.
    """
    loop = _check_loop(promise)
    copy = Awaiting[T](promise, loop=loop)
    settle = partial(pass_on, copy)
    when_done(promise, loop, settle)
    _look_after(promise.get_loop(), copy)
    copy.add_done_callback(lambda _: _leave(promise, loop, settle))
    return copy


def pass_on(copy: asyncio.Future[T], promise: asyncio.Future[T]) -> None:
    """Let a future end as a promise has; one that has ended stays as it is."""
    if copy.done():
        return
    if promise.cancelled():
        copy.cancel(promise._cancel_message)  # type: ignore[attr-defined] # untyped
    elif (error := promise.exception()) is not None:
        copy.set_exception(error)
    else:
        copy.set_result(promise.result())


def wait_elsewhere(promise: asyncio.Future[Any]) -> Generator[Any, None, None]:
    """Wait on the running loop for a promise of another one.

    Raises:
        WrongLoopError: The other loop does not run.
    """
    loop = _check_loop(promise)
    woken: asyncio.Future[None] = loop.create_future()
    relay = _Relay(loop, partial(_wake, woken))
    promise.add_done_callback(relay)
    _look_after(promise.get_loop(), woken)
    try:
        yield from woken
    finally:
        when_open(promise.get_loop(), promise.remove_done_callback, relay)


async def wait_at_most(
    promise: asyncio.Future[Any], timeout: float | None, registered: Callable[[], None] | None
) -> None:
    """Wait on the running loop until the promise, of any loop, is settled.

    No cancellation is used to end the wait, so none can be taken for another.

    Args:
        promise: What to wait for.
        timeout: Seconds to wait at most; None waits for ever.
        registered: Called on the promise's loop once the promise knows of this waiter.

    Raises:
        TimeoutError: The time is over.
        WrongLoopError: The promise is of another loop, which does not run.
    """
    if promise.done():
        return
    loop = _check_loop(promise)
    # One that has no end of its own is to be seen as what it is: a wait for the promise.
    woken = loop.create_future() if timeout is not None else Awaiting[None](promise, loop=loop)
    wake = partial(_wake, woken)
    timer = None if timeout is None else loop.call_later(timeout, wake, None)
    when_done(promise, loop, wake)
    _look_after(promise.get_loop(), woken)
    if registered is not None:
        start_on(promise.get_loop(), registered)
    try:
        await woken
        in_time = promise.done()  # asked here, for to leave may be what ends it
    finally:
        if timer is not None:
            timer.cancel()
        _leave(promise, loop, wake)
    if not in_time:
        raise TimeoutError(f"no value after {timeout} s")


def _check_loop(promise: asyncio.Future[Any]) -> AbstractEventLoop:
    loop, home = asyncio.get_running_loop(), promise.get_loop()
    if home is not loop and not home.is_running():
        raise WrongLoopError(f"{promise!r} belongs to an event loop that does not run")
    return loop


def _look_after(home: AbstractEventLoop, woken: asyncio.Future[Any]) -> None:
    """End a wait by an error when the loop that it waits for stops; nothing else would."""
    if home is not woken.get_loop():
        woken.get_loop().call_later(LOOK_EVERY, _look, home, woken)


def _look(home: AbstractEventLoop, woken: asyncio.Future[Any]) -> None:
    if woken.done():
        return
    outcome = capture(check_running, home, running=home.is_running())
    if isinstance(outcome, Error):
        woken.set_exception(outcome.error)
    else:
        _look_after(home, woken)


def _leave(
    promise: asyncio.Future[Any], loop: AbstractEventLoop, callback: Callable[[Any], object]
) -> None:
    """Take back a ``when_done`` as a waiter that leaves: by the promise's own method."""
    home = promise.get_loop()
    if home is loop:
        promise.remove_done_callback(callback)
    else:
        when_open(home, promise.remove_done_callback, _Relay(loop, callback))


def _wake(woken: asyncio.Future[None], _: object) -> None:
    if not woken.done():
        woken.set_result(None)


def when_done(
    future: asyncio.Future[Any], loop: AbstractEventLoop, callback: Callable[[Any], object]
) -> None:
    """Have ``loop`` call ``callback(future)`` when the future, of any loop, is done."""
    home = future.get_loop()
    if home is loop:
        future.add_done_callback(callback)
    elif future.done():
        loop.call_soon(callback, future)
    else:
        home.call_soon_threadsafe(future.add_done_callback, _Relay(loop, callback))


def no_longer_when_done(
    future: asyncio.Future[Any], loop: AbstractEventLoop, callback: Callable[[Any], object]
) -> None:
    """Take back a ``when_done``, so that the future keeps nothing of it."""
    home = future.get_loop()
    if home is loop:
        _remove_done_callback(future, callback)
    else:
        when_open(home, _remove_done_callback, future, _Relay(loop, callback))


def check_seconds(name: str, seconds: float | None) -> None:
    """Refuse a negative time, and what is not a number.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative, or longer than timers know of.
    """
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name} is a number of seconds, not {short(seconds)}")
    if not seconds >= 0:
        raise ValueError(f"{name} must be 0 or more seconds, not {seconds}")
    if seconds > LONGEST_S:
        raise ValueError(f"{name} is {LONGEST_S:.0f} seconds at most, some 31 years; this is more")


def when_open(loop: AbstractEventLoop, callback: Callable[..., object], *args: object) -> None:
    """Run the callback on another thread's loop; where that has closed, nobody waits for it."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, *args)

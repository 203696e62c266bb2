"""``wait_for_value``, which blocks a thread."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from asyncbridge.errors import WrongLoopError
from asyncbridge.promise import Promise
from asyncbridge.promise.blocking import block_on, blocked_in
from tests.promise.conftest import ERROR, pending, settle, settled


def test_wait_for_value_returns_or_raises(loop: asyncio.AbstractEventLoop) -> None:
    """It blocks until the end, and a settled promise answers at once, with no time left."""
    for value in ("value", ERROR):
        promise: Promise[Any] = Promise(loop=loop)
        loop.call_soon_threadsafe(settle, promise, value)
        for timeout in (None, 60, 0):
            try:
                got: object = promise.wait_for_value(timeout)
            except ValueError as error:
                got = error
            assert got is value


def test_wait_for_value_times_out(loop: asyncio.AbstractEventLoop) -> None:
    """TimeoutError leaves the promise alive and no callback behind."""
    promise: Promise[int] = Promise(loop=loop)
    with pytest.raises(TimeoutError, match="the promise itself goes on"):
        promise.wait_for_value(timeout=0)
    loop.call_soon_threadsafe(lambda: promise.set_result(len(promise._callbacks or ())))
    assert promise.wait_for_value(60) == 0


def test_wait_for_value_refuses_a_negative_timeout(loop: asyncio.AbstractEventLoop) -> None:
    """A negative timeout is a mistake, even for a settled promise."""
    promise: Promise[int] = Promise(loop=loop)
    with pytest.raises(ValueError, match="-1"):
        promise.wait_for_value(-1)


@pytest.mark.asyncio
async def test_wait_for_value_refuses_to_block_a_loop(loop: asyncio.AbstractEventLoop) -> None:
    """On a thread with a running loop it raises at once, settled or not, and says await."""
    for promise in (pending(), settled("before"), Promise[int](loop=loop)):
        with pytest.raises(WrongLoopError, match="await"):
            promise.wait_for_value()


def test_wait_for_value_needs_a_running_loop() -> None:
    """With the loop not started, or closed, it raises instead of hanging."""
    loop = asyncio.new_event_loop()
    promise: Promise[int] = Promise(loop=loop)
    with pytest.raises(RuntimeError, match="does not run"):
        promise.wait_for_value()
    loop.close()
    with pytest.raises(RuntimeError, match="is closed"):
        promise.wait_for_value(60)


def test_wait_for_value_sees_the_loop_stop(loop: asyncio.AbstractEventLoop) -> None:
    """A loop that stops during the wait ends it."""
    promise: Promise[int] = Promise(loop=loop)
    loop.call_soon_threadsafe(_once_waited_for, promise, loop.stop)
    with pytest.raises(RuntimeError, match="does not run"):
        promise.wait_for_value()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no signal to one thread")
def test_an_interrupt_ends_the_wait(loop: asyncio.AbstractEventLoop) -> None:
    """Ctrl-C in the main thread gets out of wait_for_value; the promise lives on."""
    promise: Promise[str] = Promise(loop=loop)
    main = threading.main_thread().ident
    assert main is not None
    interrupt = partial(signal.pthread_kill, main, signal.SIGINT)
    # What a shell starts in the background ignores SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        loop.call_soon_threadsafe(_once_waited_for, promise, interrupt)
        with pytest.raises(KeyboardInterrupt):
            promise.wait_for_value()
    finally:
        signal.signal(signal.SIGINT, before)
    loop.call_soon_threadsafe(promise.set_result, "value")
    assert promise.wait_for_value(60) == "value"


def _once_waited_for(promise: Promise[Any], do: Callable[[], object]) -> None:
    """Do it when somebody waits for the promise, looking at every turn of the loop."""
    if promise._callbacks:
        do()
    else:
        promise.get_loop().call_soon(_once_waited_for, promise, do)


def test_a_step_of_the_loop(loop: asyncio.AbstractEventLoop) -> None:
    """A thread gets its value, its error, or its end."""

    async def step() -> int:
        await asyncio.sleep(0)
        return 5

    async def fail() -> None:
        raise ERROR

    async def leave() -> None:
        raise asyncio.CancelledError

    assert block_on(loop, step) == 5
    with pytest.raises(type(ERROR)):
        block_on(loop, fail)
    with pytest.raises(asyncio.CancelledError):
        block_on(loop, leave)


def test_a_wait_can_be_ended_from_outside(loop: asyncio.AbstractEventLoop) -> None:
    """One without a limit is seen by the thread that waits; the promise stays as it is."""
    promise: Promise[int] = Promise(loop=loop)
    thread = threading.get_ident()

    def end() -> None:
        wait = blocked_in(thread)
        if wait is None:  # not yet
            loop.call_soon(end)
        else:
            wait.fail(LookupError(wait.promise is promise))

    loop.call_soon_threadsafe(end)
    with pytest.raises(LookupError, match="True"):
        promise.wait_for_value()
    assert blocked_in(thread) is None
    assert not promise.done()

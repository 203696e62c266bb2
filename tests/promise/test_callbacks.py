"""Calls that a loop leaves to another thread."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from functools import partial

import pytest

from asyncbridge.promise.callbacks import CallbackQueue


@pytest.fixture
def calls(loop: asyncio.AbstractEventLoop) -> CallbackQueue:
    """Return the calls that a loop in another thread leaves to this one."""
    return CallbackQueue(loop)


def in_thread(function: Callable[[], object]) -> object:
    """Return what a function returns in another thread."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_calls_run_here_in_their_order(
    calls: CallbackQueue, loop: asyncio.AbstractEventLoop
) -> None:
    """All that are there, once."""
    seen: list[object] = []
    for number in range(3):
        calls.add(partial(seen.append, number))
    assert (calls.run_due(), calls.run_due()) == (3, 0)
    loop.call_soon_threadsafe(calls.add, lambda: seen.append(threading.get_ident()))
    assert calls.run_one(60) == 1
    assert seen == [0, 1, 2, threading.get_ident()]


def test_a_wait_ends_with_its_time(calls: CallbackQueue) -> None:
    """Or at once, when none is given."""
    assert calls.run_one(0) == calls.run_one(0.001) == 0
    assert not calls.run_until(threading.Event(), 0.001)


def test_calls_run_until_the_event(calls: CallbackQueue, loop: asyncio.AbstractEventLoop) -> None:
    """Those that came before it all."""
    seen: list[object] = []
    event = threading.Event()

    def work() -> None:
        calls.add(partial(seen.append, 1))
        calls.add(lambda: loop.call_soon_threadsafe(last))

    def last() -> None:
        calls.add(partial(seen.append, 2))
        event.set()
        calls.wake()

    loop.call_soon_threadsafe(work)
    assert calls.run_until(event, None)
    assert seen == [1, 2]


def test_a_call_may_wait_itself(calls: CallbackQueue) -> None:
    """It runs the others meanwhile."""
    seen: list[object] = []

    def outer() -> None:
        seen.append(("inner ran", calls.run_one(60)))

    calls.add(outer)
    calls.add(partial(seen.append, "inner"))
    calls.run_due()
    assert seen == ["inner", ("inner ran", 1)]


def test_it_is_of_one_thread_and_one_loop(
    calls: CallbackQueue, loop: asyncio.AbstractEventLoop
) -> None:
    """Another thread does not find it; the loop does not live by it."""
    assert CallbackQueue.here(loop) is calls
    assert in_thread(partial(CallbackQueue.here, loop)) is None
    other = asyncio.new_event_loop()
    assert CallbackQueue.here(other) is None
    kept = CallbackQueue(other)
    seen = weakref.ref(other)
    other.close()
    del other
    gc.collect()
    assert seen() is None
    assert kept.is_mine()


def test_a_loop_that_stops_ends_the_wait(
    calls: CallbackQueue, loop: asyncio.AbstractEventLoop
) -> None:
    """Nothing would ever come; what is there can still be run."""
    loop.call_soon_threadsafe(loop.stop)
    with pytest.raises(RuntimeError, match="does not run"):
        calls.run_one(None)
    calls.add(list)
    assert calls.run_due() == 1

"""Promises and futures of a loop in another thread."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from asyncbridge.errors import WrongLoopError
from asyncbridge.promise import Promise
from asyncbridge.tasks import spawn
from tests.promise.conftest import (
    ERROR,
    current,
    give,
    outcome,
    raiser,
    reports,
    settle,
    settled,
    turns,
)


def test_chaining_from_another_thread(loop: asyncio.AbstractEventLoop) -> None:
    """then, catch, finally_ and callbacks hop to the loop, in order, with the caller's context."""
    promise: Promise[int] = Promise(loop=loop)
    current.set("caller")
    calls: list[object] = []
    promise.add_done_callback(lambda _: calls.append(threading.current_thread()))
    promise.add_done_callback(lambda _: calls.append(current.get()))
    last = promise.then(raiser(ERROR)).catch(calls.append).finally_(lambda: calls.append("end"))
    loop.call_soon_threadsafe(promise.set_result, 1)
    assert last.wait_for_value(60) is None
    assert calls[0] is not threading.current_thread()
    assert calls[1:] == ["caller", ERROR, "end"]
    assert last.then(lambda _: "late").wait_for_value(60) == "late"


def test_transforming_from_another_thread(loop: asyncio.AbstractEventLoop) -> None:
    """The block is in place when transform() returns, or it has raised."""
    promise: Promise[int] = Promise(loop=loop)
    transformed = promise.transform(str)
    loop.call_soon_threadsafe(promise.set_result, 1)
    assert transformed.wait_for_value(60) == "1"
    with pytest.raises(asyncio.InvalidStateError):
        promise.transform(str)


def test_cancelling_from_another_thread(loop: asyncio.AbstractEventLoop) -> None:
    """The request hops to the loop; a settled promise refuses it at once."""
    promise: Promise[int] = Promise(loop=loop)
    assert promise.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        promise.wait_for_value(60)
    assert not promise.cancel()


@pytest.mark.asyncio
async def test_resolvers_work_from_any_thread() -> None:
    """Whichever thread comes first settles the promise on its loop."""
    promise, resolve, reject = Promise[int].with_resolvers()
    await asyncio.to_thread(resolve, 1)
    await asyncio.to_thread(reject, ERROR)
    assert await promise == 1


@pytest.mark.asyncio
async def test_awaiting_from_another_loop(loop: asyncio.AbstractEventLoop) -> None:
    """The value, an error or a cancellation crosses over; a cancelled waiter cancels nothing."""
    for value in ("value", ERROR, asyncio.CancelledError("why")):
        promise: Promise[Any] = Promise(loop=loop)
        waiters = [spawn(outcome(promise), name="waiter") for _ in range(2)]
        await turns()
        waiters[0].cancel("waiter")
        assert repr(await waiters[0]) == "CancelledError('waiter')"
        assert promise.state == "pending"
        loop.call_soon_threadsafe(settle, promise, value)
        assert repr(await waiters[1]) == repr(value)
        assert repr(await outcome(promise)) == repr(value)


@pytest.mark.asyncio
async def test_a_waiter_cancelled_as_another_loop_wakes_it(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Where both come in one turn the waiter is cancelled, and the wake-up is no error."""
    seen = reports()
    promise: Promise[int] = Promise(loop=loop)
    waiter = spawn(outcome(promise), name="waiter")
    await turns()
    loop.call_soon_threadsafe(promise.set_result, 1)
    asyncio.run_coroutine_threadsafe(turns(), loop).result()  # the wake-up is under way now
    waiter.cancel()
    assert isinstance(await waiter, asyncio.CancelledError)
    await turns()
    assert seen == []


@pytest.mark.asyncio
async def test_awaiting_a_promise_of_a_dead_loop() -> None:
    """Where nothing can settle it, awaiting raises; a settled one gives its value."""
    dead = asyncio.new_event_loop()
    shared, bare = Promise[int].with_resolvers(loop=dead).promise, Promise[int](loop=dead)
    with pytest.raises(WrongLoopError, match="does not run"):
        await shared
    with pytest.raises(RuntimeError, match="attached to a different loop"):
        await bare
    for promise in (shared, bare):
        promise.set_result(1)
    dead.close()
    for promise in (shared, bare):
        assert await promise == 1
        assert await settled("after").then(give(promise)) == 1


@pytest.mark.asyncio
async def test_a_future_of_another_loop_is_adopted(loop: asyncio.AbstractEventLoop) -> None:
    """A handler may return a promise or a future that another loop settles."""
    for make in (lambda: Promise[int](loop=loop), loop.create_future):
        inner: asyncio.Future[int] = make()
        derived = settled("after").then(give(inner))
        await turns()
        loop.call_soon_threadsafe(inner.set_result, 1)
        assert await derived == 1


@pytest.mark.asyncio
async def test_a_future_of_a_closed_loop_rejects() -> None:
    """A future that nothing can settle any more is no reason to wait for ever."""
    dead = asyncio.new_event_loop()
    inner: asyncio.Future[int] = dead.create_future()
    dead.close()
    with pytest.raises(RuntimeError, match="closed"):
        await settled("after").then(lambda _: inner)


@pytest.mark.asyncio
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("how", ["await", "wait"])
async def test_a_wait_ends_when_the_other_loop_stops(how: str, debug: bool) -> None:
    """Nothing would ever end it; the error says so."""
    loop = asyncio.new_event_loop()
    loop.set_debug(debug)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    promise = Promise[int].with_resolvers(loop=loop).promise

    async def wait() -> int:
        return await promise if how == "await" else await promise.wait()

    task = spawn(wait(), name="waiter")
    await turns()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    with pytest.raises(RuntimeError, match="the event loop does not run"):
        await task
    loop.close()


@pytest.mark.asyncio
async def test_a_waiter_of_another_loop_is_not_abandoned_by_itself(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """What it asks for holds from when it waits, though the one before it leaves just then."""
    for _ in range(100):
        promise = Promise[int].with_resolvers(loop=loop).promise
        with pytest.raises(TimeoutError):
            await promise.wait(0)
        with pytest.raises(TimeoutError):
            await promise.wait(0.001, cancel_on_abandon=True)

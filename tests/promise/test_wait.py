"""Waiting for a limited time, and what happens to a promise that nobody waits for."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asyncbridge.errors import WrongLoopError
from asyncbridge.promise import Promise
from asyncbridge.promise.progress import WatchedPromise
from asyncbridge.tasks import spawn
from asyncbridge.testing import FakeWorker, ManualClock
from asyncbridge.testing.clocks import clock_loop
from tests.promise.conftest import ERROR, outcome, pending, settled, turns

pytestmark = pytest.mark.usefixtures("in_both_modes")


async def leave(waiter: asyncio.Task[Any]) -> None:
    """Cancel a waiter, and let it end."""
    waiter.cancel()
    assert isinstance(await outcome(waiter), asyncio.CancelledError)


def waiting(promise: Promise[Any], *, opted: bool = False) -> asyncio.Task[Any]:
    """Return a task that waits for the promise."""
    return spawn(promise.wait(cancel_on_abandon=opted), name="waiter")


# --- wait ---


@pytest.mark.asyncio
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("end", ["value", ERROR, asyncio.CancelledError("why")], ids=repr)
async def test_it_ends_as_the_promise_does(when: Any, end: object) -> None:
    """With a time limit and without."""
    assert repr(await outcome(settled(when, end).wait())) == repr(end)
    assert repr(await outcome(settled(when, end).wait(60))) == repr(end)


def test_it_gives_up_when_the_time_is_over() -> None:
    """Not before; the promise lives on, and keeps nothing of the waiter."""
    clock = ManualClock()

    async def main() -> None:
        promise = pending()
        waiter = spawn(promise.wait(5), name="waiter")
        await turns()
        clock.advance(4.9)
        await turns()
        assert not waiter.done()
        clock.advance(0.2)
        with pytest.raises(TimeoutError, match="no value after 5 s"):
            await waiter
        assert (promise.state, len(promise._callbacks or ())) == ("pending", 0)
        promise.set_result("value")
        assert await promise.wait(5) == "value"

    with asyncio.Runner(loop_factory=lambda: clock_loop(clock)) as runner:
        runner.run(main())


@pytest.mark.asyncio
async def test_no_time_at_all() -> None:
    """A settled promise gives its value; for a pending one the loop turns once."""
    assert await settled("before", 1).wait(0) == 1
    with pytest.raises(TimeoutError):
        await pending().wait(0)


@pytest.mark.asyncio
async def test_a_time_limit_that_makes_no_sense_is_refused() -> None:
    """Whether or not the promise is settled."""
    for wrong in (-1, float("nan")):
        for promise in (pending(), settled("before", 1)):
            with pytest.raises(ValueError, match="timeout must be 0 or more seconds"):
                await promise.wait(timeout=wrong)


@pytest.mark.asyncio
async def test_a_timeout_of_the_command_is_not_the_waiters() -> None:
    """The promise's own TimeoutError comes through as it is."""
    error = TimeoutError("the command's")
    assert await outcome(settled("after", error).wait(60)) is error


@pytest.mark.asyncio
async def test_a_cancelled_waiter_leaves_the_promise_alive() -> None:
    """And no timer behind."""
    promise = pending()
    waiter = spawn(promise.wait(1_000), name="waiter")
    await turns()
    await leave(waiter)
    assert (promise.state, len(promise._callbacks or ())) == ("pending", 0)


@pytest.mark.asyncio
async def test_a_promise_of_another_loop(loop: asyncio.AbstractEventLoop) -> None:
    """It is waited for, or given up, from here; on a loop that does not run it is an error."""
    promise: Promise[int] = Promise(loop=loop)
    with pytest.raises(TimeoutError):
        await promise.wait(0)
    loop.call_soon_threadsafe(promise.set_result, 1)
    assert await promise.wait(60) == 1
    still = asyncio.new_event_loop()
    with pytest.raises(WrongLoopError, match="does not run"):
        await Promise[int](loop=still).wait()
    still.close()


@pytest.mark.asyncio
async def test_the_last_of_a_hundred_waiters_gets_the_value() -> None:
    """The others were cancelled or timed out, at random moments."""
    promise, dice = pending(), random.Random(5)
    waiters = [
        spawn(promise.wait(0 if dice.random() < 0.5 else None), name="waiter") for _ in range(99)
    ]
    last = spawn(promise.wait(), name="last")
    dice.shuffle(waiters)
    for waiter in waiters:
        await turns(dice.randrange(3))
        waiter.cancel()
    await asyncio.wait(waiters)
    assert promise.state == "pending"
    assert len(promise._callbacks) == 1
    promise.set_result("history")
    assert await last == "history"


# --- cancel_on_abandon ---


@pytest.mark.asyncio
async def test_the_last_waiter_that_leaves_cancels() -> None:
    """Not the one before, and whoever has asked for it."""
    promise = pending()
    first, second = waiting(promise, opted=True), waiting(promise)
    await turns()
    await leave(first)
    assert promise.state == "pending"
    await leave(second)
    assert repr(await outcome(promise)) == "CancelledError('nobody waits for it any more')"


@pytest.mark.asyncio
async def test_a_timeout_is_a_leaving() -> None:
    """The waiter gets the TimeoutError, the promise is cancelled."""
    promise = pending()
    with pytest.raises(TimeoutError):
        await promise.wait(0, cancel_on_abandon=True)
    assert promise.cancelled()


@pytest.mark.asyncio
async def test_every_way_to_leave_counts() -> None:
    """A cancelled await, wait, shield, or wait from another thread."""

    async def plain(promise: Promise[Any]) -> object:
        return await promise

    async def by_wait(promise: Promise[Any]) -> object:
        return await asyncio.wait([promise])

    async def by_shield(promise: Promise[Any]) -> object:
        return await asyncio.shield(promise)

    async def in_a_timeout(promise: Promise[Any]) -> object:
        async with asyncio.timeout(1_000):
            return await promise

    ways: list[Callable[[Promise[Any]], Any]] = [plain, by_wait, by_shield, in_a_timeout]
    for way in ways:
        promise = pending()
        other = waiting(promise, opted=True)
        waiter = spawn(way(promise), name="waiter")
        await turns()
        await leave(other)
        assert promise.state == "pending"
        await leave(waiter)
        await turns()
        assert promise.cancelled()


@pytest.mark.asyncio
async def test_a_waiter_of_another_loop_that_leaves_counts(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """The promise is cancelled on its own loop."""
    promise: Promise[int] = Promise(loop=loop)
    with pytest.raises(TimeoutError):
        await promise.wait(0, cancel_on_abandon=True)
    assert isinstance(await outcome(promise), asyncio.CancelledError)


@pytest.mark.asyncio
async def test_a_handler_is_a_waiter() -> None:
    """A chain on it wants the value."""
    promise = pending()
    derived = promise.then(str)
    waiter = waiting(promise, opted=True)
    await turns()
    await leave(waiter)
    promise.set_result(1)
    assert await derived == "1"


@pytest.mark.asyncio
async def test_a_combinator_that_settles_early_cancels_nothing() -> None:
    """Not even what was to be cancelled when nobody waits."""
    promise = pending()
    waiter = waiting(promise, opted=True)
    assert await Promise.race([promise, settled("before", 1)]) == 1
    await turns()
    assert promise.state == "pending"
    await leave(waiter)
    assert promise.cancelled()


@pytest.mark.asyncio
async def test_what_makes_a_promise_is_no_waiter_of_it() -> None:
    """A timer, a combinator and a log of reports have callbacks of their own in it."""
    watched: WatchedPromise[int] = WatchedPromise(loop=asyncio.get_running_loop())
    source = pending()
    for promise in (Promise.delay(1_000), Promise.race([source]), watched):
        with pytest.raises(TimeoutError):
            await promise.wait(0, cancel_on_abandon=True)
        assert promise.cancelled()
    assert source.state == "pending"


@pytest.mark.asyncio
async def test_a_settled_promise_is_not_cancelled() -> None:
    """Its waiters leave with the value."""
    promise = pending()
    waiter = waiting(promise, opted=True)
    await turns()
    promise.set_result(1)
    await leave(waiter)
    assert await promise == 1


@pytest.mark.asyncio
async def test_a_command_that_nobody_waits_for_is_taken_back() -> None:
    """A promise that is watched, too: its readers are no waiters."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        for factory in (Promise, WatchedPromise):
            promise = bridge.send("1", promise_factory=factory)
            with pytest.raises(TimeoutError):
                await promise.wait(0, cancel_on_abandon=True)
            await bridge.info()  # its cancel has come there
            worker.run_all()
            assert isinstance(await outcome(promise), asyncio.CancelledError)


# --- what asyncio's own functions do, as the documents say ---


@pytest.mark.asyncio
async def test_a_cancelled_gather_cancels_the_promise() -> None:
    """It cancels what it gathers; a shielded promise it leaves alone."""
    promise, shielded = pending(), pending()
    gathered = asyncio.gather(promise, asyncio.shield(shielded))
    gathered.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await gathered
    assert (promise.state, shielded.state) == ("cancelled", "pending")


@pytest.mark.asyncio
async def test_wait_for_leaves_the_promise_alive_since_3_12() -> None:
    """Before, it cancels what it waits for, by its own call of cancel()."""
    promise = pending()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(promise, 0.001)
    assert promise.cancelled() is (sys.version_info < (3, 12))


@pytest.mark.asyncio
async def test_wait_is_an_awaitable_for_asyncio() -> None:
    """In a TaskGroup, in gather."""
    ways: list[Awaitable[Any]] = [asyncio.gather(settled("after", 1).wait())]
    assert [await way for way in ways] == [[1]]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(settled("after", 1).wait())
    assert task.result() == 1

"""Awaiting on the promise's own loop, by ``await`` and by asyncio's functions."""

from __future__ import annotations

import asyncio
import contextlib
import types
from collections.abc import Callable, Generator
from typing import Any

import pytest

from asyncbridge.promise import Promise
from asyncbridge.tasks import spawn
from tests.promise.conftest import (
    ERROR,
    CustomAwaitable,
    add_one,
    bare,
    outcome,
    pending,
    settled,
    turns,
)

pytestmark = pytest.mark.usefixtures("in_both_modes")


@types.coroutine
def yield_from(promise: Promise[Any]) -> Generator[Any, None, Any]:
    """Wait for it the way that predates await."""
    return (yield from promise)


@pytest.mark.asyncio
async def test_a_cancelled_waiter_leaves_the_promise_alive() -> None:
    """The waiter alone is cancelled, with its message, and no callback stays behind."""
    promise = pending()

    async def wait() -> object:
        return await promise

    cancelled, other = spawn(wait(), name="waiter"), spawn(wait(), name="waiter")
    await turns(1)
    assert repr(promise) in repr(cancelled)
    assert cancelled.cancel("not me")
    assert cancelled.cancel("again")
    assert repr(await outcome(cancelled)) == "CancelledError('not me')"
    assert len(promise._callbacks) == 1
    promise.set_result("value")
    assert await other == "value"


@pytest.mark.asyncio
async def test_a_waiter_cancelled_after_the_promise_settled() -> None:
    """It is cancelled all the same, as when it waits on a Future."""
    promise = pending()

    async def wait() -> None:
        await promise

    waiter = spawn(wait(), name="waiter")
    await turns(1)
    promise.set_result(1)
    waiter.cancel()
    assert isinstance(await outcome(waiter), asyncio.CancelledError)


@pytest.mark.asyncio
async def test_a_waiter_may_survive_its_cancellation() -> None:
    """A waiter that catches the cancellation can await the promise again."""
    promise = pending()

    async def wait() -> object:
        with contextlib.suppress(asyncio.CancelledError):
            await promise
        return await promise

    waiter = spawn(wait(), name="waiter")
    await turns(1)
    waiter.cancel()
    await turns(2)
    promise.set_result("value")
    assert await waiter == "value"


@pytest.mark.asyncio
async def test_a_bare_promise_is_awaited_as_a_future() -> None:
    """One that code constructs itself goes with its waiter, as what create_future() makes does."""
    promise = bare()

    async def wait() -> None:
        await promise

    waiter = spawn(wait(), name="waiter")
    await turns(1)
    waiter.cancel("both")
    assert repr(await outcome(waiter)) == "CancelledError('both')"
    assert repr(await outcome(promise)) == "CancelledError('both')"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "derive",
    [
        Promise.then,
        lambda promise: promise.catch(str),
        lambda promise: promise.finally_(list),
        lambda promise: Promise.resolve(CustomAwaitable(promise)),
        lambda promise: Promise[Any].with_resolvers().promise,
    ],
    ids=["then", "catch", "finally_", "resolve", "with_resolvers"],
)
async def test_every_promise_that_is_made_for_work_outlives_its_waiters(
    derive: Callable[[Promise[Any]], Promise[Any]],
) -> None:
    """A timeout ends none of them, whatever they are made from."""
    promise = derive(bare())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await promise
    assert promise.state == "pending"


@pytest.mark.asyncio
async def test_a_timeout_leaves_the_promise_alive() -> None:
    """asyncio.timeout ends the wait, not the promise."""
    promise = pending()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await promise
    assert promise.state == "pending"
    promise.set_result("value")
    async with asyncio.timeout(0):
        assert await promise == "value"


@pytest.mark.asyncio
@pytest.mark.parametrize("value", ["value", ERROR, asyncio.CancelledError("why")], ids=repr)
async def test_asyncio_treats_it_as_a_future(value: object) -> None:
    """gather, wait, shield, as_completed, wait_for, ensure_future and TaskGroup work."""

    def promise() -> Promise[Any]:
        return settled("after", value)

    async def in_a_group() -> object:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(outcome(promise()))
        return task.result()

    async def by_wait() -> object:
        done, _ = await asyncio.wait([promise()])
        return done.pop().result()

    async def by_yield_from() -> object:
        return await yield_from(promise())

    kept = promise()
    assert asyncio.ensure_future(kept) is kept  # noqa: TID251 - this is what is tested
    for way in (
        kept,
        asyncio.gather(promise()),
        asyncio.shield(promise()),
        next(asyncio.as_completed([promise()])),
        asyncio.wait_for(promise(), 60),
        in_a_group(),
        by_wait(),
        by_yield_from(),
    ):
        got = await outcome(way)
        if isinstance(value, asyncio.CancelledError):  # gather and shield drop its message
            assert isinstance(got, asyncio.CancelledError)
        else:
            assert got in (value, [value])


def test_run_until_complete_takes_a_promise() -> None:
    """A loop runs until the promise is settled, and chains may be built before it runs."""
    loop = asyncio.new_event_loop()
    promise: Promise[int] = Promise(loop=loop)
    derived = promise.then(add_one)
    loop.call_soon(promise.set_result, 1)
    assert loop.run_until_complete(derived) == 2
    loop.close()
    assert promise.state == "fulfilled"

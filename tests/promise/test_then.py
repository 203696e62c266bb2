"""Chaining: the context of handlers, cancellation, errors that asyncio treats apart."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncbridge.promise import Promise
from tests.promise.conftest import current, never, outcome, pending, raiser, settled


@pytest.mark.asyncio
async def test_handlers_run_in_the_context_of_the_then_call() -> None:
    """Plain and coroutine handlers see the context variables as then() saw them."""

    async def handler(_: object) -> str:
        return current.get()

    seen: list[str] = []
    for promise in (settled("after"), settled("before")):
        current.set("at then")
        plain, coroutine = promise.then(lambda _: current.get()), promise.then(handler)
        last = promise.finally_(lambda: seen.append(current.get()))
        current.set("later")
        assert [await plain, await coroutine] == ["at then", "at then"]
        await last
    assert seen == ["at then", "at then"]


@pytest.mark.asyncio
async def test_cancellation_travels_down_a_chain() -> None:
    """It skips then and catch, runs finally_, and keeps its message."""
    calls: list[str] = []
    promise = pending()
    last = promise.then(never, never).catch(BaseException, never)
    last = last.finally_(lambda: calls.append("finally")).then(never, never)
    promise.cancel("enough")
    assert repr(await outcome(last)) == "CancelledError('enough')"
    assert last.state == "cancelled"
    assert calls == ["finally"]


@pytest.mark.asyncio
async def test_cancellation_does_not_climb() -> None:
    """A cancelled derived promise leaves its source and its siblings alone."""
    promise = pending()
    cancelled, sibling = promise.then(never), promise.then(str)
    assert cancelled.cancel()
    promise.set_result(1)
    assert await sibling == "1"
    assert cancelled.cancelled()


@pytest.mark.asyncio
async def test_a_handler_that_raises_cancelled_error_cancels() -> None:
    """Cancellation is never a reason, whoever starts it."""
    promise = settled("after").then(raiser(asyncio.CancelledError("stop")))
    assert repr(await outcome(promise)) == "CancelledError('stop')"
    assert promise.cancelled()
    assert Promise[int].reject(asyncio.CancelledError()).cancelled()


@pytest.mark.asyncio
async def test_stop_iteration_becomes_runtime_error() -> None:
    """A Future refuses it, and awaiting would swallow it."""
    error = StopIteration(3)
    for promise in (settled("after").then(raiser(error)), Promise[int].reject(error)):
        got = await outcome(promise)
        assert type(got) is RuntimeError
        assert got.__cause__ is error


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_exits_reject_and_go_on_to_the_loop(kind: type[BaseException]) -> None:
    """The loop ends by what asks the program to end, as with a Task."""
    loop = asyncio.new_event_loop()
    promises: list[Promise[Any]] = [Promise(loop=loop) for _ in range(2)]
    derived = promises[0].then(raiser(kind("handler")))
    promises[1].transform(raiser(kind("block")))
    for promise, last in zip(promises, (derived, promises[1]), strict=True):
        loop.call_soon(promise.set_result, 1)
        with pytest.raises(kind):
            loop.run_forever()
        assert isinstance(last.exception(), kind)
    loop.close()

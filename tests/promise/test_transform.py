"""Transform blocks."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.promise.conftest import ERROR, never, outcome, pending, raiser, settle, settled, turns


@pytest.mark.asyncio
async def test_transform_blocks_run_in_order_before_anyone_sees_the_value() -> None:
    """Every way to settle applies them, and then every way to look sees the result."""
    for name in ("set_result", "_settle"):
        promise = pending()
        seen = promise.then(lambda value: value)
        assert promise.transform(lambda raw: raw["loss"]).transform(str) is promise
        getattr(promise, name)({"loss": 0.5})
        assert promise.result() == "0.5"
        assert await promise == await seen == "0.5"


@pytest.mark.asyncio
async def test_a_derived_promise_can_be_transformed() -> None:
    """The block gets what the handler's awaitable came to."""

    async def handler(value: int) -> int:
        return value + 1

    assert await settled("after", 1).then(handler).transform(str) == "2"


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [ERROR, StopIteration()], ids=repr)
async def test_a_block_that_raises_rejects(error: Exception) -> None:
    """The promise is rejected, and no later block runs."""
    promise = pending().transform(raiser(error)).transform(never)
    promise._settle("raw")
    got = await outcome(promise)
    assert got is error or got.__cause__ is error


@pytest.mark.asyncio
async def test_blocks_are_for_values_alone() -> None:
    """A rejection or a cancellation runs none."""
    for value in (ERROR, asyncio.CancelledError()):
        promise = pending().transform(never)
        settle(promise, value)
        assert isinstance(await outcome(promise), type(value))


@pytest.mark.asyncio
async def test_a_block_may_settle_the_promise_itself() -> None:
    """What a block does to the promise wins over what it returns."""
    promise = pending()
    promise.transform(lambda _: promise.cancel())
    promise.set_result(1)
    assert promise.cancelled()


@pytest.mark.asyncio
async def test_transform_takes_plain_functions() -> None:
    """A coroutine function is refused at once, a coroutine when a block returns one."""

    async def block(raw: object) -> object:
        return raw

    def disguised(raw: object) -> object:
        return block(raw)

    promise = pending()
    for wrong in (block, None, 5):
        with pytest.raises(TypeError, match="plain function"):
            promise.transform(wrong)  # type: ignore[arg-type] # pyright: ignore - what is tested
    promise.transform(disguised)
    promise.set_result(1)
    with pytest.raises(TypeError, match="returned a coroutine"):
        await promise


@pytest.mark.asyncio
async def test_a_settled_promise_cannot_be_transformed() -> None:
    """Someone may have seen the value: the call says to use then()."""
    with pytest.raises(asyncio.InvalidStateError, match=r"use then\(\)"):
        settled("before", 1).transform(str)


@pytest.mark.asyncio
async def test_a_settler_may_be_taken_before_the_block() -> None:
    """Whoever was given set_result earlier, such as a timer, settles by way of the blocks."""
    promise = pending()
    asyncio.get_running_loop().call_soon(promise.set_result, 1)
    assert await promise.transform(str) == "1"


@pytest.mark.asyncio
async def test_a_settler_keeps_the_promise() -> None:
    """Where nobody else holds it, its handlers run all the same."""
    promise, seen = pending(), list[str]()
    promise.transform(str).then(seen.append)
    asyncio.get_running_loop().call_soon(promise.set_result, 1)
    del promise
    gc.collect()
    await turns()
    assert seen == ["1"]

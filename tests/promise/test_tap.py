"""A look at a value that passes by."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import weakref
from typing import Any

import pytest

from tests.promise.conftest import (
    ERROR,
    When,
    current,
    never,
    outcome,
    pending,
    raiser,
    settled,
    turns,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("when", ["before", "after"])]


async def test_the_value_goes_on_whatever_the_handler_returns(when: When) -> None:
    """A value, or an awaitable, which is awaited first."""
    seen: list[object] = []
    inner = pending()

    async def handler(value: object) -> str:
        await inner
        seen.append(value)
        return "dropped"

    assert await settled(when, 1).tap(seen.append) == 1
    promise = settled(when, 2).tap(handler)
    await turns()
    assert not promise.done()
    inner.set_result(None)
    assert await promise == 2
    assert seen == [1, 2]


async def test_a_failing_handler_rejects(when: When) -> None:
    """Plain or a coroutine function."""

    async def fail(_: object) -> None:
        raise ERROR

    assert await outcome(settled(when, 1).tap(raiser(ERROR))) is ERROR
    assert await outcome(settled(when, 1).tap(fail)) is ERROR


async def test_errors_and_cancellations_pass_it_by(when: When) -> None:
    """The handler does not run."""
    assert await outcome(settled(when, ERROR).tap(never)) is ERROR
    cancelled = settled(when, asyncio.CancelledError("why")).tap(never)
    assert repr(await outcome(cancelled)) == "CancelledError('why')"
    assert cancelled.cancelled()


async def test_none_is_no_handler_and_other_things_are_refused(when: When) -> None:
    """As in ``then``."""
    promise = settled(when, 1)
    assert await promise.tap(None) == 1
    wrong: Any = 5
    with pytest.raises(TypeError, match="tap"):
        promise.tap(wrong)


async def test_a_promise_cancelled_before_runs_no_handler(when: When) -> None:
    """Nobody looks any more."""
    source = settled(when, 1)
    source.tap(never).cancel()
    await turns()
    assert source.result() == 1


async def test_it_runs_in_the_context_of_the_call(when: When) -> None:
    """And its repr names the handler."""
    seen: list[str] = []
    source = settled("after", 1) if when == "after" else pending()
    context = contextvars.copy_context()
    context.run(current.set, "at tap")
    promise = context.run(source.tap, lambda _: seen.append(current.get()))
    assert "tap(" in repr(source)
    if not source.done():
        source.get_loop().call_soon(source._settle, 1)
    assert await promise == 1
    assert seen == ["at tap"]


async def test_a_failed_tap_leaves_no_cycle(when: When) -> None:
    """The error's traceback does not keep the promises alive."""

    def fail(_: object) -> None:
        raise LookupError

    gc.disable()
    try:
        promise = settled(when, 1)
        derived = promise.tap(fail)
        refs = [weakref.ref(promise), weakref.ref(derived)]
        with contextlib.suppress(LookupError):
            await derived
        del promise, derived
        await turns()
        assert [ref() for ref in refs] == [None, None]
    finally:
        gc.enable()

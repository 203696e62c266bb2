"""Errors that nobody handled: logged once, and only those."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.promise.conftest import ERROR, never, pending, reports, settled, turns


@pytest.mark.asyncio
async def test_a_handled_rejection_is_not_logged() -> None:
    """A rejection with a then is handled; only the leaf that nobody handled is logged, once."""
    seen = reports()
    settled("after", ERROR).then(never).catch(str)
    await turns()
    gc.collect()
    assert seen == []
    settled("after", ERROR).then(never).finally_(list)
    await turns()
    gc.collect()
    assert [context["message"] for context in seen] == ["Promise exception was never retrieved"]
    assert seen[0]["exception"] is ERROR


@pytest.mark.asyncio
async def test_an_error_behind_a_cancelled_promise_is_logged() -> None:
    """Where the only consumer gave up, the error is not lost."""
    seen = reports()
    promise = pending()
    promise.then(never).cancel()
    promise.set_exception(ERROR)
    del promise
    await turns()
    gc.collect()
    assert [context["exception"] for context in seen] == [ERROR]


@pytest.mark.asyncio
async def test_a_coroutine_handler_outlives_its_cancelled_promise() -> None:
    """It runs to its end, and its failure is reported as nobody's."""
    seen = reports()
    gate = asyncio.Event()

    async def handler(_: object) -> None:
        await gate.wait()
        raise ERROR

    derived = settled("before").then(handler)
    await turns()
    derived.cancel()
    gate.set()
    await turns()
    assert [context["exception"] for context in seen] == [ERROR]


@pytest.mark.asyncio
async def test_the_state_does_not_count_as_handling() -> None:
    """A look at a rejected promise leaves its error unretrieved."""
    seen = reports()
    promise = settled("before", ERROR)
    assert promise.state == "rejected"
    del promise
    gc.collect()
    assert len(seen) == 1

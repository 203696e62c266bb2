"""Tracebacks of chained promises in asyncio's debug mode."""

from __future__ import annotations

import asyncio
import gc
import traceback
import weakref
from typing import Any

import pytest

from asyncbridge.promise import Promise
from tests.promise.conftest import pending, turns

pytestmark = pytest.mark.asyncio


def fail(_: object) -> None:
    """Fail, two frames deep."""
    deeper()


def deeper() -> None:
    """Raise."""
    raise LookupError("not there")


async def fail_later(_: object) -> None:
    """Fail after a turn of the loop."""
    await asyncio.sleep(0)
    deeper()


async def frames_of(promise: Promise[Any]) -> list[tuple[str, str | None]]:
    """Return the functions and lines of the traceback that awaiting it gives."""
    try:
        await promise
    except LookupError as error:
        entries = traceback.extract_tb(error.__traceback__)
        return [(entry.name, entry.line) for entry in entries]
    raise AssertionError("it should have failed")


@pytest.mark.parametrize("handler", [fail, fail_later])
async def test_it_shows_where_then_was_called_and_none_of_our_frames(handler: Any) -> None:
    """From the await, by way of the then, to the error."""
    promise = pending()
    chained = promise.then(handler)
    promise.set_result(1)
    assert await frames_of(chained) == [
        ("frames_of", "await promise"),
        ("test_it_shows_where_then_was_called_and_none_of_our_frames", "chained = promise.then(handler)"),
        (handler.__name__, "deeper()"),
        ("deeper", 'raise LookupError("not there")'),
    ]  # fmt: skip


async def test_an_error_that_passes_by_has_the_place_of_its_own_handler() -> None:
    """The links below add nothing."""
    promise = pending()
    chained = promise.then(fail).then(str).finally_(list)
    promise.set_result(1)
    names = [name for name, _ in await frames_of(chained)]
    here = test_an_error_that_passes_by_has_the_place_of_its_own_handler.__name__
    assert names == ["frames_of", here, "fail", "deeper"]


async def test_outside_debug_mode_nothing_is_noted() -> None:
    """It would cost every then a look at the stack, and every wait a future of its own."""
    asyncio.get_running_loop().set_debug(enabled=False)
    chained = Promise.resolve(1).then(fail)
    assert [name for name, _ in await frames_of(chained)] == ["frames_of", "wait", "fail", "deeper"]


async def test_a_traceback_keeps_no_promise_alive() -> None:
    """Its line for the place has no frame with variables behind it."""
    gc.disable()
    try:
        chained = Promise.resolve(1).then(fail)
        seen = weakref.ref(chained)
        await asyncio.wait([chained])
        error = chained.exception()
        del chained
        await turns()
        assert seen() is None
        assert isinstance(error, LookupError)
    finally:
        gc.enable()

"""Tracebacks of chained promises in asyncio's debug mode."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import traceback
import weakref
from functools import partial
from typing import Any

import pytest

from asyncbridge.promise import Promise
from tests.promise.conftest import add_one, outcome, pending, raiser, turns

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


@pytest.mark.parametrize("chain", ["tap", "finally_"])
async def test_handlers_that_run_beside_the_value_have_their_place(chain: str) -> None:
    """Though it is another promise that they settle."""
    promise = pending()
    chained = getattr(promise, chain)(fail_of_any)
    promise.set_result(1)
    here = test_handlers_that_run_beside_the_value_have_their_place.__name__
    assert [name for name, _ in await frames_of(chained)] == ["frames_of", here, "fail_of_any"]


@pytest.mark.parametrize("debug", [False, True])
async def test_an_error_that_cannot_be_changed_ends_its_promise(debug: bool) -> None:
    """As those of frozen dataclasses."""
    asyncio.get_running_loop().set_debug(debug)
    for method in ("then", "finally_", "tap"):
        chained = getattr(Promise.resolve(1), method)(raiser(Frozen(7)))
        assert await outcome(chained) == Frozen(7)
    promise = pending()
    caught = promise.catch(raiser(Frozen(8)))
    promise.set_exception(Frozen(7))
    assert await outcome(caught) == Frozen(8)


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """An error whose attributes cannot be set."""

    code: int


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


@pytest.mark.parametrize("chain", ["then", "catch", "finally_"])
async def test_an_error_in_a_handler_tells_which_one_it_was_handling(chain: str) -> None:
    """As an ``except`` and a ``finally`` have it; of plain and of coroutine functions."""
    for handler in (fail_of_any, fail_of_any_later):
        promise = pending()
        chained = (
            promise.then(None, handler) if chain == "then" else getattr(promise, chain)(handler)
        )
        first = OSError("the first")
        promise.set_exception(first)
        await asyncio.wait([chained])
        error = chained.exception()
        assert isinstance(error, LookupError)
        assert error.__context__ is first
        await turns()
        assert not promise._log_traceback


def fail_of_any(*_: object) -> None:
    """Fail, whatever is given."""
    raise LookupError


async def fail_of_any_later(*_: object) -> None:
    """Fail in the next turn."""
    await asyncio.sleep(0)
    raise LookupError


async def test_a_context_that_is_there_stays_and_none_leads_back() -> None:
    """An error that is raised again, or that the first one came from, has no context of its own."""
    cause = LookupError("the cause")
    first = OSError("the first")
    first.__cause__ = cause
    for raised in (first, cause):
        promise = pending()
        chained = promise.catch(raiser(raised))
        promise.set_exception(first)
        await asyncio.wait([chained])
        assert chained.exception() is raised
        assert raised.__context__ is None


def takes_nothing() -> None:
    """Do nothing."""


MISFITS: list[tuple[Any, str]] = [
    (takes_nothing, "1 argument"),
    (lambda a, b: None, "1 argument"),
    (partial(takes_nothing, 1), "2 arguments"),  # type: ignore[call-arg] # what is tested
]


@pytest.mark.parametrize(("handler", "given"), MISFITS)
async def test_a_function_that_does_not_fit_is_named(handler: Any, given: str) -> None:
    """Python's own text tells neither the file nor the line."""
    chained = Promise.resolve(1).then(handler)
    await asyncio.wait([chained])
    (note,) = chained.exception().__notes__  # type: ignore[union-attr]
    assert note.startswith(f"the handler of {__file__}:")
    assert note.endswith(f" is called with {given}")


async def test_a_finally_that_takes_an_argument_is_told_that_there_is_none() -> None:
    """Other type errors are left as they are, and so are those of C code."""
    needs_one: Any = add_one
    chained = Promise.resolve(1).finally_(needs_one)
    await asyncio.wait([chained])
    assert "is called with nothing" in chained.exception().__notes__[0]  # type: ignore[union-attr]
    others: list[Any] = [len, lambda value: value + ""]
    for handler in others:
        other = Promise.resolve(1).then(handler)
        await asyncio.wait([other])
        assert isinstance(other.exception(), TypeError)
        assert not hasattr(other.exception(), "__notes__")


async def test_a_promise_says_where_it_was_made() -> None:
    """In its repr and in asyncio's own reports: the user's line, not one of ours."""
    line = f"{__file__}:"
    made: list[Promise[Any]] = [
        pending().then(str),
        Promise.delay(0),
        Promise.all([]),
        Promise.resolve(1).tap(None),
    ]
    assert all(f"created at {line}" in repr(promise) for promise in made)
    await asyncio.wait(made[1:])

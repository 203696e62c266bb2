"""What a mistake with a promise gets: an error that says what was wrong, on every kind of it."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import pytest
import pytest_asyncio

from asyncbridge.errors import BridgeClosed, WrongLoopError
from asyncbridge.promise import Promise
from asyncbridge.promise.views import html_of
from asyncbridge.testing import FakeWorker
from tests.promise.conftest import (
    Handler,
    bare,
    give,
    never,
    outcome,
    pending,
    raiser,
    settled,
    turns,
)


class HostileError(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise LookupError("no text")

    __repr__ = __str__


class HostileStop(StopIteration):
    """Its twin, which a future refuses."""

    __str__ = __repr__ = HostileError.__str__


class Hostile:
    """A value that cannot be shown."""

    __repr__ = HostileError.__str__


@pytest_asyncio.fixture(params=["bare", "shared", "derived", "command"])
async def promise(request: pytest.FixtureRequest) -> AsyncIterator[Promise[Any]]:
    """Return a promise of each kind that is fulfilled by 1."""
    async with FakeWorker().connect() as bridge:
        promise = bare() if request.param == "bare" else pending()
        if request.param == "command":
            promise = bridge.send("1")
        else:
            promise.set_result(1)
        promise = promise.then() if request.param == "derived" else promise
        assert await promise == 1
        yield promise


# --- settling ---


@pytest.mark.asyncio
async def test_settling_twice(promise: Promise[Any]) -> None:
    """It raises as on any future, and changes nothing."""
    with pytest.raises(asyncio.InvalidStateError):
        promise.set_result(2)
    with pytest.raises(asyncio.InvalidStateError):
        promise.set_exception(ValueError())
    assert not promise.cancel()
    assert await promise == 1


@pytest.mark.asyncio
async def test_a_handler_that_returns_what_it_settles(promise: Promise[Any]) -> None:
    """The TypeError of rule 2.3.1, from a plain handler and a coroutine one."""
    derived: list[Promise[Any]] = []

    def plain(*_: object) -> Promise[Any]:
        return derived[0]

    async def coroutine(*_: object) -> Promise[Any]:
        return derived[0]

    handlers: list[Handler] = [plain, coroutine]
    for handler in handlers:
        derived[:] = [promise.then(handler)]
        with pytest.raises(TypeError, match="a promise cannot be resolved with itself"):
            await derived[0]


@pytest.mark.asyncio
async def test_a_coroutine_that_awaits_what_it_settles(promise: Promise[Any]) -> None:
    """It waits for ever, as in JavaScript, and as a time limit or a cancellation ends."""

    async def coroutine(_: object) -> object:
        return await derived.wait(0)

    derived: Promise[Any] = promise.then(coroutine)
    with pytest.raises(TimeoutError):
        await derived

    async def stuck(_: object) -> object:
        return await last

    last: Promise[Any] = promise.then(stuck)
    await turns()
    assert last.state == "pending"
    assert last.cancel()
    assert isinstance(await outcome(last), asyncio.CancelledError)


@pytest.mark.asyncio
async def test_a_reason_that_is_no_exception() -> None:
    """It is refused where it is given, and the promise can still be settled."""
    wrongs: list[Any] = ["text", None, int, Hostile()]
    promise, resolve, reject = Promise[int].with_resolvers()
    for wrong in wrongs:
        for refuse in (Promise.reject, reject):
            with pytest.raises(TypeError, match="a promise is rejected with an exception, not "):
                refuse(wrong)
    with pytest.raises(TypeError, match="takes exactly 5 arguments"):
        reject(UnicodeDecodeError)  # type: ignore[arg-type] # pyright: ignore - its class takes arguments
    resolve(1)
    assert await promise == 1


# --- handlers ---


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "wrong", [5, "text", False, Hostile()], ids=lambda wrong: type(wrong).__name__
)
async def test_what_cannot_be_called(promise: Promise[Any], wrong: Any) -> None:
    """It is refused at once, by the name of the method; whatever its repr does."""
    calls: dict[str, Callable[[], object]] = {
        "then": lambda: promise.then(wrong),
        "catch": lambda: promise.catch(ValueError, wrong),
        "finally_": lambda: promise.finally_(wrong),
        "tap": lambda: promise.tap(wrong),
    }
    for name, call in calls.items():
        with pytest.raises(TypeError, match=rf"{name}\(\) takes functions or None, not "):
            call()
    with pytest.raises(TypeError, match="exception types before the handler, not "):
        promise.catch(wrong, never)
    with pytest.raises(TypeError, match="takes a plain function, not "):
        promise.transform(wrong)


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [HostileError(), HostileStop()], ids=["error", "stop"])
async def test_a_handler_that_raises_what_cannot_be_shown(
    promise: Promise[Any], error: Exception
) -> None:
    """The error comes through, and its handler gets it; a StopIteration as a cause."""

    async def coroutine(_: object) -> NoReturn:
        raise error

    handlers: list[Handler] = [raiser(error), coroutine]
    for handler in handlers:
        got = await promise.then(handler).catch(give_back)
        assert error in (got, got.__cause__)


def give_back(error: BaseException) -> BaseException:
    """Handle an error by its being a value."""
    return error


@pytest.mark.asyncio
async def test_a_handler_that_cancels(promise: Promise[Any]) -> None:
    """By raising, its promise or its own task: the derived promise is cancelled, with its text."""
    derived: list[Promise[Any]] = []

    def raises(_: object) -> NoReturn:
        raise asyncio.CancelledError("why")

    async def raises_later(_: object) -> NoReturn:
        raise asyncio.CancelledError("why")

    def cancels(_: object) -> int:
        derived[0].cancel("why")
        return 2

    async def cancels_later(_: object) -> int:
        return cancels(_)

    async def cancels_its_task(_: object) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel("why")
        await asyncio.sleep(0)

    handlers: list[Handler] = [raises, raises_later, cancels, cancels_later, cancels_its_task]
    for handler in handlers:
        derived[:] = [promise.then(handler)]
        assert repr(await outcome(derived[0])) == "CancelledError('why')"
        assert derived[0].cancelled()
    assert promise.state == "fulfilled"


# --- waiting ---


@pytest.mark.asyncio
async def test_a_truth_value(promise: Promise[Any]) -> None:
    """It is refused, with what to write instead."""
    with pytest.raises(TypeError, match="Write `if await promise:`"):
        assert promise


@pytest.mark.asyncio
async def test_blocking_the_loop(promise: Promise[Any]) -> None:
    """It is refused at once, though the value is there, with what to write instead."""
    with pytest.raises(WrongLoopError, match="use `await`"):
        promise.wait_for_value()


WRONG_TIMES = [
    (-1, ValueError, "0 or more seconds, not -1"),
    (float("nan"), ValueError, "0 or more seconds, not nan"),
    ("1", TypeError, "is a number of seconds, not '1'"),
    (True, TypeError, "is a number of seconds, not True"),
    (Hostile(), TypeError, "is a number of seconds, not <Hostile instance"),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("wrong", "error", "text"), WRONG_TIMES)
async def test_what_is_no_time_limit(
    promise: Promise[Any], wrong: Any, error: type[Exception], text: str
) -> None:
    """It is refused, though the value is there."""
    with pytest.raises(error, match=f"timeout .*{text}"):
        await promise.wait(wrong)
    with pytest.raises(error, match=f"timeout .*{text}"):
        promise.wait_for_value(wrong)
    with pytest.raises(error, match=f"the delay .*{text}"):
        Promise.delay(wrong)


# --- after the end of its loop, or of its bridge ---


def orphan(kind: str) -> Promise[Any]:
    """Return a promise of a loop that is closed."""

    async def main() -> Promise[Any]:
        async with FakeWorker().connect() as bridge:
            if kind == "command":
                promise = bridge.send("1")
                await promise
                return promise
        if kind == "settled":
            return settled("before", 1)
        return bare() if kind == "bare" else pending()

    return asyncio.run(main())


@pytest.mark.parametrize("kind", ["bare", "shared", "settled", "command"])
def test_a_promise_whose_loop_is_closed(kind: str) -> None:
    """Chaining is refused, for no handler would run; an end that is there can still be read."""
    promise = orphan(kind)
    chains: list[Callable[[Callable[..., Any]], object]] = [
        promise.then, promise.catch, promise.tap, promise.finally_,
    ]  # fmt: skip
    for chain in chains:
        with pytest.raises(WrongLoopError, match="is closed, so no handler would ever run"):
            chain(never)
    if promise.done():
        assert (promise.wait_for_value(), promise.wait_for_value(0), promise.result()) == (1, 1, 1)
        assert asyncio.run(outcome(promise)) == 1
        assert asyncio.run(promise.wait(0)) == 1
        with pytest.raises(RuntimeError, match="closed"):
            promise.add_done_callback(never)
        assert not promise.cancel()


@pytest.mark.parametrize("kind", ["bare", "shared"])
def test_a_pending_promise_whose_loop_is_closed(kind: str) -> None:
    """To wait for it is refused, for nothing would settle it; to cancel it works."""
    promise = orphan(kind)
    for timeout in (None, 0, 60):
        with pytest.raises(RuntimeError, match="the event loop is closed: nothing would ever end"):
            promise.wait_for_value(timeout)
    with pytest.raises(WrongLoopError, match="belongs to an event loop that does not run"):
        asyncio.run(promise.wait())
    assert isinstance(asyncio.run(outcome(promise)), RuntimeError)
    unheard = orphan(kind)
    assert unheard.cancel()
    assert unheard.cancelled()


@pytest.mark.asyncio
async def test_a_promise_whose_bridge_is_closed() -> None:
    """Handlers run as on any other, on the loop, which is open; one that had no end is rejected."""
    async with FakeWorker().connect() as bridge:
        fulfilled = bridge.send("1")
        await fulfilled
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        rejected = bridge.send("1")
        await bridge.close(timeout=0)
    assert await fulfilled.then(str) == "1"
    with pytest.raises(BridgeClosed):
        await rejected.then(never)
    assert await rejected.catch(BridgeClosed, give("closed")) == "closed"
    assert not rejected.cancel()


# --- an exception that cannot be shown, as a reason ---


@pytest.mark.asyncio
async def test_a_hostile_exception_as_a_reason() -> None:
    """It is raised, alone and in a group; the views and the repr tell its type."""
    error = HostileError()
    promise = settled("before", error)
    assert repr(promise) == "<Promise finished exception=<HostileError, whose repr fails>>"
    assert "<pre>HostileError</pre>" in html_of(promise)
    with pytest.raises(asyncio.InvalidStateError, match="whose repr fails"):
        promise.transform(str)
    waits: list[Awaitable[Any]] = [
        promise,
        promise.wait(60),
        promise.then(never),
        Promise.all([promise]),
    ]
    for wait in waits:
        assert await outcome(wait) is error
    group = await outcome(Promise.any([promise]))
    assert group.exceptions == (error,)
    assert str(group) == "none of 1 gave a value (1 sub-exception)"


@pytest.mark.asyncio
async def test_a_hostile_exception_that_nobody_took(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, once and by its type, as any other."""
    caplog.set_level(logging.ERROR, logger="asyncio")
    settled("before", HostileError())
    gc.collect()
    assert [record.message.partition("\n")[0] for record in caplog.records] == [
        "Promise exception was never retrieved"
    ]
    assert "HostileError, whose repr fails" in caplog.records[0].message

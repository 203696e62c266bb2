"""Where ``Promise`` leaves Promises/A+ 1.1, because asyncio or Python ask for it: each by rule."""

from __future__ import annotations

import asyncio
import types
from typing import Any, NoReturn

import pytest

from asyncbridge.promise import Promise
from tests.promise.aplus import CASES, Case, Kind, Rules, Scenario, When, play
from tests.promise.conftest import ERROR, Token, give, never, outcome, pending, raiser

DEVIATIONS = Rules()


@DEVIATIONS.shown_by("2.1")
async def cancelled_is_a_third_state(case: Case) -> None:
    """A promise may end as cancelled, and changes no more."""
    promise = case.settled(asyncio.CancelledError("why"))
    assert repr(await outcome(promise)) == "CancelledError('why')"
    assert promise.state == "cancelled"
    with pytest.raises(asyncio.InvalidStateError):
        promise.set_result(1)
    assert not promise.cancel()


@DEVIATIONS.shown_by("2.1", "2.2.7.3", "2.2.7.4")
async def cancellation_skips_handlers(case: Case) -> None:
    """It runs neither handler of a chain, only finally_, and cancels what was derived."""
    calls: list[str] = []
    promise = case.settled(asyncio.CancelledError("why"))
    last = promise.then(never, never).catch(BaseException, never)
    last = last.finally_(case.handler(lambda: calls.append("finally"))).then(never, never)
    assert repr(await outcome(last)) == "CancelledError('why')"
    assert last.state == "cancelled"
    assert calls == ["finally"]


@DEVIATIONS.shown_by("2.1.2.1", "2.1.3.1")
async def settling_twice_raises(case: Case) -> None:
    """It is an error, as with any future; only the functions of with_resolvers ignore it."""
    for value in (1, ERROR):
        promise = case.settled(value)
        await outcome(promise)
        with pytest.raises(asyncio.InvalidStateError):
            promise.set_result(2)
        with pytest.raises(asyncio.InvalidStateError):
            promise.set_exception(OSError())


@DEVIATIONS.shown_by("2.1.3.2")
async def reasons_are_exceptions(case: Case) -> None:
    """Nothing else can be raised, so nothing else can reject."""
    reason: Any = "a text is no reason"
    promise = case.settled(1).then(case.handler(lambda _: Promise[Any].reject(reason)))
    assert isinstance(await outcome(promise), TypeError)
    with pytest.raises(TypeError):
        pending().set_exception(reason)
    assert await case.settled(1).then(case.handler(give(ERROR))) is ERROR  # a value, if returned


@DEVIATIONS.shown_by("2.2.1", "2.2.1.1", "2.2.1.2")
async def a_handler_that_is_not_callable_raises(case: Case) -> None:
    """It is a mistake, so it is not ignored; None is."""
    promise = case.settled()
    wrongs: list[Any] = [5, "text", [], False]
    for wrong in wrongs:
        with pytest.raises(TypeError, match=r"then\(\) takes functions or None"):
            promise.then(wrong)
        with pytest.raises(TypeError, match=r"then\(\) takes functions or None"):
            promise.then(None, wrong)


@DEVIATIONS.shown_by("2.2.7.2")
async def stop_iteration_becomes_a_runtime_error(case: Case) -> None:
    """A future refuses it as a reason, for awaiting would swallow it: it is the cause."""
    error = StopIteration(3)
    got = await outcome(case.settled().then(case.handler(raiser(error))))
    assert type(got) is RuntimeError
    assert got.__cause__ is error


@DEVIATIONS.shown_by("2.2.7.2")
async def a_raised_cancellation_cancels(case: Case) -> None:
    """A handler that cancels itself cancels its promise: cancellation is never a reason."""
    handler = case.handler(raiser(asyncio.CancelledError("mine")))
    derived = case.settled().then(handler)
    assert repr(await outcome(derived)) == "CancelledError('mine')"
    assert derived.cancelled()


@DEVIATIONS.shown_by("2.3.3", "2.3.3.1", "2.3.3.2", "2.3.3.3")
async def a_then_attribute_means_nothing(case: Case) -> None:
    """An object with a then is a plain value, and nobody as much as looks at it."""

    class Thenable:
        @property
        def then(self) -> NoReturn:
            pytest.fail("then was looked at")

    for thenable in (Thenable(), types.SimpleNamespace(then=never)):
        assert await case.settled().then(case.handler(give(thenable))) is thenable
        assert await Promise.resolve(thenable) is thenable


@DEVIATIONS.shown_by("2.3.2")
async def resolve_returns_a_promise_as_it_is(case: Case) -> None:
    """Promise.resolve makes no other promise of a promise, as in JavaScript."""
    token = Token()
    promise = case.settled(token)
    assert Promise.resolve(promise) is promise
    assert await promise is token


@pytest.mark.asyncio
@pytest.mark.parametrize(("when", "kind"), CASES)
@pytest.mark.parametrize("scenario", DEVIATIONS.parameters())
async def test_deviations(scenario: Scenario, when: When, kind: Kind) -> None:
    """The deviation is what is documented, however the promise settles."""
    await play(scenario, when, kind)


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
@pytest.mark.parametrize("error", [KeyboardInterrupt("handler"), SystemExit("handler")], ids=repr)
def test_2_2_7_2_exits_go_on_to_the_loop(kind: Kind, error: BaseException) -> None:
    """What ends the program rejects the derived promise, and ends the loop as well."""
    loop = asyncio.new_event_loop()
    promise, resolve, _ = Promise[int].with_resolvers(loop=loop)
    derived = promise.then(Case(when="already", kind=kind).handler(raiser(error)))
    resolve(1)
    with pytest.raises(type(error)):
        loop.run_until_complete(derived)
    loop.run_until_complete(asyncio.sleep(0))
    assert derived.exception() is error
    loop.close()

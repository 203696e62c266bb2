"""The rules of Promises/A+ 1.1 on states and on ``then``: sections 2.1 and 2.2, by number."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from asyncbridge.promise import Promise
from tests.promise.aplus import CASES, Case, Kind, Rules, Scenario, When, play
from tests.promise.conftest import (
    ERROR,
    Token,
    add_one,
    give,
    never,
    outcome,
    pending,
    raiser,
    settle,
    turns,
)

RULES = Rules()


def note(calls: list[object], name: str, _: object) -> None:
    """Stand for a handler with an effect."""
    calls.append(name)


# --- 2.1: states -----------------------------------------------------------------------------


@RULES.shown_by("2.1.1", "2.1.1.1")
async def pending_may_move_to_either(case: Case) -> None:
    """A pending promise has no result yet, and may become fulfilled or rejected."""
    for value, state in ((1, "fulfilled"), (ERROR, "rejected")):
        promise = pending()
        assert promise.state == "pending"
        case.settle(promise, value)
        assert await outcome(promise) is value
        assert promise.state == state


@RULES.shown_by("2.1.2", "2.1.2.1", "2.1.2.2")
async def fulfilled_stays(case: Case) -> None:
    """A fulfilled promise changes neither its state nor its value."""
    token = Token()
    promise = case.settled(token)
    await promise
    for value in ("x", ERROR):
        with pytest.raises(asyncio.InvalidStateError):
            settle(promise, value)
    assert not promise.cancel()
    assert promise.state == "fulfilled"
    assert await promise.then(case.handler(give(promise))) is token


@RULES.shown_by("2.1.3", "2.1.3.1", "2.1.3.2")
async def rejected_stays(case: Case) -> None:
    """A rejected promise changes neither its state nor its reason."""
    promise = case.settled(ERROR)
    await outcome(promise)
    for value in ("x", OSError()):
        with pytest.raises(asyncio.InvalidStateError):
            settle(promise, value)
    assert not promise.cancel()
    assert promise.state == "rejected"
    assert await promise.then(never, case.handler(lambda error: error)) is ERROR


# --- 2.2: then -------------------------------------------------------------------------------


@RULES.shown_by("2.2.1", "2.2.1.1", "2.2.1.2")
async def both_arguments_are_optional(case: Case) -> None:
    """None, or nothing, stands for no handler."""
    assert await case.settled(1).then() == await case.settled(1).then(None, None) == 1
    assert await case.settled(1).then(None, never) == 1
    assert await case.settled(1).then(case.handler(add_one), None) == 2
    assert await outcome(case.settled(ERROR).then(never, None)) is ERROR
    assert await case.settled(ERROR).then(None, case.handler(str)) == "reason"


@RULES.shown_by("2.2.2", "2.2.2.1")
async def on_fulfilled_gets_the_value(case: Case) -> None:
    """on_fulfilled runs after fulfilment with the value as its one argument."""
    token = Token()
    calls: list[tuple[Any, ...]] = []
    await case.settled(token).then(case.handler(lambda *args: calls.append(args)), never)
    assert calls == [(token,)]


@RULES.shown_by("2.2.2.2")
async def on_fulfilled_waits(case: Case) -> None:
    """on_fulfilled does not run before the promise is fulfilled."""
    calls: list[object] = []
    promise = pending()
    promise.then(case.handler(calls.append))
    await turns()
    assert calls == []
    case.settle(promise, 1)
    await promise
    await turns()
    assert calls == [1]


@RULES.shown_by("2.2.2.3")
async def on_fulfilled_runs_once(case: Case) -> None:
    """A second attempt to settle does not run on_fulfilled again."""
    calls: list[object] = []
    promise, resolve, reject = Promise[int].with_resolvers()
    case.settle(promise, 1)
    for _ in range(2):
        promise.then(case.handler(calls.append))
    await promise
    resolve(2)
    reject(ERROR)
    promise._settle(3)
    await turns()
    assert calls == [1, 1]


@RULES.shown_by("2.2.3", "2.2.3.1")
async def on_rejected_gets_the_reason(case: Case) -> None:
    """on_rejected runs after rejection with the reason as its one argument."""
    calls: list[tuple[Any, ...]] = []
    await case.settled(ERROR).then(never, case.handler(lambda *args: calls.append(args)))
    assert calls == [(ERROR,)]


@RULES.shown_by("2.2.3.2")
async def on_rejected_waits(case: Case) -> None:
    """on_rejected does not run before the promise is rejected, nor on fulfilment."""
    calls: list[object] = []
    promise = pending()
    promise.then(None, case.handler(calls.append))
    case.settled(1).then(None, never)
    await turns()
    assert calls == []
    case.settle(promise, ERROR)
    await outcome(promise)
    await turns()
    assert calls == [ERROR]


@RULES.shown_by("2.2.3.3")
async def on_rejected_runs_once(case: Case) -> None:
    """A second attempt to settle does not run on_rejected again."""
    calls: list[object] = []
    promise, resolve, reject = Promise[Any].with_resolvers()
    case.settle(promise, ERROR)
    promise.then(None, case.handler(calls.append))
    await outcome(promise)
    reject(OSError())
    resolve(1)
    await turns()
    assert calls == [ERROR]


@RULES.shown_by("2.2.4")
async def handlers_never_run_synchronously(case: Case) -> None:
    """Neither then() nor the settling runs a handler: only the loop does."""
    calls: list[object] = []
    for value in (1, ERROR):
        promise = pending()
        if case.when != "already":
            promise.then(case.handler(calls.append), case.handler(calls.append))
        settle(promise, value)
        if case.when == "already":
            promise.then(case.handler(calls.append), case.handler(calls.append))
        promise.finally_(lambda: calls.append("finally")).then(None, str)
        assert calls == []
        await turns()
        assert sorted(calls, key=str) == sorted([value, "finally"], key=str)
        calls.clear()


@RULES.shown_by("2.2.4")
async def a_handler_runs_no_other_synchronously(case: Case) -> None:
    """What a handler chains, even on a settled promise, runs after the handler has returned."""
    calls: list[object] = []
    promise = case.settled("inner")

    def outer(value: object) -> None:
        promise.then(case.handler(calls.append))
        calls.append("outer")

    await promise.then(case.handler(outer))
    await turns()
    assert calls == ["outer", "inner"]


@RULES.shown_by("2.2.5")
async def handlers_are_plain_functions(case: Case) -> None:
    """A handler is called with the value alone: no receiver comes with it."""
    handler = case.handler(lambda *args, **kwargs: (args, kwargs))
    assert await case.settled(1).then(handler) == ((1,), {})
    assert await case.settled(ERROR).then(None, handler) == ((ERROR,), {})


@RULES.shown_by("2.2.6", "2.2.6.1")
async def on_fulfilled_in_order(case: Case) -> None:
    """Handlers of one promise run in the order of their then calls, also if one raises."""
    calls: list[object] = []
    promise = case.settled(1)
    promise.then(case.handler(partial(note, calls, "a")))
    promise.then(case.handler(raiser(ERROR))).catch(str)
    promise.then(lambda _: promise.then(case.handler(partial(note, calls, "nested"))))
    promise.then(case.handler(partial(note, calls, "b")))
    await promise
    await turns()
    assert calls == ["a", "b", "nested"]


@RULES.shown_by("2.2.6", "2.2.6.2")
async def on_rejected_in_order(case: Case) -> None:
    """The same holds for on_rejected."""
    calls: list[object] = []
    promise = case.settled(ERROR)
    promise.then(never, case.handler(partial(note, calls, "a")))
    promise.catch(case.handler(raiser(OSError()))).catch(str)
    promise.catch(lambda _: promise.catch(case.handler(partial(note, calls, "nested"))))
    promise.catch(case.handler(partial(note, calls, "b")))
    await outcome(promise)
    await turns()
    assert calls == ["a", "b", "nested"]


@RULES.shown_by("2.2.6")
async def branches_are_independent(case: Case) -> None:
    """Each then call has its own outcome."""
    promise = case.settled(1)
    branches = [promise.then(case.handler(each)) for each in (add_one, raiser(ERROR), str)]
    assert [await outcome(each) for each in branches] == [2, ERROR, "1"]


@RULES.shown_by("2.2.7")
async def then_returns_a_promise(case: Case) -> None:
    """then, catch and finally_ return a new promise each."""
    promise = case.settled(1)
    derived: list[Promise[Any]] = [
        promise.then(case.handler(give(1))),
        promise.catch(case.handler(str)),
        promise.finally_(case.handler(list)),
    ]
    assert all(type(each) is Promise for each in derived)
    assert len({id(each) for each in [promise, *derived]}) == 4
    assert await asyncio.gather(*derived) == [1, 1, 1]


@RULES.shown_by("2.2.7.1")
async def a_returned_value_resolves(case: Case) -> None:
    """What either handler returns resolves the derived promise."""
    assert await case.settled(1).then(case.handler(add_one)) == 2
    handler = case.handler(lambda error: error.args)
    assert await case.settled(ERROR).then(None, handler) == ("reason",)
    assert await case.settled(1).then(case.handler(give(None))) is None


@RULES.shown_by("2.2.7.2")
async def a_raised_exception_rejects(case: Case) -> None:
    """What either handler raises rejects the derived promise."""
    for value in (1, OSError()):
        for error in (ERROR, LookupError(), BaseException("halt")):
            handler = case.handler(raiser(error))
            assert await outcome(case.settled(value).then(handler, handler)) is error


@RULES.shown_by("2.2.7.3")
async def without_on_fulfilled_the_value_passes(case: Case) -> None:
    """A value passes through to the first on_fulfilled."""
    token = Token()
    promise = case.settled(token).then().catch(never).then(None, never)
    assert await promise.then(case.handler(lambda value: value)) is token


@RULES.shown_by("2.2.7.4")
async def without_on_rejected_the_reason_passes(case: Case) -> None:
    """A reason passes through to the first on_rejected."""
    promise = case.settled(ERROR).then(never).then().finally_(list)
    assert await promise.then(never, case.handler(lambda error: error)) is ERROR


@pytest.mark.asyncio
@pytest.mark.parametrize(("when", "kind"), CASES)
@pytest.mark.parametrize("scenario", RULES.parameters())
async def test_promises_a_plus(scenario: Scenario, when: When, kind: Kind) -> None:
    """The rule holds however the promise settles, and for either kind of handlers."""
    await play(scenario, when, kind)


def test_every_rule_of_these_sections_is_shown() -> None:
    """Each numbered rule of 2.1 and 2.2 has a scenario."""
    assert RULES.numbers() == {
        *("2.1.1", "2.1.1.1", "2.1.2", "2.1.2.1", "2.1.2.2", "2.1.3", "2.1.3.1", "2.1.3.2"),
        *("2.2.1", "2.2.1.1", "2.2.1.2", "2.2.2", "2.2.2.1", "2.2.2.2", "2.2.2.3"),
        *("2.2.3", "2.2.3.1", "2.2.3.2", "2.2.3.3", "2.2.4", "2.2.5"),
        *("2.2.6", "2.2.6.1", "2.2.6.2", "2.2.7", "2.2.7.1", "2.2.7.2", "2.2.7.3", "2.2.7.4"),
    }

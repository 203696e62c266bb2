"""The rules of Promises/A+ 1.1, by number."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any

import pytest

from asyncbridge.promise import Promise
from tests.promise.conftest import (
    ERROR,
    CustomAwaitable,
    Token,
    When,
    add_one,
    give,
    never,
    outcome,
    pending,
    raiser,
    settle,
    settled,
    turns,
)

Scenario = Callable[[When], Awaitable[None]]
RULES: list[Any] = []


def note(calls: list[object], name: str, _: object) -> None:
    """Stand for a handler with an effect."""
    calls.append(name)


def rule(number: str) -> Callable[[Scenario], Scenario]:
    """Register a scenario under its number in Promises/A+ 1.1."""

    def register(scenario: Scenario) -> Scenario:
        RULES.append(pytest.param(scenario, id=f"{number}-{scenario.__name__}"))
        return scenario

    return register


@rule("2.1.1")
async def pending_may_move_to_either(when: When) -> None:
    """A pending promise has no result yet, and may become fulfilled or rejected."""
    for value, state in ((1, "fulfilled"), (ERROR, "rejected")):
        promise = pending()
        assert promise.state == "pending"
        settle(promise, value)
        assert promise.state == state
        assert await outcome(promise) is value


@rule("2.1.2")
async def fulfilled_stays(when: When) -> None:
    """A fulfilled promise changes neither its state nor its value."""
    promise = settled(when, "first")
    await outcome(promise)
    for value in ("x", ERROR):
        with pytest.raises(asyncio.InvalidStateError):
            settle(promise, value)
    assert not promise.cancel()
    assert await promise == "first"


@rule("2.1.3")
async def rejected_stays(when: When) -> None:
    """A rejected promise changes neither its state nor its reason."""
    promise = settled(when, ERROR)
    await outcome(promise)
    for value in ("x", OSError()):
        with pytest.raises(asyncio.InvalidStateError):
            settle(promise, value)
    assert not promise.cancel()
    assert await outcome(promise) is ERROR


@rule("2.2.1")
async def both_arguments_are_optional(when: When) -> None:
    """None, or nothing, stands for no handler; anything else that is not callable is refused."""
    promise = settled(when, 1)
    assert await promise.then() == await promise.then(None, None) == 1
    wrongs: list[Any] = [5, "text", [], False]
    for wrong in wrongs:
        with pytest.raises(TypeError, match="then"):
            promise.then(wrong)
        with pytest.raises(TypeError, match="then"):
            promise.then(None, wrong)


@rule("2.2.2.1")
async def on_fulfilled_gets_the_value(when: When) -> None:
    """on_fulfilled runs after fulfilment with the value as its one argument."""
    token = Token()
    calls: list[tuple[Any, ...]] = []
    await settled(when, token).then(lambda *args: calls.append(args))
    assert calls == [(token,)]


@rule("2.2.2.2")
async def on_fulfilled_waits(when: When) -> None:
    """on_fulfilled does not run before the promise is fulfilled."""
    calls: list[object] = []
    promise = pending()
    promise.then(calls.append)
    await turns()
    assert calls == []
    promise.set_result(1)
    await turns()
    assert calls == [1]


@rule("2.2.2.3")
async def on_fulfilled_runs_once(when: When) -> None:
    """A second attempt to settle does not run on_fulfilled again."""
    calls: list[object] = []
    promise = settled(when, 1)
    promise.then(calls.append)
    await turns()
    promise._settle(2)
    await turns()
    assert calls == [1]


@rule("2.2.3.1")
async def on_rejected_gets_the_reason(when: When) -> None:
    """on_rejected runs after rejection with the reason as its one argument."""
    calls: list[tuple[Any, ...]] = []
    await settled(when, ERROR).then(never, lambda *args: calls.append(args))
    assert calls == [(ERROR,)]


@rule("2.2.3.2")
async def on_rejected_waits(when: When) -> None:
    """on_rejected does not run before the promise is rejected, nor on fulfilment."""
    calls: list[object] = []
    promise = pending()
    promise.then(None, calls.append)
    settled(when, 1).then(None, never)
    await turns()
    assert calls == []
    promise.set_exception(ERROR)
    await turns()
    assert calls == [ERROR]


@rule("2.2.3.3")
async def on_rejected_runs_once(when: When) -> None:
    """on_rejected runs once."""
    calls: list[object] = []
    _, resolve, reject = resolvers = Promise[Any].with_resolvers()
    resolvers.promise.then(None, calls.append)
    reject(ERROR)
    reject(OSError())
    resolve(1)
    await turns()
    assert calls == [ERROR]


@rule("2.2.4")
async def handlers_never_run_synchronously(when: When) -> None:
    """Neither then() nor the settling runs a handler: only the loop does."""
    calls: list[object] = []
    for value in (1, ERROR):
        promise = pending()
        if when == "after":
            promise.then(calls.append, calls.append)
        settle(promise, value)
        if when == "before":
            promise.then(calls.append, calls.append)
        promise.finally_(lambda: calls.append("finally")).then(None, str)
        assert calls == []
        await turns()
        assert calls == [value, "finally"]
        calls.clear()


@rule("2.2.5")
async def handlers_are_plain_functions(when: When) -> None:
    """A handler is called with the value alone: no receiver comes with it."""
    assert await settled(when, 1).then(lambda *args, **kwargs: (args, kwargs)) == ((1,), {})


@rule("2.2.6.1")
async def on_fulfilled_in_order(when: When) -> None:
    """Handlers of one promise run in the order of their then calls, also if one raises."""
    calls: list[object] = []
    promise = settled(when, 1)
    promise.then(lambda _: calls.append("a"))
    promise.then(raiser(ERROR)).catch(str)
    promise.then(lambda _: promise.then(lambda _: calls.append("nested")))
    promise.then(lambda _: calls.append("b"))
    await turns()
    assert calls == ["a", "b", "nested"]


@rule("2.2.6.2")
async def on_rejected_in_order(when: When) -> None:
    """The same holds for on_rejected."""
    calls: list[object] = []
    promise = settled(when, ERROR)
    for name in "abc":
        promise.catch(partial(note, calls, name))
    await turns()
    assert calls == ["a", "b", "c"]


@rule("2.2.7")
async def then_returns_a_promise(when: When) -> None:
    """then, catch and finally_ return a new promise each."""
    promise = settled(when, 1)
    derived: list[Promise[Any]] = [promise.then(), promise.catch(str), promise.finally_(list)]
    assert all(type(each) is Promise for each in derived)
    assert len({id(each) for each in [promise, *derived]}) == 4
    assert await asyncio.gather(*derived) == [1, 1, 1]


@rule("2.2.7.1")
async def a_returned_value_resolves(when: When) -> None:
    """What either handler returns resolves the derived promise."""
    assert await settled(when, 1).then(add_one) == 2
    assert await settled(when, ERROR).then(None, lambda error: error.args) == ("reason",)
    assert await settled(when, 1).then(give(None)) is None


@rule("2.2.7.2")
async def a_raised_exception_rejects(when: When) -> None:
    """What either handler raises rejects the derived promise."""
    for value in (1, OSError()):
        assert await outcome(settled(when, value).then(raiser(ERROR), raiser(ERROR))) is ERROR


@rule("2.2.7.3")
async def without_on_fulfilled_the_value_passes(when: When) -> None:
    """A value passes through to the first on_fulfilled."""
    assert await settled(when, 1).then().catch(never).then(add_one) == 2


@rule("2.2.7.4")
async def without_on_rejected_the_reason_passes(when: When) -> None:
    """A reason passes through to the first on_rejected."""
    promise = settled(when, ERROR).then(never).then()
    assert await promise.then(never, lambda error: error) is ERROR


@rule("2.3.1")
async def resolving_with_itself_rejects(when: When) -> None:
    """A promise resolved with itself is rejected with a TypeError."""
    derived: list[Promise[Any]] = []
    derived.append(settled(when, 1).then(lambda _: derived[0]))
    assert isinstance(await outcome(derived[0]), TypeError)

    async def handler(_: object) -> object:
        return derived[1]

    derived.append(settled(when, 1).then(handler))
    assert isinstance(await outcome(derived[1]), TypeError)
    promise, resolve, _ = Promise[Any].with_resolvers()
    resolve(promise)
    assert isinstance(await outcome(promise), TypeError)


@rule("2.3.2")
async def a_returned_future_is_adopted(when: When) -> None:
    """The derived promise takes over the state of a returned promise or future, as it is."""
    loop = asyncio.get_running_loop()
    for make in (pending, loop.create_future):
        for value in (Token(), ERROR, asyncio.CancelledError("why")):
            inner = make()
            derived = settled(when, 1).then(give(inner))
            if when == "before":
                settle(inner, value)
            await turns()
            if when == "after":
                assert not derived.done()
                settle(inner, value)
            got = await outcome(derived)
            assert got is value or repr(got) == repr(value)


@rule("2.3.3.1")
async def a_then_attribute_means_nothing(when: When) -> None:
    """An object with a then is a plain value: only awaitables are assimilated."""
    thenable = types.SimpleNamespace(then=never)
    assert await settled(when, 1).then(lambda _: thenable) is thenable


@rule("2.3.3.3")
async def any_awaitable_is_assimilated(when: When) -> None:
    """Coroutines, custom awaitables and generator-based coroutines are awaited."""

    async def coroutine(value: object) -> object:
        await asyncio.sleep(0)
        if isinstance(value, BaseException):
            raise value
        return value

    @types.coroutine
    def old_style(value: object) -> Generator[Any, None, object]:
        return (yield from CustomAwaitable(value).__await__())

    for handler in (coroutine, CustomAwaitable, old_style):
        for value in (Token(), ERROR):
            assert await outcome(settled(when, value).then(handler, handler)) is value


@rule("2.3.3.3.1")
async def an_awaitables_awaitable_is_assimilated_too(when: When) -> None:
    """Resolution is repeated on what a coroutine returns, until it is no awaitable."""

    async def handler(value: int) -> Any:
        return CustomAwaitable(handler(value - 1)) if value else Promise.resolve("bottom")

    assert await settled(when, 3).then(handler) == "bottom"


@rule("2.3.3.3.3")
async def only_the_first_resolution_counts(when: When) -> None:
    """The first call of resolve or reject wins, even while what it got is still pending."""
    promise, resolve, reject = Promise[Any].with_resolvers()
    inner = pending()
    resolve(inner)
    resolve("second")
    reject(ERROR)
    await turns()
    assert not promise.done()
    inner.set_result("first")
    assert await promise == "first"


@rule("2.3.3.3.4")
async def an_awaitable_that_fails_at_once_rejects(when: When) -> None:
    """An exception from __await__ itself rejects."""

    class Broken:
        def __await__(self) -> Generator[Any, None, Any]:
            raise ERROR

    assert await outcome(settled(when, 1).then(lambda _: Broken())) is ERROR


@rule("2.3.4")
async def any_other_value_fulfils(when: When) -> None:
    """A value that is no awaitable fulfils, whatever it is: a class, a generator, an error."""
    for value in (CustomAwaitable, (_ for _ in ()), ERROR, None, False):
        assert await settled(when, 1).then(give(value)) is value


@pytest.mark.asyncio
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("scenario", RULES)
async def test_promises_a_plus(scenario: Scenario, when: When) -> None:
    """The rule holds, whether the promise settles before or after the then call."""
    await scenario(when)

"""Tests of asyncbridge.promise: the rules of Promises/A+ 1.1 by number, then asyncio's side."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import signal
import subprocess
import sys
import threading
import types
import weakref
from collections.abc import Awaitable, Callable, Generator, Iterator
from functools import partial
from typing import Any, Literal

import pytest

from asyncbridge.errors import WrongLoopError
from asyncbridge.promise import Promise
from asyncbridge.tasks import spawn

Handler = Callable[[Any], Any]
Report = dict[str, Any]
When = Literal["before", "after"]
"""Whether a promise settles before or after the scenario chains on it."""
Scenario = Callable[[When], Awaitable[None]]

ERROR = ValueError("reason")
RULES: list[Any] = []
current: contextvars.ContextVar[str] = contextvars.ContextVar("current")


class Token:
    """A value that can be weakly referenced."""


class Halt(BaseException):
    """An exception that is no ``Exception``."""


class Owner:
    """A command's owner that notes what it is asked."""

    def __init__(self) -> None:
        self.id = 7
        self.state = "queued"
        self.asked: list[tuple[object, object, str | None]] = []

    def cancel(self, promise: Promise[Any], msg: object, mode: str | None) -> bool:
        self.asked.append((promise, msg, mode))
        return True


class CustomAwaitable:
    """An awaitable that is neither a coroutine nor a future."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, None, Any]:
        yield
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


def pending() -> Promise[Any]:
    """Create a promise on the running loop."""
    return Promise(loop=asyncio.get_running_loop())


def settle(promise: asyncio.Future[Any], value: object) -> None:
    """Settle it: by the value, or by the exception, or cancel it for a CancelledError."""
    if isinstance(value, asyncio.CancelledError):
        promise.cancel(*value.args)
    elif isinstance(value, BaseException):
        promise.set_exception(value)
    else:
        promise.set_result(value)


def settled(when: When, value: object = None) -> Promise[Any]:
    """Return a promise that is settled now, or after the caller has chained on it."""
    promise = pending()
    if when == "before":
        settle(promise, value)
    else:
        asyncio.get_running_loop().call_soon(settle, promise, value)
    return promise


def raiser(error: BaseException) -> Callable[..., Any]:
    """Return a handler that raises."""

    def handler(*_: object) -> None:
        raise error

    return handler


@types.coroutine
def yield_from(promise: Promise[Any]) -> Generator[Any, None, Any]:
    """Wait for it the way that predates await."""
    return (yield from promise)


def give(value: object) -> Handler:
    """Return a handler that returns the value."""
    return lambda _: value


def add_one(value: int) -> int:
    """Stand for any handler of a number."""
    return value + 1


def note(calls: list[object], name: str, _: object) -> None:
    """Stand for a handler with an effect."""
    calls.append(name)


def kind_of(error: BaseException) -> type[BaseException]:
    """Stand for any handler of an error."""
    return type(error)


def never(*_: object) -> Any:
    """Stand for a handler that must not run."""
    pytest.fail("a handler ran that must not")


async def turns(count: int = 12) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def outcome(promise: Awaitable[Any]) -> Any:
    """Return the promise's value, or the exception that awaiting it raises."""
    try:
        return await promise
    except BaseException as error:
        return error


def reports() -> list[Report]:
    """Collect what reaches the running loop's exception handler from now on."""
    seen: list[Report] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
    return seen


def rule(number: str) -> Callable[[Scenario], Scenario]:
    """Register a scenario under its number in Promises/A+ 1.1."""

    def register(scenario: Scenario) -> Scenario:
        RULES.append(pytest.param(scenario, id=f"{number}-{scenario.__name__}"))
        return scenario

    return register


# --- Promises/A+ ---------------------------------------------------------------------------


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


# --- chaining, where asyncio adds to the rules -----------------------------------------------


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
async def test_catch_handles_only_its_types() -> None:
    """Types come one by one, in a tuple or not at all; others pass through."""
    promise = settled("after", KeyError("k"))
    assert await promise.catch(kind_of) is KeyError
    assert await promise.catch(LookupError, kind_of) is KeyError
    assert await promise.catch((OSError, KeyError), kind_of) is KeyError
    assert await promise.catch(OSError, KeyError, kind_of) is KeyError
    assert isinstance(await outcome(promise.catch(OSError, never)), KeyError)
    assert isinstance(await outcome(promise.catch((), never)), KeyError)


@pytest.mark.asyncio
async def test_catch_without_types_is_for_exceptions() -> None:
    """What ends programs passes a bare catch, as it passes ``except Exception``."""
    promise = settled("before", Halt())
    assert isinstance(await outcome(promise.catch(never)), Halt)
    assert await promise.catch(BaseException, lambda _: "caught") == "caught"
    assert await promise.then(None, lambda _: "caught") == "caught"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "arguments",
    [(), (ValueError,), ((ValueError,),), (ValueError, 5), (5, str), ((ValueError, 5), str)],
    ids=repr,
)
async def test_catch_refuses_what_is_no_handler_or_type(arguments: tuple[Any, ...]) -> None:
    """A forgotten handler and a wrong type raise at once."""
    with pytest.raises(TypeError, match=r"catch\(\) takes"):
        pending().catch(*arguments)


@pytest.mark.asyncio
async def test_none_is_a_handler_that_passes_everything() -> None:
    """catch(None) and finally_(None) change nothing."""
    promise = settled("before", ERROR)
    assert await outcome(promise.catch(None)) is ERROR  # type: ignore[call-overload] # pyright: ignore - untyped on purpose
    assert await outcome(promise.finally_(None)) is ERROR
    with pytest.raises(TypeError, match="finally_"):
        promise.finally_(5)  # type: ignore[arg-type] # pyright: ignore - what is tested


@pytest.mark.asyncio
@pytest.mark.parametrize("value", [1, ERROR, asyncio.CancelledError("why")], ids=repr)
async def test_finally_runs_however_the_promise_ends(value: object) -> None:
    """The handler gets no argument, its value is dropped, and the end is passed on."""
    calls: list[str] = []

    async def handler() -> str:
        await asyncio.sleep(0)
        calls.append("async")
        return "dropped"

    plain = settled("after", value).finally_(lambda: calls.append("plain"))
    assert repr(await outcome(plain)) == repr(value)
    assert repr(await outcome(settled("before", value).finally_(handler))) == repr(value)
    assert calls == ["plain", "async"]


@pytest.mark.asyncio
async def test_a_failing_finally_replaces_the_end() -> None:
    """An error or a cancellation of the handler is what the derived promise ends by."""
    for value in (1, OSError(), asyncio.CancelledError()):
        assert await outcome(settled("after", value).finally_(raiser(ERROR))) is ERROR
        cancelled = settled("after", value).finally_(raiser(asyncio.CancelledError("mine")))
        assert repr(await outcome(cancelled)) == "CancelledError('mine')"


@pytest.mark.asyncio
async def test_finally_runs_even_if_its_promise_was_cancelled() -> None:
    """Cleaning up cannot be called off by cancelling the derived promise."""
    calls: list[str] = []
    promise = pending()
    promise.finally_(lambda: calls.append("clean")).cancel()
    promise.then(never).cancel()
    promise.set_result(1)
    await turns()
    assert calls == ["clean"]


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


def test_a_deep_chain_resolves_and_goes_without_recursion() -> None:
    """100,000 thens, built first: a value runs down, and an unsettled chain can be dropped."""

    async def main() -> object:
        first = last = pending()
        unsettled = bottom = pending()
        for _ in range(100_000):
            last = last.then(add_one)
            bottom = bottom.then()
        assert repr(unsettled) == "<Promise pending cb=[then(None, None)()]>"
        first.set_result(0)
        return await last

    assert asyncio.run(main(), debug=False) == 100_000


@pytest.mark.asyncio
async def test_a_rolling_chain_keeps_few_promises() -> None:
    """Settled links of ``p = p.then(f)`` are freed at once, and hold no values."""
    promise = settled("before", 0)
    links = weakref.WeakSet([promise])
    tokens: weakref.WeakSet[Token] = weakref.WeakSet()
    gc.disable()
    try:
        for _ in range(200):
            token = Token()
            tokens.add(token)
            promise = promise.then(give(token))
            links.add(promise)
            await turns(2)
            assert len(links) <= 3
            assert len(tokens) <= 4
    finally:
        gc.enable()


@pytest.mark.asyncio
async def test_a_rejected_chain_leaves_no_cycle() -> None:
    """Neither the error's traceback nor the handlers keep the promises alive."""

    def handler(_: object) -> None:
        raise LookupError

    async def coroutine(_: object) -> None:
        raise LookupError

    gc.disable()
    try:
        for fail in (handler, coroutine):
            promise = settled("before", 1)
            chain = [promise, promise.then(fail), promise.finally_(list).transform(handler)]
            chain += [chain[1].catch(KeyError, never), chain[1].finally_(list)]
            refs = [weakref.ref(each) for each in chain]
            for _ in range(4):
                with contextlib.suppress(LookupError):
                    await chain.pop()
            del promise, chain
            await turns()
            assert [ref() for ref in refs] == [None] * 5
    finally:
        gc.enable()


# --- transform -------------------------------------------------------------------------------


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


# --- awaiting --------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_cancelled_waiter_leaves_the_promise_alive() -> None:
    """The waiter alone is cancelled, with its message, and no callback stays behind."""
    promise = pending()

    async def wait() -> object:
        return await promise

    cancelled, other = spawn(wait(), name="waiter"), spawn(wait(), name="waiter")
    await turns(1)
    assert repr(promise) in repr(cancelled)
    assert cancelled.cancel("not me")
    assert cancelled.cancel("again")
    assert repr(await outcome(cancelled)) == "CancelledError('not me')"
    assert len(promise._callbacks) == 1
    promise.set_result("value")
    assert await other == "value"


@pytest.mark.asyncio
async def test_a_waiter_cancelled_after_the_promise_settled() -> None:
    """It is cancelled all the same, as when it waits on a Future."""
    promise = pending()

    async def wait() -> None:
        await promise

    waiter = spawn(wait(), name="waiter")
    await turns(1)
    promise.set_result(1)
    waiter.cancel()
    assert isinstance(await outcome(waiter), asyncio.CancelledError)


@pytest.mark.asyncio
async def test_a_waiter_may_survive_its_cancellation() -> None:
    """A waiter that catches the cancellation can await the promise again."""
    promise = pending()

    async def wait() -> object:
        with contextlib.suppress(asyncio.CancelledError):
            await promise
        return await promise

    waiter = spawn(wait(), name="waiter")
    await turns(1)
    waiter.cancel()
    await turns(2)
    promise.set_result("value")
    assert await waiter == "value"


@pytest.mark.asyncio
async def test_a_timeout_leaves_the_promise_alive() -> None:
    """asyncio.timeout ends the wait, not the promise."""
    promise = pending()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await promise
    assert promise.state == "pending"
    promise.set_result("value")
    async with asyncio.timeout(0):
        assert await promise == "value"


@pytest.mark.asyncio
@pytest.mark.parametrize("value", ["value", ERROR, asyncio.CancelledError("why")], ids=repr)
async def test_asyncio_treats_it_as_a_future(value: object) -> None:
    """gather, wait, shield, as_completed, wait_for, ensure_future and TaskGroup work."""

    def promise() -> Promise[Any]:
        return settled("after", value)

    async def in_a_group() -> object:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(outcome(promise()))
        return task.result()

    async def by_wait() -> object:
        done, _ = await asyncio.wait([promise()])
        return done.pop().result()

    async def by_yield_from() -> object:
        return await yield_from(promise())

    kept = promise()
    assert asyncio.ensure_future(kept) is kept  # noqa: TID251 - this is what is tested
    for way in (
        kept,
        asyncio.gather(promise()),
        asyncio.shield(promise()),
        next(asyncio.as_completed([promise()])),
        asyncio.wait_for(promise(), 60),
        in_a_group(),
        by_wait(),
        by_yield_from(),
    ):
        got = await outcome(way)
        if isinstance(value, asyncio.CancelledError):  # gather and shield drop its message
            assert isinstance(got, asyncio.CancelledError)
        else:
            assert got in (value, [value])


def test_run_until_complete_takes_a_promise() -> None:
    """A loop runs until the promise is settled, and chains may be built before it runs."""
    loop = asyncio.new_event_loop()
    promise: Promise[int] = Promise(loop=loop)
    derived = promise.then(add_one)
    loop.call_soon(promise.set_result, 1)
    assert loop.run_until_complete(derived) == 2
    loop.close()
    assert promise.state == "fulfilled"


@pytest.mark.asyncio
async def test_a_promise_has_no_truth_value() -> None:
    """A forgotten await raises, and says what to write."""
    with pytest.raises(TypeError, match="if await promise:"):
        bool(settled("before", 1))


@pytest.mark.asyncio
async def test_the_repr_is_the_futures() -> None:
    """It follows the rules of asyncio.Future, with handlers by name."""
    asyncio.get_running_loop().set_debug(enabled=False)
    promise = pending()
    assert repr(promise) == "<Promise pending>"
    promise.then(len)
    assert repr(promise) == "<Promise pending cb=[then(len, None)()]>"
    finished = pending()
    finished.finally_(list)
    assert repr(finished) == "<Promise pending cb=[finally_(list)()]>"
    promise.set_result([])
    assert repr(promise) == "<Promise finished result=[]>"
    await turns()


# --- threads ---------------------------------------------------------------------------------


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in another thread."""
    loop = asyncio.new_event_loop()
    loop.set_debug(enabled=True)  # so that call_soon() refuses a foreign thread
    running = threading.Event()
    loop.call_soon(running.set)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running.wait()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_chaining_from_another_thread(loop: asyncio.AbstractEventLoop) -> None:
    """then, catch, finally_ and callbacks hop to the loop, in order, with the caller's context."""
    promise: Promise[int] = Promise(loop=loop)
    current.set("caller")
    calls: list[object] = []
    promise.add_done_callback(lambda _: calls.append(threading.current_thread()))
    promise.add_done_callback(lambda _: calls.append(current.get()))
    last = promise.then(raiser(ERROR)).catch(calls.append).finally_(lambda: calls.append("end"))
    loop.call_soon_threadsafe(promise.set_result, 1)
    assert last.wait_for_value(60) is None
    assert calls[0] is not threading.current_thread()
    assert calls[1:] == ["caller", ERROR, "end"]
    assert last.then(lambda _: "late").wait_for_value(60) == "late"


def test_transforming_from_another_thread(loop: asyncio.AbstractEventLoop) -> None:
    """The block is in place when transform() returns, or it has raised."""
    promise: Promise[int] = Promise(loop=loop)
    transformed = promise.transform(str)
    loop.call_soon_threadsafe(promise.set_result, 1)
    assert transformed.wait_for_value(60) == "1"
    with pytest.raises(asyncio.InvalidStateError):
        promise.transform(str)


def test_cancelling_from_another_thread(loop: asyncio.AbstractEventLoop) -> None:
    """The request hops to the loop; a settled promise refuses it at once."""
    promise: Promise[int] = Promise(loop=loop)
    assert promise.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        promise.wait_for_value(60)
    assert not promise.cancel()


@pytest.mark.asyncio
async def test_resolvers_work_from_any_thread() -> None:
    """Whichever thread comes first settles the promise on its loop."""
    promise, resolve, reject = Promise[int].with_resolvers()
    await asyncio.to_thread(resolve, 1)
    await asyncio.to_thread(reject, ERROR)
    assert await promise == 1


@pytest.mark.asyncio
async def test_awaiting_from_another_loop(loop: asyncio.AbstractEventLoop) -> None:
    """The value, an error or a cancellation crosses over; a cancelled waiter cancels nothing."""
    for value in ("value", ERROR, asyncio.CancelledError("why")):
        promise: Promise[Any] = Promise(loop=loop)
        waiters = [spawn(outcome(promise), name="waiter") for _ in range(2)]
        await turns()
        waiters[0].cancel("waiter")
        assert repr(await waiters[0]) == "CancelledError('waiter')"
        assert promise.state == "pending"
        loop.call_soon_threadsafe(settle, promise, value)
        assert repr(await waiters[1]) == repr(value)
        assert repr(await outcome(promise)) == repr(value)


@pytest.mark.asyncio
async def test_a_waiter_cancelled_as_another_loop_wakes_it(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Where both come in one turn the waiter is cancelled, and the wake-up is no error."""
    seen = reports()
    promise: Promise[int] = Promise(loop=loop)
    waiter = spawn(outcome(promise), name="waiter")
    await turns()
    loop.call_soon_threadsafe(promise.set_result, 1)
    asyncio.run_coroutine_threadsafe(turns(), loop).result()  # the wake-up is under way now
    waiter.cancel()
    assert isinstance(await waiter, asyncio.CancelledError)
    await turns()
    assert seen == []


@pytest.mark.asyncio
async def test_awaiting_a_promise_of_a_dead_loop() -> None:
    """Where nothing can settle it, awaiting raises; a settled one gives its value."""
    dead = asyncio.new_event_loop()
    promise: Promise[int] = Promise(loop=dead)
    with pytest.raises(WrongLoopError, match="does not run"):
        await promise
    promise.set_result(1)
    dead.close()
    assert await promise == 1
    assert await settled("after").then(lambda _: promise) == 1


@pytest.mark.asyncio
async def test_a_future_of_another_loop_is_adopted(loop: asyncio.AbstractEventLoop) -> None:
    """A handler may return a promise or a future that another loop settles."""
    for make in (lambda: Promise[int](loop=loop), loop.create_future):
        inner: asyncio.Future[int] = make()
        derived = settled("after").then(give(inner))
        await turns()
        loop.call_soon_threadsafe(inner.set_result, 1)
        assert await derived == 1


@pytest.mark.asyncio
async def test_a_future_of_a_closed_loop_rejects() -> None:
    """A future that nothing can settle any more is no reason to wait for ever."""
    dead = asyncio.new_event_loop()
    inner: asyncio.Future[int] = dead.create_future()
    dead.close()
    with pytest.raises(RuntimeError, match="closed"):
        await settled("after").then(lambda _: inner)


def test_wait_for_value_returns_or_raises(loop: asyncio.AbstractEventLoop) -> None:
    """It blocks until the end, and a settled promise answers at once, with no time left."""
    for value in ("value", ERROR):
        promise: Promise[Any] = Promise(loop=loop)
        loop.call_soon_threadsafe(settle, promise, value)
        for timeout in (None, 60, 0):
            try:
                got: object = promise.wait_for_value(timeout)
            except ValueError as error:
                got = error
            assert got is value


def test_wait_for_value_times_out(loop: asyncio.AbstractEventLoop) -> None:
    """TimeoutError leaves the promise alive and no callback behind."""
    promise: Promise[int] = Promise(loop=loop)
    with pytest.raises(TimeoutError, match="the promise itself goes on"):
        promise.wait_for_value(timeout=0)
    loop.call_soon_threadsafe(lambda: promise.set_result(len(promise._callbacks or ())))
    assert promise.wait_for_value(60) == 0


def test_wait_for_value_refuses_a_negative_timeout(loop: asyncio.AbstractEventLoop) -> None:
    """A negative timeout is a mistake, even for a settled promise."""
    promise: Promise[int] = Promise(loop=loop)
    with pytest.raises(ValueError, match="-1"):
        promise.wait_for_value(-1)


@pytest.mark.asyncio
async def test_wait_for_value_refuses_to_block_a_loop(loop: asyncio.AbstractEventLoop) -> None:
    """On a thread with a running loop it raises at once, settled or not, and says await."""
    for promise in (pending(), settled("before"), Promise[int](loop=loop)):
        with pytest.raises(WrongLoopError, match="await"):
            promise.wait_for_value()


def test_wait_for_value_needs_a_running_loop() -> None:
    """With the loop not started, or closed, it raises instead of hanging."""
    loop = asyncio.new_event_loop()
    promise: Promise[int] = Promise(loop=loop)
    with pytest.raises(RuntimeError, match="does not run"):
        promise.wait_for_value()
    loop.close()
    with pytest.raises(RuntimeError, match="is closed"):
        promise.wait_for_value(60)


def test_wait_for_value_sees_the_loop_stop(loop: asyncio.AbstractEventLoop) -> None:
    """A loop that stops during the wait ends it."""
    promise: Promise[int] = Promise(loop=loop)
    loop.call_soon_threadsafe(_once_waited_for, promise, loop.stop)
    with pytest.raises(RuntimeError, match="does not run"):
        promise.wait_for_value()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no signal to one thread")
def test_an_interrupt_ends_the_wait(loop: asyncio.AbstractEventLoop) -> None:
    """Ctrl-C in the main thread gets out of wait_for_value; the promise lives on."""
    promise: Promise[str] = Promise(loop=loop)
    main = threading.main_thread().ident
    assert main is not None
    interrupt = partial(signal.pthread_kill, main, signal.SIGINT)
    loop.call_soon_threadsafe(_once_waited_for, promise, interrupt)
    with pytest.raises(KeyboardInterrupt):
        promise.wait_for_value()
    loop.call_soon_threadsafe(promise.set_result, "value")
    assert promise.wait_for_value(60) == "value"


def _once_waited_for(promise: Promise[Any], do: Callable[[], object]) -> None:
    """Do it when somebody waits for the promise, looking at every turn of the loop."""
    if promise._callbacks:
        do()
    else:
        promise.get_loop().call_soon(_once_waited_for, promise, do)


# --- the command behind it -------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_source_answers_for_the_command() -> None:
    """It gives the id and the state while pending; the promise itself gives the end."""
    promise, owner = pending(), Owner()
    assert (promise.command_id, promise.state) == (None, "pending")
    promise._attach(owner)
    assert (promise.command_id, promise.state) == (7, "queued")
    owner.state = "running"
    assert promise.state == "running"
    promise._settle(1)
    assert (promise.command_id, promise.state) == (7, "fulfilled")


@pytest.mark.asyncio
async def test_the_state_does_not_count_as_handling() -> None:
    """A look at a rejected promise leaves its error unretrieved."""
    seen = reports()
    promise = settled("before", ERROR)
    assert promise.state == "rejected"
    del promise
    gc.collect()
    assert len(seen) == 1


@pytest.mark.asyncio
async def test_cancel_asks_the_source() -> None:
    """The owner decides, and ends the promise when the command is gone."""
    promise, owner = pending(), Owner()
    promise._attach(owner)
    assert promise.cancel("why", mode="graceful")
    assert owner.asked == [(promise, "why", "graceful")]
    assert not promise.done()
    assert promise._settle_cancelled("why")
    assert repr(await outcome(promise)) == "CancelledError('why')"
    assert not promise.cancel()
    assert len(owner.asked) == 1


@pytest.mark.asyncio
async def test_a_late_value_is_ignored() -> None:
    """A command that ends after its promise changes nothing, and runs no block."""
    promise = pending().transform(never)
    promise.cancel()
    promise._settle(1)
    assert promise.cancelled()
    assert not promise._settle_cancelled()


# --- making promises -------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_resolve_and_reject_make_settled_promises() -> None:
    """A plain value or reason settles at once; a promise comes back as it is."""
    assert Promise.resolve(1).result() == 1
    promise = pending()
    assert Promise.resolve(promise) is promise
    promise.cancel()
    assert await Promise.resolve(CustomAwaitable("awaited")) == "awaited"
    assert Promise[int].reject(ERROR).exception() is ERROR
    assert isinstance(Promise[int].reject(OSError).exception(), OSError)  # type: ignore[arg-type] # pyright: ignore - as Future
    with pytest.raises(TypeError):
        Promise[int].reject("text")  # type: ignore[arg-type] # pyright: ignore - what is tested


@pytest.mark.asyncio
async def test_a_cancelled_promise_ignores_its_resolvers() -> None:
    """Who settles it need not know that nobody waits any more."""
    for name in ("resolve", "reject"):
        resolvers = Promise[Any].with_resolvers()
        resolvers.promise.cancel()
        getattr(resolvers, name)(ERROR)
        assert resolvers.promise.cancelled()


@pytest.mark.asyncio
async def test_resolvers_reject() -> None:
    """reject() of the three settles the promise with the exception."""
    promise, _, reject = Promise[int].with_resolvers()
    reject(ERROR)
    assert await outcome(promise) is ERROR


def test_the_makers_need_a_loop() -> None:
    """With no running loop they raise; with_resolvers can be told which."""
    for make in (lambda: Promise.resolve(1), Promise[int].with_resolvers):
        with pytest.raises(RuntimeError, match="no running event loop"):
            make()
    loop = asyncio.new_event_loop()
    assert Promise[int].with_resolvers(loop=loop).promise.get_loop() is loop
    loop.close()


def test_a_bare_promise_is_laid_out_as_a_future() -> None:
    """It adds no fields, no __init__ and no __new__, so that it costs what a Future costs."""
    assert Promise.__basicsize__ == asyncio.Future.__basicsize__
    assert Promise.__init__ is asyncio.Future.__init__
    assert Promise.__new__ is asyncio.Future.__new__


def test_only_the_standard_library_is_imported() -> None:
    """Importing the module loads no third-party package."""
    code = (
        "import sys, asyncbridge.promise;"
        "names = {name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names;"
        "print(*sorted(names - {'asyncbridge', '__main__'}));"
        "assert not {'aiohttp', 'numpy', 'orjson'} & set(sys.modules)"
    )
    command = [sys.executable, "-S", "-c", code]
    root = __file__.rpartition("/tests/")[0]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

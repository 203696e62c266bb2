"""all, any, race, all_settled, delay and from_awaitable."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asyncbridge.outcome import Error, Value
from asyncbridge.promise import Promise
from asyncbridge.tasks import spawn
from asyncbridge.testing import ManualClock
from asyncbridge.testing.clocks import clock_loop
from tests.promise.conftest import (
    ERROR,
    CustomAwaitable,
    Token,
    outcome,
    pending,
    reports,
    settle,
    settled,
    turns,
)

Combinator = Callable[[Any], Promise[Any]]
COMBINATORS = [Promise.all, Promise.any, Promise.race, Promise.all_settled]


async def coroutine(value: object) -> object:
    """Stand for an input that is no future."""
    await asyncio.sleep(0)
    if isinstance(value, BaseException):
        raise value
    return value


async def coroutine_of(promise: Promise[Any]) -> object:
    """Stand for an input that lasts as long as the promise."""
    return await promise


def callbacks(future: asyncio.Future[Any]) -> int:
    """Return how many callbacks a future holds."""
    return len(future._callbacks or ())


# --- what each makes of its inputs ---


@pytest.mark.asyncio
async def test_all_gives_the_values_in_the_order_of_the_inputs() -> None:
    """Whatever the order they come in; a tuple of a tuple, a list of anything else."""
    for make, kind in ((list, list), (tuple, tuple), (iter, list)):
        first, second, third = inputs = [pending() for _ in range(3)]
        promise = Promise.all(make(inputs))
        for each, value in ((third, 3), (first, 1), (second, 2)):
            assert not promise.done()
            each.set_result(value)
            await turns(2)
        assert await promise == kind([1, 2, 3])
        assert type(promise.result()) is kind


@pytest.mark.asyncio
async def test_all_is_rejected_by_the_first_error() -> None:
    """At once; the others go on."""
    slow, failing = pending(), settled("after", ERROR)
    promise = Promise.all([slow, failing])
    assert await outcome(promise) is ERROR
    assert slow.state == "pending"
    slow.set_result("value")
    assert await slow == "value"


@pytest.mark.asyncio
async def test_any_gives_the_first_value() -> None:
    """Errors before it do not count."""
    promise = Promise.any([settled("before", ERROR), pending(), settled("after", "value")])
    assert await promise == "value"


@pytest.mark.asyncio
async def test_any_is_rejected_by_all_errors_together() -> None:
    """In the order of the inputs; those that were cancelled are told of in the text."""
    other = KeyError("other")
    late, cancelled = pending(), pending()
    promise = Promise.any([late, cancelled, settled("before", other)])
    await turns()
    cancelled.cancel()
    late.set_exception(ERROR)
    with pytest.raises(ExceptionGroup, match="none of 3 gave a value, 1 cancelled") as caught:
        await promise
    assert caught.value.exceptions == (ERROR, other)


@pytest.mark.asyncio
async def test_any_of_what_is_all_cancelled_is_cancelled() -> None:
    """There is no error to tell of."""
    ends = [
        settled("after", asyncio.CancelledError("why")),
        settled("before", asyncio.CancelledError()),
    ]
    assert repr(await outcome(Promise.any(ends))) == "CancelledError('why')"


@pytest.mark.asyncio
@pytest.mark.parametrize("end", ["value", ERROR, asyncio.CancelledError("why")], ids=repr)
async def test_race_ends_as_the_first_does(end: object) -> None:
    """By a value, an error or a cancellation; of two that are settled, as the first given."""
    assert repr(await outcome(Promise.race([pending(), settled("after", end)]))) == repr(end)
    tie = Promise.race([settled("before", end), settled("before", "second")])
    assert repr(await outcome(tie)) == repr(end)


@pytest.mark.asyncio
async def test_all_settled_tells_how_each_ended() -> None:
    """As outcomes, in the order of the inputs; nothing rejects it."""
    ends = ["value", ERROR, asyncio.CancelledError("why")]
    first, second, third = await Promise.all_settled([settled("after", end) for end in ends])
    assert (first, second) == (Value("value"), Error(ERROR))
    assert isinstance(third, Error)
    assert repr(third.error) == "CancelledError('why')"


@pytest.mark.asyncio
async def test_all_is_cancelled_with_an_input() -> None:
    """A cancellation travels on, with its message."""
    promise = Promise.all([pending(), settled("after", asyncio.CancelledError("why"))])
    assert repr(await outcome(promise)) == "CancelledError('why')"
    assert promise.cancelled()


@pytest.mark.asyncio
async def test_of_nothing() -> None:
    """As in JavaScript: all and all_settled are fulfilled, any is rejected, race never ends."""
    assert Promise.all([]).result() == []
    assert Promise.all(()).result() == ()
    assert Promise.all_settled([]).result() == []
    with pytest.raises(ExceptionGroup) as caught:
        await Promise.any([])
    assert caught.group_contains(ValueError, match="nothing")
    forever: Promise[int] = Promise.race([])
    await turns()
    assert not forever.done()


# --- what they take ---


@pytest.mark.asyncio
@pytest.mark.parametrize("combinator", COMBINATORS, ids=lambda each: each.__name__)
async def test_any_awaitable_is_taken(combinator: Combinator) -> None:
    """Futures, tasks, coroutines, objects with __await__, and values as they are."""
    future = asyncio.get_running_loop().create_future()
    future.set_result(1)
    task = spawn(coroutine(1), name="input")
    for one in (settled("after", 1), future, task, coroutine(1), CustomAwaitable(1), 1):
        assert await combinator([one]) in (1, [1], [Value(1)])
    for other in (settled("after", ERROR), coroutine(ERROR), CustomAwaitable(ERROR)):
        got = await outcome(combinator([other]))
        errors = got.exceptions if isinstance(got, ExceptionGroup) else (got,)
        assert errors in ((ERROR,), ([Error(ERROR)],))


@pytest.mark.asyncio
async def test_an_input_may_come_twice() -> None:
    """Each place gets its value."""
    one = settled("after", 1)
    assert await Promise.all([one, one, settled("after", 2)]) == [1, 1, 2]


@pytest.mark.asyncio
@pytest.mark.parametrize("combinator", COMBINATORS, ids=lambda each: each.__name__)
async def test_what_is_no_iterable_is_refused(combinator: Combinator) -> None:
    """Nor a promise alone, a text, or a dict, though one can iterate over them."""
    for wrong in (pending(), 5, None, "abc", {"a": pending()}):
        with pytest.raises(TypeError, match=rf"{combinator.__name__}\(\) takes an iterable"):
            combinator(wrong)


def test_they_need_a_loop_or_a_promise() -> None:
    """Without a running loop the promise's own loop is taken; with neither it is an error."""
    with pytest.raises(RuntimeError, match="no running event loop"):
        Promise.all([1])  # type: ignore[arg-type] # pyright: ignore - a value, as in JavaScript
    loop = asyncio.new_event_loop()
    promise: Promise[int] = Promise(loop=loop)
    combined = Promise.all([promise])
    loop.call_soon(promise.set_result, 1)
    assert loop.run_until_complete(combined) == [1]
    loop.close()


def test_a_script_combines_promises_of_a_loop_in_another_thread(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Coroutines among them run on that loop."""
    promises: list[Promise[int]] = [Promise(loop=loop) for _ in range(3)]
    combined = Promise.all([*promises, coroutine("last")])
    made = Promise.from_awaitable(promises[0])
    for value, promise in enumerate(promises):
        loop.call_soon_threadsafe(promise.set_result, value)
    assert combined.wait_for_value(60) == [0, 1, 2, "last"]
    assert made.wait_for_value(60) == 0


@pytest.mark.asyncio
async def test_promises_of_another_loop_are_taken(loop: asyncio.AbstractEventLoop) -> None:
    """And let go of over there."""
    elsewhere, slow = Promise[int](loop=loop), Promise[int](loop=loop)
    promise = Promise.race([slow, elsewhere])
    assert promise.get_loop() is asyncio.get_running_loop()
    loop.call_soon_threadsafe(elsewhere.set_result, 1)
    assert await promise == 1
    await turns()
    counted: asyncio.Future[int] = asyncio.Future()
    home = asyncio.get_running_loop()
    loop.call_soon_threadsafe(
        lambda: home.call_soon_threadsafe(counted.set_result, callbacks(slow))
    )
    assert await counted == 0


@pytest.mark.asyncio
async def test_a_promise_of_a_closed_loop_rejects() -> None:
    """Nothing would ever settle it."""
    closed = asyncio.new_event_loop()
    closed.close()
    other = pending()
    promise = Promise.all([other, Promise[int](loop=closed)])
    assert "closed" in str(await outcome(promise))
    await turns()
    assert callbacks(other) == 0


# --- what they leave alone ---


@pytest.mark.asyncio
@pytest.mark.parametrize("combinator", COMBINATORS, ids=lambda each: each.__name__)
async def test_a_cancelled_combination_leaves_its_inputs_alone(combinator: Combinator) -> None:
    """They go on, and hold no callback of it."""
    inputs = [pending(), pending()]
    promise = combinator(inputs)
    promise.cancel("enough")
    assert repr(await outcome(promise)) == "CancelledError('enough')"
    await turns()
    assert [callbacks(each) for each in inputs] == [0, 0]
    assert [each.state for each in inputs] == ["pending", "pending"]


@pytest.mark.asyncio
async def test_a_coroutine_that_lost_runs_on_to_its_end() -> None:
    """It was started, and nobody cancelled it."""
    seen: list[object] = []
    gate = pending()

    async def loser() -> None:
        seen.append(await gate)

    assert await Promise.race([loser(), settled("after", 1)]) == 1
    gate.set_result("ran on")
    await turns()
    assert seen == ["ran on"]


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["promise", "task"])
async def test_what_lost_a_race_keeps_nothing_alive(kind: str) -> None:
    """A long-lived one holds neither callbacks nor values of a hundred races it lost."""
    gate, tokens = pending(), weakref.WeakSet[Token]()
    long: asyncio.Future[Any] = gate
    if kind == "task":
        long = spawn(coroutine_of(gate), name="long")
    held = callbacks(long)  # what holds the task itself
    await turns(1)
    gc.disable()
    try:
        for _ in range(100):
            token = Token()
            tokens.add(token)
            promise = Promise.race([long, settled("after", token)])
            assert await promise is token
            del promise, token
            await turns(2)
            assert callbacks(long) == held
        assert len(tokens) == 0
        gate.set_result("end")
        assert await long == "end"
    finally:
        gc.enable()


@pytest.mark.asyncio
async def test_a_combination_that_failed_leaves_no_cycle() -> None:
    """Neither the errors nor the inputs that go on keep it alive."""
    long = pending()
    gc.disable()
    try:
        for combinator in (Promise.all, Promise.race):
            promise = combinator([long, settled("after", LookupError())])
            ref = weakref.ref(promise)
            with contextlib.suppress(LookupError):
                await promise
            del promise
            await turns()
            assert ref() is None
    finally:
        gc.enable()


@pytest.mark.asyncio
async def test_errors_are_seen_while_it_waits() -> None:
    """Two that fail in one turn are reported by nobody; one that fails later is, as any other."""
    seen = reports()
    one, two, later = pending(), pending(), pending()
    promise = Promise.all([one, two, later])
    one.set_exception(ERROR)
    two.set_exception(KeyError())
    assert await outcome(promise) is ERROR
    del one, two, promise
    await turns()
    gc.collect()
    assert seen == []
    later.set_exception(OSError("late"))
    del later
    gc.collect()
    assert [repr(report["exception"]) for report in seen] == ["OSError('late')"]


def test_ten_thousand_inputs() -> None:
    """One error among them frees the rest."""

    async def main() -> None:
        inputs = [pending() for _ in range(10_000)]
        promise = Promise.all(inputs)
        inputs[5_000].set_exception(ERROR)
        assert await outcome(promise) is ERROR
        await turns()
        assert sum(map(callbacks, inputs)) == 0
        promise = Promise.all(inputs[:5_000])
        for index, each in enumerate(inputs[:5_000]):
            each.set_result(index)
        assert await promise == list(range(5_000))

    asyncio.run(main(), debug=False)


# --- delay and from_awaitable ---


def test_delay_gives_its_value_when_the_time_has_passed() -> None:
    """Not before; an awaitable is awaited from then on."""
    clock = ManualClock()

    async def main() -> None:
        promise, nothing = Promise.delay(5, "value"), Promise.delay(5)
        chained = Promise.delay(5, coroutine("awaited"))
        clock.advance(4.9)
        await turns()
        assert not promise.done()
        clock.advance(0.2)
        assert await Promise.all((promise, nothing, chained)) == ("value", None, "awaited")

    with asyncio.Runner(loop_factory=lambda: clock_loop(clock)) as runner:
        runner.run(main())


@pytest.mark.asyncio
async def test_a_delay_that_is_cancelled_holds_no_timer() -> None:
    """The loop does not keep the value until the time has passed."""
    token = Token()
    ref = weakref.ref(token)
    promise = Promise.delay(1_000, token)
    del token
    promise.cancel()
    del promise
    await turns()
    gc.collect()
    assert ref() is None


@pytest.mark.asyncio
async def test_delay_refuses_a_negative_time() -> None:
    """And what is not a number."""
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="the delay must be 0 or more seconds"):
            Promise.delay(wrong)


@pytest.mark.asyncio
@pytest.mark.parametrize("end", ["value", ERROR, asyncio.CancelledError("why")], ids=repr)
async def test_from_awaitable_ends_as_the_awaitable_does(end: object) -> None:
    """A coroutine, a future, or any object with __await__."""
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(settle, future, end)
    awaitables: list[Awaitable[Any]] = [future, coroutine(end), CustomAwaitable(end)]
    for awaitable in awaitables:
        promise = Promise.from_awaitable(awaitable)
        assert type(promise) is Promise
        got = await outcome(promise)
        assert got is end or isinstance(got, asyncio.CancelledError)


@pytest.mark.asyncio
async def test_from_awaitable_returns_a_promise_as_it_is() -> None:
    """And refuses what is no awaitable."""
    promise = settled("before", 1)
    assert Promise.from_awaitable(promise) is promise
    with pytest.raises(TypeError, match="takes an awaitable, not a int"):
        Promise.from_awaitable(5)  # type: ignore[arg-type] # pyright: ignore - what is tested


@pytest.mark.asyncio
async def test_a_cancelled_promise_leaves_its_coroutine_alone() -> None:
    """As what is derived does; the coroutine runs to its end."""
    seen: list[object] = []

    async def note() -> str:
        seen.append(await coroutine("ran on"))
        return "dropped"

    promise = Promise.from_awaitable(note())
    promise.cancel()
    await turns()
    assert seen == ["ran on"]

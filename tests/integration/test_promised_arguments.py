"""Promises as arguments, in real workers: commands use one another's values, and nothing waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge import DependencyError, Ignore, Promise, Ref, Retry, StaleReference, connect
from asyncbridge.errors import BridgeClosed, RemoteError, SerializationError, WorkerLost
from asyncbridge.testing import kill_worker
from tests.integration.test_decisions import halt
from tests.integration.test_driven_objects import nothing_kept
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client import Bridge
    from tests.integration.conftest import Gate

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

BEYOND_THE_WINDOW = 1100


async def error_of(promise: Promise[Any]) -> BaseException:
    """Return what a promise is rejected with."""
    await asyncio.wait([promise])
    error = promise.exception()
    assert error is not None
    return error


def bare() -> Promise[Any]:
    """Return a promise that the test settles."""
    return Promise(loop=asyncio.get_running_loop())


# --- states of what is used ---


@pytest.mark.asyncio
async def test_in_every_position(connected: Callable[[], Bridge], gate: Gate) -> None:
    """Direct, inside containers, of a remote call, of an expression, of a function, of a key."""
    async with connected() as bridge:
        table = await bridge.send("class Table(dict): pass\nTable(a=1)")
        running = bridge.send(gate.code)
        await gate.reached()
        made = bridge.send("{'loss': [3, 1, 2], 'thing': print}")
        results = [
            bridge.send("m['loss']", {"m": made}),
            bridge.send("a[0]['k'][1]['loss']", {"a": [{"k": (0, made)}]}),
            bridge.send("sorted(a)", {"a": {made["loss"][0], made["loss"][1]}}),
            bridge.send("sorted(x)", {"x": made["loss"]}),
            made["loss"].copy().promise(),
            bridge.module("builtins").max(made["loss"], key=bridge.send("abs")).promise(),
            bridge.run(lambda m, extra: m["loss"][0] + extra, made, extra=made["loss"][1]),
            bridge.send("a is b is m and a['thing'] is print", {"a": made, "b": made, "m": made}),
        ]
        table["b"] = made["loss"][0]
        table[made["loss"][1]] = "the key"
        assert bridge._awaiting.items == ()  # all of it is on its way
        gate.open()
        assert await running == "passed"
        values = [await each for each in results]
        assert values == [[3, 1, 2], [3, 1, 2], [1, 3], [1, 2, 3], [3, 1, 2], 3, 4, True]
        assert await bridge.send("dict(t)", {"t": table}) == {"a": 1, "b": 3, 1: "the key"}


@pytest.mark.asyncio
async def test_in_the_backlog_and_running(connected: Callable[[], Bridge], gate: Gate) -> None:
    """What runs, what is queued over there and what has not left yet are used alike."""
    async with connected() as bridge:
        running = bridge.send(gate.code)
        await gate.reached()
        uses = bridge.send("x * 2", {"x": running})
        chain = [bridge.send("0")]
        for _ in range(BEYOND_THE_WINDOW):
            chain.append(bridge.send("n + 1", {"n": chain[-1]}))
        assert chain[-1].state == "pending"
        late = bridge.send("a, b, c", {"a": running, "b": chain[5], "c": chain[-1]})
        gate.open()
        assert await uses == "passedpassed"
        assert await late == ("passed", 5, BEYOND_THE_WINDOW)


@pytest.mark.asyncio
async def test_the_very_object(connected: Callable[[], Bridge]) -> None:
    """A value of a command that has not been told is no copy; one that was told is."""
    async with connected() as bridge:
        made = bridge.send("rows = [1]\nrows")
        assert await bridge.send("x.append(2) or x is rows", {"x": made}) is True
        assert await made == [1]
        assert await bridge.send("x is rows or x", {"x": made}) == [1]
        kept = bridge.send("rows", keep=True)
        assert isinstance(await kept, Ref)
        assert await bridge.send("x is rows", {"x": kept}) is True


@pytest.mark.asyncio
async def test_what_is_made_here(connected: Callable[[], Bridge]) -> None:
    """Of another bridge, by ``then``, by a transform, bare, and by ``put``: each goes its way."""
    async with connected() as bridge, connected() as other:
        own, theirs = bare(), other.send("[1, 2]")
        given = {
            "other": theirs,
            "chained": bridge.send("3").then(lambda value: value + 1),
            "changed": bridge.send("5", transform=str),
            "own": own,
            "put": bridge.put({"k": 6}),
            "deep": [{"own": own}],
        }
        uses = bridge.send("other, chained, changed, own, put['k'], deep[0]['own'] is own", given)
        behind = bridge.send("x[0][0]", {"x": uses})
        free = bridge.send("'free'")
        assert await free == "free"
        assert uses.state == "pending"
        own.set_result("mine")
        assert await uses == ([1, 2], 4, "5", "mine", 6, True)
        assert await behind == 1
    assert await theirs == [1, 2]


@pytest.mark.asyncio
async def test_nothing_stays_of_what_was_used(connected: Callable[[], Bridge]) -> None:
    """Values between commands, and of expressions, go when those that use them have run."""
    async with connected() as bridge:
        await bridge.send(
            "import gc, weakref\nlive = weakref.WeakSet()\nclass Thing:\n"
            "    def __init__(self): live.add(self)\n    def give(self): return Thing()"
        )
        made = bridge.send("Thing()")
        uses = [bridge.send("x is not None", {"x": [made, made.attr("give")()]}) for _ in range(9)]
        assert await asyncio.gather(*uses) == [True] * 9
        await made
        del made, uses
        await nothing_kept(bridge)
        await bridge.send("None")
        assert await bridge.send("gc.collect() and None; len(live)") == 0


# --- what fails ---


@pytest.mark.asyncio
async def test_dependents_never_start(connected: Callable[[], Bridge], gate: Gate) -> None:
    """Of a failure, of a cancelled one, and of what depends on those; the rest runs."""
    async with connected() as bridge:
        await bridge.send("ran = []")
        running = bridge.send(gate.code)
        await gate.reached()
        failing = bridge.send("1 / 0", name="the ratio")
        direct = bridge.send("ran.append(1)", {"x": failing})
        deep = bridge.send("ran.append(2)", {"x": {"k": [direct]}}, name="the report")
        by_key = failing["k"].promise()
        by_function = bridge.run(lambda x: x, [failing])
        unwanted = bridge.send("ran.append(3)")
        of_unwanted = bridge.send("ran.append(4)", {"x": (unwanted,)})
        free = bridge.send("ran.append(5)")
        unwanted.cancel()
        gate.open()
        for promise in (direct, by_key, by_function, deep):
            error = await error_of(promise)
            assert isinstance(error, DependencyError)
            assert isinstance(error.cause, ZeroDivisionError)
        assert "the report" in str(await error_of(deep))
        assert isinstance(await error_of(of_unwanted), DependencyError)
        assert isinstance(await error_of(failing), ZeroDivisionError)
        assert unwanted.cancelled()
        assert (await running, await free) == ("passed", None)
        assert await bridge.send("ran") == [5]


@pytest.mark.asyncio
async def test_what_has_failed_before(connected: Callable[[], Bridge]) -> None:
    """A promise that was rejected, or cancelled, fails what uses it, with its reason."""
    async with connected() as bridge, connected() as other:
        failed, theirs, own = bridge.send("1 / 0"), other.send("1 / 0"), bare()
        for promise in (failed, theirs):
            await error_of(promise)
        cancelled = bridge.send("1")
        cancelled.cancel()
        await asyncio.wait([cancelled])
        own.set_exception(ValueError("mine"))
        derived = failed.then(lambda value: value)
        await error_of(derived)
        for promise, cause in (
            (failed, ZeroDivisionError),
            (theirs, ZeroDivisionError),
            (derived, ZeroDivisionError),
            (own, ValueError),
            (cancelled, None),
        ):
            error = await error_of(bridge.send("ran = True", {"x": [promise]}))
            assert isinstance(error, DependencyError)
            assert cause is None or isinstance(error.__cause__, cause)
        assert await bridge.send("'ran' in globals()") is False


@pytest.mark.asyncio
async def test_of_a_bridge_that_is_closed(connected: Callable[[], Bridge], gate: Gate) -> None:
    """Its values that are here are used; what was to come rejects what waits for it."""
    async with connected() as bridge:
        async with connected() as other:
            there = other.send("[1]")
            await there
            running = other.send(gate.code)
            await gate.reached()
            waits = bridge.send("ran = True", {"x": running})
            await other.close(timeout=0)
        error = await error_of(waits)
        assert isinstance(error, DependencyError)
        assert isinstance(error.__cause__, BridgeClosed)
        assert isinstance(await error_of(running), BridgeClosed)
        assert await bridge.send("x", {"x": there}) == [1]
        late = await error_of(bridge.send("ran = True", {"x": running}))
        assert isinstance(late, DependencyError)
        assert await bridge.send("'ran' in globals()") is False


# --- decisions, priorities ---


@pytest.mark.asyncio
async def test_decisions() -> None:
    """What is decided is the value of those that use it; a retry has its own arguments again."""
    async with connect(backend=None, halt_on_error=True) as bridge:
        failing = bridge.send("1 / n", {"n": 0})
        uses = bridge.send("x + 1", {"x": failing})
        of_uses = bridge.send("x * 2", {"x": [uses, failing][0]})
        await halt(bridge)
        await bridge.decide(bridge.halted[0], Ignore(value=41))
        assert (await failing, await uses, await of_uses) == (41, 42, 84)
        rows = bridge.send("rows = [1, 2]\nrows")
        failing = bridge.send("x.append(3) if d else 1 / d\nx is rows", {"x": rows, "d": 0})
        uses = bridge.send("x, len(y)", {"x": failing, "y": rows})
        await halt(bridge)
        await bridge.decide(bridge.halted[0], Retry(bindings={"d": 1}))
        assert (await failing, await uses) == (True, (True, 3))
        failing = bridge.send("1 / 0")
        uses = bridge.send("ran = True", {"x": failing})
        await halt(bridge)
        with pytest.raises(SerializationError, match="elsewhere write `await promise`"):
            await bridge.decide(bridge.halted[0], Ignore(value=uses))
        await bridge.decide(bridge.halted[0], None)
        assert isinstance(await error_of(failing), RemoteError)
        assert isinstance(await error_of(uses), DependencyError)
        assert await bridge.send("'ran' in globals()") is False


@pytest.mark.asyncio
async def test_priorities(connected: Callable[[], Bridge], gate: Gate) -> None:
    """One of a high priority has what it uses made first, and passes what it does not use."""
    async with connected() as bridge:
        await bridge.send("order = []")
        running = bridge.send(gate.code)
        await gate.reached()
        between = bridge.send("order.append('between')")
        made = bridge.send("order.append('made') or 5")
        behind = bridge.send("order.append('behind')")
        urgent = bridge.send("order.append('urgent') or x", {"x": made}, priority=9)
        passes = bridge.send("order.append('passes')", priority=5)
        gate.open()
        assert await urgent == 5
        await asyncio.gather(running, between, behind, passes)
        order = await bridge.send("order")
        assert order.index("made") < order.index("urgent") < order.index("behind")
        assert order.index("passes") < order.index("behind")


# --- the worker's end ---


@pytest.mark.asyncio
async def test_commands_that_the_next_worker_runs(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """They use one another's values there; one that was told by then is passed on, too."""
    async with connected() as bridge:
        told = bridge.send("[10]")
        running = bridge.send(gate.code)
        made = bridge.send("[1, 2]")
        uses = bridge.send("sum(x) + y[0]", {"x": made, "y": told})
        deep = bridge.send("[x, y[0]]", {"x": uses, "y": [made[1]]})
        await gate.reached()
        assert await told == [10]
        await kill_worker(bridge)
        assert isinstance(await error_of(running), WorkerLost)
        assert (await made, await uses, await deep) == ([1, 2], 13, [13, 2])


@pytest.mark.asyncio
async def test_values_that_went_with_the_worker(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """What used a lost command fails with it; an object that stayed there is stale."""
    async with connected() as bridge:
        kept = bridge.send("object()")
        running = bridge.send(gate.code)
        of_lost = bridge.send("ran = True", {"x": running})
        of_kept = bridge.send("ran = True", {"x": kept})
        of_expression = bridge.send("ran = True", {"x": kept["k"]})
        await gate.reached()
        before, reference = bridge.incarnation, await kept
        await kill_worker(bridge)
        assert isinstance(await error_of(of_lost), DependencyError)
        stale, by_stale = await error_of(of_kept), await error_of(of_expression)
        assert isinstance(by_stale, DependencyError)
        for each in (stale, by_stale.__cause__):
            assert isinstance(each, StaleReference)
            assert (each.number, each.incarnation) == (reference.about.number, before)
        assert await bridge.send("'ran' in globals()") is False


# --- what waits here ---


@pytest.mark.asyncio
async def test_cancelled_and_out_of_time_while_it_waits(connected: Callable[[], Bridge]) -> None:
    """It is never sent, nor is what uses it, and what it waited for may come all the same."""
    async with connected() as bridge:
        own = bare()
        cancelled = bridge.send("ran = True", {"x": own})
        of_cancelled = bridge.send("ran = True", {"x": cancelled})
        late = bridge.send("ran = True", {"x": own}, timeout=0.001)
        of_late = bridge.send("ran = True", {"x": late})
        assert cancelled.cancel()
        assert cancelled.cancelled()
        assert isinstance(await error_of(of_cancelled), DependencyError)
        assert isinstance(await error_of(late), TimeoutError)
        assert isinstance(await error_of(of_late), DependencyError)
        own.set_result(1)
        assert bridge._awaiting.items == ()
        assert await bridge.send("'ran' in globals(), x", {"x": own}) == (False, 1)


@pytest.mark.asyncio
async def test_closing_while_one_waits(connected: Callable[[], Bridge]) -> None:
    """It is finished if its value comes in time, and rejected if the time is over."""
    async with connected() as bridge:
        own = bare()
        in_time = bridge.send("x + 1", {"x": own})
        uses = bridge.send("x + 1", {"x": in_time})
        closing = bridge.close()
        own.set_result(1)
        await closing
        assert (in_time.result(), uses.result()) == (2, 3)
    async with connected() as bridge:
        waits = bridge.send("x", {"x": bare()})
        uses = bridge.send("x", {"x": waits})
        await bridge.close(timeout=0)
        for promise in (waits, uses):
            assert isinstance(await error_of(promise), BridgeClosed)


def test_in_a_script(connected: Callable[[], Bridge], gate: Gate) -> None:
    """A sync bridge's commands use one another's values, and those of another one's."""
    with connected() as bridge, connected() as other:
        running = bridge.send(gate.code)
        gate.reached_sync()
        theirs = other.send("[1, 2]")
        uses = bridge.send("[x, *y]", {"x": running, "y": theirs})
        chain = [uses]
        for number in range(50):
            chain.append(bridge.send("[*x, n]", {"x": chain[-1], "n": number}))
        gate.open()
        values = chain[-1].wait_for_value(HANG_S)
        assert values == ["passed", 1, 2, *range(50)]
        derived = bridge.send("3").then(lambda value: value + 1)
        assert bridge.send("x", {"x": derived}).wait_for_value(HANG_S) == 4
        assert bridge.send("len(x)", {"x": uses[1:]}).wait_for_value(HANG_S) == 2
        failing = bridge.send("1 / 0")
        with pytest.raises(DependencyError):
            bridge.send("x", {"x": failing}).wait_for_value(HANG_S)

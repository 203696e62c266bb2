"""Promises as arguments: they stand for their values, and a command that uses one that fails never starts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge.client import Bridge, connect
from asyncbridge.decisions import Ignore, Raise, Retry
from asyncbridge.errors import (
    AsyncBridgeError,
    BridgeClosed,
    DependencyError,
    RemoteError,
    SerializationError,
    WorkerLost,
)
from asyncbridge.promise import Promise
from tests.limits import HANG_S

if TYPE_CHECKING:
    from tests.integration.conftest import Gate

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

RAN = "ran = []\ndef note(value):\n    ran.append(value)\n    return value"


async def ran(bridge: Bridge) -> Any:
    """Return what has run."""
    return await bridge.send("ran")


async def refused(promise: Promise[Any]) -> BaseException:
    """Return what a promise is rejected with, or that it was cancelled."""
    try:
        await promise
    except (AsyncBridgeError, asyncio.CancelledError, ArithmeticError) as error:
        return error
    raise AssertionError("it was fulfilled")


# --- where, and when ---


@pytest.mark.asyncio
async def test_in_every_place() -> None:
    """In containers of any depth, twice, as keyword, in expressions, in ``run`` and in ``put``."""
    async with connect(backend=None) as bridge:
        one, thing = bridge.send("1"), bridge.send("object()")
        value = {"a": [one, (one, {"b": one})], "c": {1: thing, 2: thing}}
        code = "v['a'], v['c'][1] is v['c'][2], type(v['c'][1]).__name__"
        assert await bridge.send(code, {"v": value}) == ([1, (1, {"b": 1})], True, "object")
        assert await bridge.run(lambda x, *, y: [x, y], one, y=[one]) == [1, [1]]
        bound = await bridge.put([one, 2])
        assert await bridge.send("x", {"x": bound}) == [1, 2]
        items = bridge.send("{'k': [10, 20]}")
        assert await bridge.send("x + y", {"x": items["k"][0], "y": items["k"][1]}) == 30
        assert await bridge.send("x", {"x": items["k"][one]}) == 20
        assert await bridge.send("x()", {"x": bridge.send("'a'").attr("upper")}) == "A"


@pytest.mark.asyncio
async def test_one_behind_another_without_waiting() -> None:
    """A hundred commands, each of which uses the one before it."""
    async with connect(backend=None) as bridge:
        promise = bridge.send("0")
        for _ in range(100):
            promise = bridge.send("x + 1", {"x": promise})
        assert await promise == 100


@pytest.mark.asyncio
async def test_in_every_state(gate: Gate) -> None:
    """In the backlog, sent, running, with an outcome, and with one that was awaited."""
    async with connect(backend=None) as bridge:
        early = bridge.send("1")
        assert await early == 1
        running = bridge.send(f"{gate.code}\n2")
        await gate.reached()
        queued = bridge.send("3")
        await bridge.drain()
        fresh = bridge.send("4")
        both = bridge.send("x", {"x": [early, running, queued, fresh]})
        gate.open()
        assert await both == [1, 2, 3, 4]
        assert await bridge.send("x", {"x": [running, queued, fresh]}) == [2, 3, 4]


@pytest.mark.asyncio
async def test_what_becomes_of_a_value_here() -> None:
    """A transform block, ``then`` and a promise of one's own: what they give is the argument."""
    async with connect(backend=None) as bridge:
        transformed = bridge.send("1", transform=lambda value: value + 10)
        derived = bridge.send("2").then(lambda value: value * 10)
        own: Any = Promise.with_resolvers()
        waiting = bridge.send("x", {"x": [transformed, derived, own.promise]})
        assert await bridge.send("'others go on'") == "others go on"
        own.resolve(3)
        assert await waiting == [11, 20, 3]
        put = bridge.put(5)
        assert await bridge.send("x + y", {"x": put, "y": put}) == 10


@pytest.mark.asyncio
async def test_of_another_bridge() -> None:
    """The value comes through here; what it is used with stays, though it is garbage by then."""
    async with connect(backend=None) as one, connect(backend=None) as two:
        far = one.send("[1, 2]")
        near, thing = await two.put(3), await two.send("{'key': 4}", keep=True)
        waiting = two.send("x + [y, z]", {"x": far, "y": near, "z": thing["key"]})
        del near, thing
        assert await waiting == [1, 2, 3, 4]


@pytest.mark.asyncio
async def test_expressions_of_another_bridge() -> None:
    """Each is evaluated there, once, and its value comes through here."""
    async with connect(backend=None) as one, connect(backend=None) as two:
        far: Any = one.send("{'a': [1, 2]}")
        thing: Any = await one.send("{'b': 3}", keep=True)
        item = far["a"]
        waiting = two.send("(x, y, z)", {"x": item, "y": [item], "z": thing["b"]})
        assert await waiting == ([1, 2], [[1, 2]], 3)
        with pytest.raises(ValueError, match="is in the worker of another bridge"):
            two.send("x", {"x": one.module("math")})


@pytest.mark.asyncio
async def test_a_value_that_cannot_go_there() -> None:
    """The error names the command, the promise, and what is wrong with its value."""
    async with connect(backend=None) as one, connect(backend=None) as two:
        far = one.send("object()", name="make")
        with pytest.raises(
            ValueError, match=r"^job.*: an argument, a promise \(make, number 1\), has"
        ):
            await two.send("x", {"x": far}, name="job")
        odd = one.send("1").then(lambda _: object())
        with pytest.raises(SerializationError, match="^job.*: an argument.* no wire form"):
            await two.send("x", {"x": [odd]}, name="job")


@pytest.mark.asyncio
async def test_types_and_built_in_functions() -> None:
    """They are the worker's own, where Python or numpy has them; others are refused with what to do."""
    async with connect(backend=None) as bridge:
        given = {"f": len, "deep": [{"t": float}, KeyError, np.float32, float]}
        code = "[f is len, deep == [{'t': float}, KeyError, np.float32, float]]"
        assert await bridge.send(f"import numpy as np\n{code}", given) == [True, True]
        array: Any = await bridge.send("np.array([1.5, 2.5])", keep=True)
        assert (await array.astype(np.int8)).tolist() == [1, 2]
        for value, advice in (
            (Promise, r"bridge\.module"),
            (refused, "keep=True"),
            (asyncio.Event().wait(), "from_awaitable"),
        ):
            with pytest.raises(SerializationError, match=advice):
                bridge.send("x", {"x": value})
            if asyncio.iscoroutine(value):
                value.close()


# --- what fails ---


@pytest.mark.asyncio
async def test_a_long_chain_of_those_that_failed() -> None:
    """Each tells of the first cause, and is no longer than the others."""
    async with connect(backend=None) as bridge:
        last: Any = bridge.send("1 / 0", name="first")
        chain = [last := bridge.send("x", {"x": last}) for _ in range(2_000)]
        errors = [await refused(each) for each in chain]
    assert max(len(str(error)) for error in errors) < 200
    for error in errors:
        assert isinstance(error, DependencyError)
        assert isinstance(error.cause, ZeroDivisionError)
        assert error.type == "ZeroDivisionError"


async def fail(bridge: Bridge) -> Promise[Any]:
    """Fail in the worker, after the commands that use it are on their way."""
    return bridge.send("1 / 0")


async def fail_first(bridge: Bridge) -> Promise[Any]:
    """Have failed."""
    promise = bridge.send("1 / 0")
    assert isinstance(await refused(promise), ZeroDivisionError)
    return promise


async def fail_derived(bridge: Bridge) -> Promise[Any]:
    """Fail in a handler here."""
    return bridge.send("0").then(lambda value: 1 / value)


async def fail_cancelled(bridge: Bridge) -> Promise[Any]:
    """Be cancelled before it is sent."""
    promise = bridge.send("1")
    assert promise.cancel()
    return promise


async def fail_on_another(bridge: Bridge) -> Promise[Any]:
    """Be rejected, and nobody's command."""
    return Promise.reject(ZeroDivisionError("mine"))


@pytest.mark.parametrize("how", [fail, fail_first, fail_derived, fail_cancelled, fail_on_another])
@pytest.mark.asyncio
async def test_one_that_fails(how: Callable[[Bridge], Any]) -> None:
    """Those that use it never start, nor do those that use them; others do."""
    async with connect(backend=None) as bridge:
        await bridge.send(RAN)
        failed = await how(bridge)
        first = bridge.send("note(x)", {"x": [failed]})
        second = bridge.send("note(x)", {"x": first})
        other = bridge.send("note('other')")
        errors = [await refused(each) for each in (first, second)]
        assert all(isinstance(error, AsyncBridgeError) for error in errors)
        assert "was not run" in str(errors[0])
        await refused(failed)
        assert await other == "other"
        assert await ran(bridge) == ["other"]


@pytest.mark.asyncio
async def test_of_a_bridge_that_is_closed() -> None:
    """The command is not run, and says why; a value that has come by then is of use."""
    async with connect(backend=None) as bridge:
        async with connect(backend=None) as other:
            done = other.send("1")
            assert await done == 1
            running = other.send("while True: pass")
            waiting = bridge.send("x", {"x": running})
            await other.close(timeout=0)
        assert isinstance(await refused(running), BridgeClosed)
        error = await refused(waiting)
        assert isinstance(error, AsyncBridgeError)
        assert "closed" in str(error)
        assert await bridge.send("x", {"x": done}) == 1


@pytest.mark.asyncio
async def test_nothing_is_left_of_what_never_ran() -> None:
    """Not even of what was evaluated for it: the account is as it was, commands go on."""
    async with connect(backend=None) as bridge:
        await bridge.send("class Watched: pass\nimport weakref, gc\nthing = {'x': Watched()}")
        await bridge.send("there = weakref.ref(thing['x'])")
        thing = await bridge.send("thing", keep=True)
        failed = bridge.send("1 / 0")
        unsent = bridge.send("x, y", {"x": thing["x"], "y": failed})
        with pytest.raises(AsyncBridgeError):
            bridge.send("x, y", {"x": thing["x"], "y": object()})
        await refused(unsent)
        await refused(failed)
        own: Any = Promise.with_resolvers()
        waiting = bridge.send("x, y", {"x": thing["x"], "y": own.promise})
        assert waiting.cancel()
        await bridge.send("thing.clear()")
        async with asyncio.timeout(HANG_S):
            while await bridge.send("gc.collect()\nthere() is not None"):
                await asyncio.sleep(0)


# --- halts, priorities, cancelling, time ---


@pytest.mark.parametrize(("decision", "given"), [
    (Ignore(value=7), [7, 8]),
    (Retry(code="5"), [5, 6]),
    (Retry(bindings={"n": 2}), [0.5, 1.5]),
])  # fmt: skip
@pytest.mark.asyncio
async def test_halts(decision: Any, given: list[float]) -> None:
    """What is decided for a command is what those get that use it."""
    async with connect(backend=None) as bridge:
        bridge.on_error(lambda error: decision)
        first = bridge.send("1 / n", {"n": 0})
        second = bridge.send("x + 1", {"x": first})
        assert await bridge.send("[x, y]", {"x": first, "y": second}) == given


@pytest.mark.asyncio
async def test_a_halt_that_ends_in_the_error() -> None:
    """Those that use it never start."""
    async with connect(backend=None) as bridge:
        await bridge.send(RAN)
        bridge.on_error(lambda error: Raise())
        first = bridge.send("1 / 0")
        second = bridge.send("note(x)", {"x": first})
        assert isinstance(await refused(first), ZeroDivisionError)
        assert isinstance(await refused(second), AsyncBridgeError)
        assert await ran(bridge) == []


@pytest.mark.asyncio
async def test_priorities(gate: Gate) -> None:
    """Nothing goes ahead of what it uses, however high it is; the rest does."""
    async with connect(backend=None) as bridge:
        await bridge.send(RAN)
        held = bridge.send(gate.code)
        await gate.reached()
        low = bridge.send("note('low')")
        high = bridge.send("note(x + ' used')", {"x": low}, priority=9)
        free = bridge.send("note('free')", priority=5)
        gate.open()
        await asyncio.gather(held, low, high, free)
        assert await ran(bridge) == ["free", "low", "low used"]


@pytest.mark.asyncio
async def test_cancelling_one_that_waits() -> None:
    """It is over at once, and so are those that use it; what it waited for is not."""
    async with connect(backend=None) as bridge:
        own: Any = Promise.with_resolvers()
        waiting = bridge.send("x", {"x": own.promise})
        behind = bridge.send("x", {"x": waiting})
        assert waiting.cancel("not needed")
        with pytest.raises(asyncio.CancelledError, match="not needed"):
            await waiting
        assert isinstance(await refused(behind), AsyncBridgeError)
        assert own.promise.state == "pending"
        own.resolve(1)
        assert await bridge.send("x", {"x": own.promise}) == 1


@pytest.mark.asyncio
async def test_a_time_limit_of_one_that_waits() -> None:
    """It counts from ``send``; those that use it fail with it."""
    async with connect(backend=None) as bridge:
        own: Any = Promise.with_resolvers()
        waiting = bridge.send("x", {"x": own.promise}, timeout=0.05)
        behind = bridge.send("x", {"x": waiting})
        with pytest.raises(TimeoutError, match=r"no outcome of the command after 0\.05 s"):
            await waiting
        assert isinstance(await refused(behind), AsyncBridgeError)
        own.resolve(1)
        assert await bridge.send("2") == 2


@pytest.mark.asyncio
async def test_closing_while_one_waits() -> None:
    """A value that comes in time is used; what never comes is told, and takes the limit."""
    async with connect(backend=None) as bridge:
        own: Any = Promise.with_resolvers()
        in_time = bridge.send("x", {"x": own.promise})
        asyncio.get_running_loop().call_soon(own.resolve, 1)
        await bridge.close()
        assert await in_time == 1
    bridge = await connect(backend=None)
    never = bridge.send("x", {"x": Promise.with_resolvers().promise})
    await bridge.close(timeout=0)
    with pytest.raises(BridgeClosed, match="an argument had not come"):
        await never


@pytest.mark.asyncio
async def test_the_worker_is_killed_in_between(gate: Gate) -> None:
    """What was not started runs in the next one, with the values it uses; what needs a value that is lost does not."""
    async with connect(backend=None, restart="on-failure") as bridge:
        lost = bridge.send(f"{gate.code}\n1")
        await gate.reached()
        first = bridge.send("[20]")
        chained = bridge.send("x + [1]", {"x": first})
        depends = bridge.send("x", {"x": lost})
        own: Any = Promise.with_resolvers()
        waiting = bridge.send("x + y", {"x": chained, "y": own.promise})
        kill = lost.cancel(mode="kill")
        assert kill
        assert isinstance(await refused(lost), WorkerLost | asyncio.CancelledError)
        assert await chained == [20, 1]
        assert isinstance(await refused(depends), AsyncBridgeError)
        own.resolve([3])
        assert await waiting == [20, 1, 3]


def test_in_a_script() -> None:
    """The same without an event loop, from any thread."""
    with connect(backend=None) as bridge:
        one = bridge.send("[1]")
        assert bridge.send("x + [2]", {"x": one}).wait_for_value() == [1, 2]
        derived = one.then(lambda value: value * 2)
        thing = bridge.send("{'k': 3}", keep=True).wait_for_value()
        waiting = bridge.send("x + [y]", {"x": derived, "y": thing["k"]})
        assert waiting.wait_for_value() == [1, 1, 3]
        failed = bridge.send("1 / 0")
        with pytest.raises(AsyncBridgeError, match="was not run"):
            bridge.send("x", {"x": failed}).wait_for_value()
        with pytest.raises(RemoteError):
            failed.wait_for_value()
        thing.release()
        assert bridge.send("2").wait_for_value() == 2

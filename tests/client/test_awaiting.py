"""Commands that cannot be sent yet."""

from __future__ import annotations

import asyncio

import pytest

from asyncbridge.errors import AsyncBridgeError, BridgeClosed, DependencyError, RemoteError
from asyncbridge.promise import Promise
from asyncbridge.testing import FakeWorker

pytestmark = pytest.mark.asyncio


async def test_nothing_waits_for_what_is_in_the_worker() -> None:
    """A chain of commands goes at once; the values in between need not come here."""
    async with FakeWorker().connect() as bridge:
        one = bridge.send("1")
        two = bridge.send("a + 1", {"a": one})
        four = bridge.send("a + b[0]", {"a": two, "b": [two]})
        assert bridge._awaiting.items == ()
        assert await four == 4


async def test_a_promise_that_somebody_here_keeps() -> None:
    """The command waits for it, and those behind keep their order."""
    async with FakeWorker().connect() as bridge:
        own: Promise[int] = Promise(loop=asyncio.get_running_loop())
        bridge.send("seen = []")
        waits = bridge.send("seen.append(a); a", {"a": own})
        behind = bridge.send("seen.append('behind'); list(seen)", after=[waits])
        assert len(bridge._awaiting.items) >= 1
        own.set_result(5)
        assert await waits == 5
        assert await behind == [5, "behind"]
        assert bridge._awaiting.items == ()


async def test_values_that_are_made_here() -> None:
    """Of ``then``, of a transform, of another bridge: each comes through here, and goes on."""
    async with FakeWorker().connect() as bridge, FakeWorker().connect() as other:
        chained = bridge.send("1").then(lambda value: value + 1)
        changed = bridge.send("2").transform(lambda value: value * 10)
        foreign = other.send("'x'")
        bindings = {"a": chained, "b": changed, "c": [foreign]}
        assert await bridge.send("(a, b, c)", bindings) == (2, 20, ["x"])


async def test_a_value_that_was_told_already() -> None:
    """It is passed on as it came."""
    async with FakeWorker().connect() as bridge:
        promise = bridge.send("[1, 2]")
        await promise
        assert await bridge.send("sum(a)", {"a": promise}) == 3


async def test_a_promise_that_fails_here() -> None:
    """The command fails unrun, with the reason as its cause; those behind go on."""
    async with FakeWorker().connect() as bridge:
        own: Promise[int] = Promise(loop=asyncio.get_running_loop())
        promise = bridge.send("ran = True", {"a": own})
        reason = ValueError("no value")
        own.set_exception(reason)
        with pytest.raises(AsyncBridgeError, match="no value") as caught:
            await promise
        assert caught.value.__cause__ is reason
        assert await bridge.send("'ran' in globals()") is False


async def test_a_command_that_fails_there() -> None:
    """So do those that use its value, and their cause is the first error."""
    async with FakeWorker().connect() as bridge:
        fails = bridge.send("1 / 0")
        uses = bridge.send("ran = True", {"a": fails})
        late = bridge.send("ran = True", {"a": {"b": uses}})
        with pytest.raises(RemoteError, match="ZeroDivisionError"):
            await fails
        for promise in (uses, late):
            with pytest.raises(DependencyError) as caught:
                await promise
            assert "ZeroDivisionError" in str(caught.value)
        assert await bridge.send("'ran' in globals()") is False


async def test_cancelled_while_it_waits() -> None:
    """It is gone, the promise that it waited for is not, and those behind are sent."""
    async with FakeWorker().connect() as bridge:
        own: Promise[int] = Promise(loop=asyncio.get_running_loop())
        waits = bridge.send("ran = True", {"a": own})
        behind = bridge.send("'ran' in globals()")
        assert waits.cancel()
        assert waits.cancelled()
        assert not own.done()
        assert await behind is False
        own.set_result(1)
        assert bridge._awaiting.items == ()


async def test_the_bridge_closes_while_one_waits() -> None:
    """It is finished like any other, if its value comes in time."""
    async with FakeWorker().connect() as bridge:
        own: Promise[int] = Promise(loop=asyncio.get_running_loop())
        waits = bridge.send("a + 1", {"a": own})
        closing = bridge.close()
        own.set_result(1)
        await closing
        assert waits.result() == 2


async def test_the_time_to_close_is_over_while_one_waits() -> None:
    """It is rejected, and says that it was not sent."""
    async with FakeWorker().connect() as bridge:
        own: Promise[int] = Promise(loop=asyncio.get_running_loop())
        waits = bridge.send("a", {"a": own})
        await bridge.close(timeout=0)
        with pytest.raises(BridgeClosed, match="closed before the command could be sent"):
            await waits
        assert bridge._awaiting.items == ()
        own.set_result(1)

"""How long what is set in a real worker stays there, whatever becomes of commands."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge.client import Bridge, connect
from asyncbridge.errors import AsyncBridgeError, RemoteError, SerializationError, StaleReference
from asyncbridge.lifetime import Hold, Leased, Terms
from asyncbridge.references import Ref
from asyncbridge.tasks import spawn
from tests.limits import HANG_S

if TYPE_CHECKING:
    from tests.integration.conftest import Gate

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]


async def names(bridge: Bridge) -> dict[str, str]:
    """Return what is in the worker, with its lifetimes."""
    return {each.name: each.lifetime for each in await bridge.bindings() if each.name}


async def settled(bridge: Bridge) -> None:
    """Wait until the worker has heard of what is garbage here."""
    for _ in range(2):  # what the last turns of the loop have held goes first
        gc.collect()
        await asyncio.sleep(0)
        await bridge.send("None")


async def nothing_left(bridge: Bridge) -> dict[str, str]:
    """Wait until there is nothing."""
    async with asyncio.timeout(HANG_S):
        while now := await names(bridge):
            await asyncio.sleep(0)
    return now


# --- bindings of one command ---


async def test_a_command_leaves_nothing_of_its_bindings(gate: Gate) -> None:
    """Whether it succeeds, fails or is stopped; code may rebind them, or delete them."""
    async with connect(backend=None) as bridge:
        assert await bridge.send("x = x + 1; x", {"x": 1}) == 2
        with pytest.raises(RemoteError, match="ZeroDivisionError"):
            await bridge.send("y = 1 / x", {"x": 0})
        await bridge.send("del x", {"x": 1})
        stopped = bridge.send(f"{gate.code}\nwhile True: pass", {"x": 1})
        await gate.reached()
        assert (await names(bridge))["x"] == "command"
        gate.open()
        assert stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped
        assert await names(bridge) == {}


async def test_a_name_that_a_binding_has_shadowed(gate: Gate) -> None:
    """It stands for what it did before, however the command ends."""
    async with connect(backend=None) as bridge:
        await bridge.send("x = 'code'")
        bound = await bridge.put("bound", name="b")
        for code in ("x = b = 0", "1 / 0", "del x, b"):
            with contextlib.suppress(RemoteError):
                await bridge.send(code, {"x": 1, "b": 2})
        stopped = bridge.send(f"{gate.code}\nwhile True: pass", {"x": 3, "b": 4})
        await gate.reached()
        gate.open()
        assert stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped
        assert await bridge.send("[x, y]", {"y": bound}) == ["code", "bound"]
        assert await names(bridge) == {"x": "code", "b": "collected"}


async def test_names_that_code_assigns_stay() -> None:
    """Also next to bindings that go."""
    async with connect(backend=None) as bridge:
        await bridge.send("kept = given", {"given": [1]})
        assert await names(bridge) == {"kept": "code"}


@pytest.mark.parametrize("debug", [True, False])
async def test_who_keeps_a_value_alive(debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    """With ``debug=True`` the log names the holder, and the command's line; else it says nothing."""
    async with connect(backend=None, debug=debug) as bridge:
        await bridge.send("import collections\nkeep = []")
        with caplog.at_level(logging.WARNING, "asyncbridge.lifetime"):
            await bridge.send("len(x)", {"x": [1]})
            assert caplog.text == ""
            await bridge.send("keep.append(x)", {"x": [1]}, name="hoard")
            await bridge.send("def later(): return held()\nheld = lambda y=x: y", {"x": [2]})
        said = [record.getMessage() for record in caplog.records]
    if not debug:
        assert said == []
        return
    assert len(said) == 2
    assert "hoard" in said[0]
    assert "its binding 'x' (list) lives on: kept by" in said[0]
    assert "keep" in said[0]
    assert "test_lifetimes.py" in said[0]
    assert "kept by the default of argument y of function" in said[1]


async def test_who_keeps_a_value_of_a_command_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    """It is told as well; that its error held it, is not."""
    async with connect(backend=None, debug=True) as bridge:
        await bridge.send("keep = []")
        with caplog.at_level(logging.WARNING, "asyncbridge.lifetime"):
            for code in ("x[0] / 0", "keep.append(x)\nx[0] / 0"):
                with pytest.raises(ZeroDivisionError):
                    await bridge.send(code, {"x": [1]})
            await bridge.send("x", {"x": [1]}, keep=True)
            await bridge.send("None")
        said = [record.getMessage() for record in caplog.records]
    assert said == ["command 3: its binding 'x' (list) lives on: kept by name 'keep': keep[0]"]


async def test_collecting_is_behind_what_is_garbage_here() -> None:
    """What was let go of by then is not in the worker any more."""
    async with connect(backend=None) as bridge:
        for _ in range(20):
            data = await bridge.put([1])
            await asyncio.sleep(0)  # asyncio itself has the promise until then
            del data
            await bridge.collect()
            assert await bridge.bindings() == []


# --- groups ---


async def test_a_scope() -> None:
    """What is made in it goes at its end; what was there before, and eternal bindings, stay."""
    async with connect(backend=None) as bridge:
        await bridge.send("class Thing: pass\nold, new = Thing(), Thing()")
        before = await bridge.send("old")
        with bridge.scope() as scope:
            same = await bridge.send("old")
            made: Ref = await bridge.send("new")
            bound = await bridge.put(1, name="bound")
            await bridge.put(2, name="stays", lifetime="eternal")
            late = bridge.send("type(x).__name__, y", {"x": made, "y": bound})
            assert repr(scope) == "<Scope [1 bindings, 1 references] open>"
        assert same is before
        assert await late == ("Thing", 1)
        for handle in (made, bound):
            with pytest.raises(StaleReference, match="at the end of its scope"):
                bridge.send("x", {"x": handle})
        assert await bridge.send("type(x).__name__", {"x": before}) == "Thing"
        await settled(bridge)
        rows = await bridge.bindings()
        assert [row.number for row in rows if not row.name] == [before.about.number]
        assert {"bound", "stays"} & {row.name for row in rows} == {"stays"}


async def test_a_scope_ends_with_an_error_and_is_for_its_task() -> None:
    """What another task makes meanwhile is not its business."""
    async with connect(backend=None) as bridge:
        other = asyncio.Event()

        async def beside() -> Any:
            await other.wait()
            return await bridge.put(1, name="beside")

        task = spawn(beside(), name="beside")
        with pytest.raises(KeyError):
            async with bridge.scope():
                await bridge.put(2, name="within")
                other.set()
                await task
                raise KeyError
        binding = task.result()
        await settled(bridge)
        assert await bridge.send("x", {"x": binding}) == 1
        assert await names(bridge) == {"beside": "collected"}


async def test_a_name_that_was_set_anew_outside_of_the_scope() -> None:
    """The scope's end does not take it: it is another value."""
    async with connect(backend=None) as bridge:
        with bridge.scope():
            inner = await bridge.put(1, name="x")
            task = contextvars.Context().run(lambda: spawn(put_outside(bridge), name="outside"))
            outer = await task
        await settled(bridge)
        assert await bridge.send("x", {"x": outer}) == 2
        assert inner.name == "x"


async def put_outside(bridge: Bridge) -> Any:
    """Set a name where no scope is."""
    return await bridge.put(2, name="x")


async def test_what_is_open_when_the_bridge_closes() -> None:
    """A scope, and a context in the worker: a warning counts them."""
    bridge = await connect(backend=None)
    scope = bridge.scope()
    scope.__enter__()
    await bridge.send("import contextlib, io")
    manager = await bridge.send("contextlib.closing(io.StringIO())")
    await manager.__aenter__()
    with pytest.warns(ResourceWarning, match="closes with 1 scope and 1 remote context open"):
        await bridge.close()


# --- policies ---


async def test_deleting() -> None:
    """By name or by handle; a handle that was deleted says so; what is not there is an error."""
    async with connect(backend=None) as bridge:
        one, two = await bridge.put(1), await bridge.put(2, name="two", lifetime="eternal")
        await bridge.send("code = 3")
        await bridge.delete(one, "two", "code")
        assert await names(bridge) == {}
        for use in (lambda: bridge.send("x", {"x": one}), lambda: bridge.delete(one)):
            with pytest.raises(StaleReference, match=r"was released: by delete\(\)"):
                use()
        with pytest.raises(StaleReference):
            bridge.delete(two)
        with pytest.raises(NameError, match="'two' is not defined"):
            await bridge.delete("two")


async def test_a_lease() -> None:
    """It goes when it is over, whoever has a handle; and so does that of a command that failed."""
    async with connect(backend=None) as bridge:
        binding = await bridge.put(1, lifetime=Leased(0.2))
        assert repr(binding).endswith("leased for 0.2 s>")
        with pytest.raises(RemoteError, match="ZeroDivisionError"):
            await bridge.send("1 / 0", {"x": 2}, lifetime=Leased(0.2))
        assert await nothing_left(bridge) == {}
        # The worker's clock began a little earlier than that of the handle.
        with pytest.raises((NameError, StaleReference)):
            await bridge.send("x", {"x": binding})


async def test_what_outlives_a_command_that_fails() -> None:
    """It is the client's, as after any other."""
    async with connect(backend=None) as bridge:
        with pytest.raises(RemoteError, match="ZeroDivisionError"):
            await bridge.send("1 / 0", {"x": 1}, lifetime="eternal")
        with pytest.raises(SyntaxError):
            bridge.send("1 /", {"y": 1}, lifetime="eternal")
        assert await names(bridge) == {"x": "eternal"}


class Turns:
    """Keeps the newest bindings, so many of them."""

    name = "turns"
    terms = Terms(ends="session")

    def __init__(self, most: int) -> None:
        self._most = most
        self._holds: list[Hold] = []

    def begin(self, hold: Hold) -> None:
        """Let the oldest go."""
        self._holds.append(hold)
        for old in self._holds[: -self._most]:
            old.release()


async def test_a_policy_of_ones_own() -> None:
    """It decides; a name that was set anew meanwhile is not its business any more."""
    async with connect(backend=None) as bridge:
        policy = Turns(2)
        for number in range(4):
            await bridge.send("None", {f"x{number}": number}, lifetime=policy)
        await settled(bridge)
        assert await names(bridge) == {"x2": "collected", "x3": "collected"}
        await bridge.put(20, name="x2", lifetime="eternal")
        for number in range(4, 6):
            await bridge.send("None", {f"x{number}": number}, lifetime=policy)
        await settled(bridge)
        assert await names(bridge) == {"x2": "eternal", "x4": "collected", "x5": "collected"}


# --- what fails leaves it as it was ---


async def fail_locally(bridge: Bridge) -> None:
    """Put what has no wire form."""
    with pytest.raises(SerializationError):
        bridge.put(object(), name="x")


async def fail_cancelled(bridge: Bridge) -> None:
    """Put, and take it back."""
    promise = bridge.put(2, name="x")
    assert promise.cancel()
    with pytest.raises(asyncio.CancelledError):
        await promise


async def fail_by_an_argument(bridge: Bridge) -> None:
    """Put what never comes to be."""
    with pytest.raises(RemoteError):
        await bridge.put(bridge.send("1 / 0"), name="x")


@pytest.mark.parametrize("fail", [fail_locally, fail_cancelled, fail_by_an_argument])
async def test_a_put_that_fails(fail: Callable[[Bridge], Any]) -> None:
    """The name stands for what it did, and goes with whoever had that."""
    async with connect(backend=None) as bridge:
        before = await bridge.put(1, name="x")
        with contextlib.suppress(AsyncBridgeError):
            await fail(bridge)
        await settled(bridge)
        assert await bridge.send("x", {"x": before}) == 1
        del before
        await settled(bridge)
        assert await names(bridge) == {}


async def test_a_put_that_fails_between_two_others() -> None:
    """The newest value is what the name stands for; the handle on the first is of no use."""
    async with connect(backend=None) as bridge:
        first = await bridge.put(1, name="x")
        failing, last = bridge.put(bridge.send("1 / 0"), name="x"), bridge.put(3, name="x")
        with pytest.raises(AsyncBridgeError):
            await failing
        binding = await last
        await settled(bridge)
        assert await bridge.send("x", {"x": binding}) == 3
        with pytest.raises(StaleReference, match="bound anew"):
            bridge.send("x", {"x": first})


async def test_a_put_that_fails_leaves_what_code_has_set() -> None:
    """Nothing is released that was never set."""
    async with connect(backend=None) as bridge:
        await bridge.send("x = 5")
        await fail_cancelled(bridge)
        await settled(bridge)
        assert await bridge.send("x") == 5


async def test_a_name_that_is_put_again_at_once() -> None:
    """The release of the old value, which is under way, does not take the new one along."""
    async with connect(backend=None) as bridge:
        old = await bridge.put(1, name="x")
        del old
        new = await bridge.put(2, name="x")
        await settled(bridge)
        assert await bridge.send("x", {"x": new}) == 2


async def test_a_handle_that_is_unpickled_beside_its_own() -> None:
    """Either keeps the binding, whichever goes first."""
    async with connect(backend=None) as bridge:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("asyncbridge.client.keeping.PICKLED_LEASE_S", 0.01)
            first = await bridge.put(1, name="x")
            second, third = [pickle.loads(pickle.dumps(first)) for _ in range(2)]
        [row] = await bridge.bindings()
        del first, third
        await settled(bridge)
        async with asyncio.timeout(HANG_S):
            while "a lease" in (row := (await bridge.bindings())[0]).holders:
                await asyncio.sleep(0)
        assert await bridge.send("x", {"x": second}) == 1
        del second
        await settled(bridge)
        assert await names(bridge) == {}
        assert row.lifetime == "collected"

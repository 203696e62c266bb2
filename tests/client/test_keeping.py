"""Bindings and references of a bridge: their ends, and their ways to other processes."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge.client.keeping import name_of
from asyncbridge.errors import BridgeClosed, RemoteError, StaleReference
from asyncbridge.lifetime import Leased
from asyncbridge.testing import FakeWorker

if TYPE_CHECKING:
    from asyncbridge.client import Bridge
    from asyncbridge.lifetime import Hold

pytestmark = pytest.mark.asyncio


async def living(bridge: Bridge) -> dict[str, str]:
    """Return lifetimes by name, behind all that was released by now; kept objects have none."""
    await bridge.send("1")
    return {each.name: each.lifetime for each in await bridge.bindings()}


async def test_lifetimes_of_a_put() -> None:
    """The worker knows each; what is collected goes with its handle."""
    async with FakeWorker().connect() as bridge:
        await bridge.put(1, name="for_good", lifetime="eternal")
        await bridge.put(2, name="for_a_time", lifetime=Leased(60))
        binding = await bridge.put(3, name="with_me")
        assert await living(bridge) == {
            "for_good": "eternal", "for_a_time": "leased 60.0", "with_me": "collected",
        }  # fmt: skip
        del binding
        gc.collect()
        assert set(await living(bridge)) == {"for_good", "for_a_time"}


async def test_a_policy_of_ones_own() -> None:
    """It has each binding's hold, and lets go when it likes."""

    class Own:
        name = "until I say so"
        terms = Leased(3600).terms

        def __init__(self) -> None:
            self.holds: list[Hold] = []

        def begin(self, hold: Hold) -> None:
            self.holds.append(hold)

    async with FakeWorker().connect() as bridge:
        policy = Own()
        binding = await bridge.put(1, name="x", lifetime=policy)
        await bridge.send("1", {"y": 2}, lifetime=policy)
        assert binding.lifetime == "until I say so"
        assert [hold.name for hold in policy.holds] == ["x", "y"]


async def test_deleting() -> None:
    """By name or by binding, also what code has set; what is not there is an error."""
    async with FakeWorker().connect() as bridge:
        binding = await bridge.put(1, name="x")
        await bridge.put(1, name="y", lifetime="eternal")
        await bridge.send("z = 1")
        await bridge.delete(binding, "y", "z")
        assert await living(bridge) == {}
        with pytest.raises(RemoteError, match="NameError"):
            await bridge.delete("x")
        with pytest.raises(StaleReference, match=r"was released: by delete\(\)"):
            bridge.send("x", {"x": binding})


async def test_what_can_be_deleted() -> None:
    """Names do; of what is none the text says what to do."""
    async with FakeWorker().connect() as bridge:
        reference = await bridge.send("object()")
        with pytest.raises(TypeError, match=r"has no name to be deleted: release\(\) lets go"):
            bridge.delete(reference)
        with pytest.raises(TypeError, match="takes names and bindings, not 3"):
            name_of(3)
        assert name_of(bridge.binding("x")) == name_of("x") == "x"


async def test_a_released_reference() -> None:
    """Commands that were sent before have it still; the object goes behind them."""
    async with FakeWorker().connect() as bridge:
        reference = await bridge.send("object()")
        uses = bridge.send("type(x).__name__", {"x": reference})
        reference.release()
        assert await uses == "object"
        assert await living(bridge) == {}


async def test_what_stays_whatever_it_is() -> None:
    """``keep`` gives a reference to what has a wire form, too."""
    async with FakeWorker().connect() as bridge:
        rows = await bridge.send("[1, 2]", keep=True)
        await bridge.send("rows.append(3)", {"rows": rows})
        assert await rows.value() == [1, 2, 3]
        assert await bridge.send("a is b", {"a": rows, "b": rows}) is True


async def test_modules() -> None:
    """They are imported over there when they are used; one that is not there says so then."""
    async with FakeWorker().connect() as bridge:
        assert await bridge.module("math").floor(2.5) == 2
        missing = bridge.module("no_such_module_here").anything
        with pytest.raises(RemoteError, match="no_such_module_here"):
            await missing


async def test_pickled_and_back() -> None:
    """In this process it is the same reference; a binding is another handle on the same name."""
    async with FakeWorker().connect() as bridge:
        reference, binding = await bridge.send("object()"), await bridge.put(5, name="five")
        again: Any = pickle.loads(pickle.dumps((reference, binding)))
        assert again[0] is reference
        assert str(again[1]) == "five"
        del binding
        gc.collect()
        assert await bridge.send("x", {"x": again[1]}) == 5
        assert copy.copy(reference) is reference
        text = pickle.dumps(reference)
    with pytest.raises(BridgeClosed, match="unpickle it where a bridge to its worker is open"):
        pickle.loads(text)


async def test_unpickled_at_another_worker() -> None:
    """It is refused, with both workers."""
    async with FakeWorker().connect() as bridge:
        text = pickle.dumps(await bridge.send("object()"))
    async with FakeWorker().connect():
        with pytest.raises(StaleReference, match="is of worker .* to another one"):
            pickle.loads(text)

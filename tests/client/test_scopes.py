"""Groups of what lives in the worker."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from asyncbridge.client.scopes import current_scope
from asyncbridge.errors import StaleReference
from asyncbridge.testing import FakeWorker

if TYPE_CHECKING:
    from asyncbridge.client import Bridge

pytestmark = pytest.mark.asyncio


async def names(bridge: Bridge) -> set[str]:
    """Return what lives in the worker by a name, behind all that was released by now."""
    await bridge.send("1")
    return {each.name for each in await bridge.bindings() if each.name}


async def test_what_is_made_in_it_ends_with_it() -> None:
    """Bindings and references, whoever still has them; what was made outside stays."""
    async with FakeWorker().connect() as bridge:
        outside, kept = await bridge.put(1, name="outside"), await bridge.send("object()")
        with bridge.scope() as scope:
            inside = await bridge.put(2, name="inside")
            reference = await bridge.send("object()")
            assert repr(scope) == "<Scope [1 bindings, 1 references] open>"
            assert await bridge.send("a + b", {"a": inside, "b": outside}) == 3
        assert repr(scope) == "<Scope [0 bindings, 0 references] ended>"
        assert await names(bridge) == {"outside"}
        for gone in (inside, reference):
            with pytest.raises(StaleReference, match="at the end of its scope"):
                bridge.send("x", {"x": gone})
        assert await bridge.send("x", {"x": kept}) is kept


async def test_commands_that_were_sent_in_it_still_have_it() -> None:
    """The end is behind them."""
    async with FakeWorker().connect() as bridge:
        async with bridge.scope():
            promise = bridge.send("x", {"x": await bridge.put(5)})
        assert await promise == 5


async def test_a_reference_that_comes_late() -> None:
    """It is released when it comes: what was sent in the scope is the scope's."""
    async with FakeWorker().connect() as bridge:
        with bridge.scope():
            promise = bridge.send("object()")
        reference = await promise
        with pytest.raises(StaleReference, match="at the end of its scope"):
            bridge.send("x", {"x": reference})


async def test_one_inside_another() -> None:
    """What is made is the innermost one's."""
    async with FakeWorker().connect() as bridge:
        with bridge.scope() as outer:
            kept = [await bridge.put(1, name="first")]
            with bridge.scope() as inner:
                kept.append(await bridge.put(2, name="second"))
                assert current_scope(bridge) is inner
            assert current_scope(bridge) is outer
            assert await names(bridge) == {"first"}
        assert current_scope(bridge) is None
        assert await names(bridge) == set()


async def test_one_bridge_s_scope() -> None:
    """What is made by another one is not in it."""
    async with FakeWorker().connect() as bridge, FakeWorker().connect() as other:
        with bridge.scope():
            assert current_scope(other) is None
            kept = await other.put(1, name="theirs")
        assert await names(other) == {"theirs"}
        del kept


async def test_it_is_entered_once() -> None:
    """A second time is refused, in it and behind it."""
    async with FakeWorker().connect() as bridge:
        scope = bridge.scope()
        with scope, pytest.raises(RuntimeError, match="a scope is entered once; this one is open"):
            scope.__enter__()
        with pytest.raises(RuntimeError, match="this one is ended"):
            scope.__enter__()


async def test_what_is_garbage_before_its_end() -> None:
    """Goes as it would without; a scope keeps nothing alive."""
    async with FakeWorker().connect() as bridge:
        with bridge.scope():
            binding = await bridge.put(1, name="early")
            del binding
            gc.collect()
            assert await names(bridge) == set()

"""What stands among bindings for values in the worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from asyncbridge.client.handing import Handing, Use, holds_handle
from asyncbridge.errors import BridgeClosed, SerializationError, StaleReference
from asyncbridge.promise import Promise
from asyncbridge.protocol.keeping import ALONE
from asyncbridge.references import Binding
from asyncbridge.serialization import encode
from asyncbridge.testing import FakeWorker

if TYPE_CHECKING:
    from asyncbridge.client import Bridge

pytestmark = pytest.mark.asyncio


def written(handing: Handing, value: object) -> Any:
    """Return a value's tree as its reader gets it."""
    return orjson.loads(orjson.dumps(encode(value, handles=handing).header))


def there(kind: str, what: object) -> dict[str, object]:
    """Return a handle as its reader gets it."""
    return {"$": "there", "v": [kind, what]}


async def test_names() -> None:
    """Bindings and modules stand by theirs, and nothing has to live or to be waited for."""
    async with FakeWorker().connect() as bridge:
        binding, handing = await bridge.put(1), Handing(bridge)
        assert written(handing, [binding, {"m": bridge.module("os.path")}]) == [
            there("name", str(binding)),
            {"m": there("module", "os.path")},
        ]
        assert not handing.is_empty
        assert (handing.uses, handing.after, handing.references) == ([], [], [])


async def test_a_reference() -> None:
    """It lives until the command has been sent."""
    async with FakeWorker().connect() as bridge:
        reference, handing = await bridge.send("object()"), Handing(bridge)
        number = reference.about.number
        assert written(handing, (reference, reference))["v"] == [there("object", number)] * 2
        assert all(each is reference for each in handing.references)
        assert not handing.is_empty
        handing.begin()
        assert handing.is_empty


async def test_a_promise_whose_value_is_to_come() -> None:
    """It stands by its place among those that the command uses: one place for one promise."""
    async with FakeWorker().connect() as bridge:
        one, two, handing = bridge.send("1"), bridge.send("2"), Handing(bridge)
        tree = written(handing, [one, two, {"a": one}])
        assert tree == [there("command", 0), there("command", 1), {"a": there("command", 0)}]
        assert [use.promise for use in handing.uses] == [one, two]
        assert [use.item for use in handing.uses] == [one._source, two._source]
        assert handing.after == [one._source, two._source]


async def test_a_promise_that_is_put() -> None:
    """The name is known, so nothing waits; but it must have been set."""
    async with FakeWorker().connect() as bridge:
        putting, handing = bridge.put(5, name="five"), Handing(bridge)
        assert written(handing, putting) == there("name", "five")
        assert (handing.uses, handing.after) == ([], [putting._source])


async def test_a_promise_whose_value_is_here() -> None:
    """It is the value; of one with a reference, that is the object."""
    async with FakeWorker().connect() as bridge:
        plain, kept = bridge.send("[1, 2]"), bridge.send("object()")
        await asyncio.gather(plain, kept)
        handing = Handing(bridge)
        assert written(handing, plain) == [1, 2]
        assert written(handing, kept) == there("object", (await kept).about.number)
        assert handing.uses == []


async def test_promises_that_go_through_here() -> None:
    """The worker has no value of theirs: one made here, one with a transform, another bridge's."""
    async with FakeWorker().connect() as bridge, FakeWorker().connect() as other:
        own: Promise[int] = Promise(loop=asyncio.get_running_loop())
        given: list[Promise[Any]] = [
            own,
            bridge.send("1").transform(str),
            bridge.send("1").then(str),
            other.send("1"),
        ]
        handing = Handing(bridge)
        assert written(handing, given) == [there("command", place) for place in range(4)]
        assert [use.item for use in handing.uses] == [None] * 4
        assert handing.after == []
        own.set_result(1)
        await asyncio.gather(*given)


async def test_an_expression() -> None:
    """It is sent ahead, once, though the bindings are walked twice; its value stays there."""
    async with FakeWorker().connect() as bridge:
        items, handing = await bridge.put([1, 2]), Handing(bridge)
        first = items[0]
        assert written(handing, [first, first]) == [there("command", 0)] * 2
        (use,) = handing.uses
        handing.begin()
        assert written(handing, first) == there("command", 0)
        assert handing.uses[0].promise is use.promise
        assert use.item is not None
        assert use.item.keep == ALONE
        assert await bridge.send("a + 1", {"a": first}) == 2


async def test_what_is_of_no_use() -> None:
    """It is refused at the call: gone, released, of another worker, or behind another bridge."""
    async with FakeWorker().connect() as other:
        foreign = await other.send("object()")
        foreign_name = await other.put(1)
        async with FakeWorker().connect() as bridge:
            handing = Handing(bridge)
            released = await bridge.send("object()")
            released.release()
            with pytest.raises(StaleReference, match=r"was released by release\(\)"):
                written(handing, released)
            for handle in (foreign, foreign_name, other.module("math")):
                with pytest.raises(ValueError, match="is in the worker of another bridge"):
                    written(handing, handle)
            deleted = await bridge.put(1)
            await bridge.delete(deleted)
            with pytest.raises(StaleReference, match=r"was released: by delete\(\)"):
                written(handing, deleted)
            with pytest.raises(BridgeClosed, match="it was made without one"):
                written(handing, Binding("x", "eternal").size)
    assert Binding("x", "eternal").is_at(bridge)


async def test_what_has_no_form() -> None:
    """It is refused as ever, by its place."""
    async with FakeWorker().connect() as bridge:
        with pytest.raises(
            SerializationError, match=r'bindings\["x"\]\[1\]: object of type object'
        ):
            bridge.send("x", {"x": [bridge.binding("y"), object()]})


async def test_what_knows_how_to_be_handed_over() -> None:
    """An object of ours that stands for something there says what."""

    class Handed:
        def _hand_over(self, bridge: Bridge) -> Binding:
            return bridge.binding("there")

    async with FakeWorker().connect() as bridge:
        handing = Handing(bridge)
        assert written(handing, {"a": Handed()}) == {"a": there("name", "there")}
        assert holds_handle([Handed()])


async def test_a_use_begins_unsettled() -> None:
    """Nobody waits for it yet."""
    promise: Promise[None] = Promise(loop=asyncio.get_running_loop())
    use = Use(promise, None)
    assert (use.promise, use.item, use.settled, use.residence) == (promise, None, False, None)
    promise.set_result(None)


async def test_where_a_handle_stands() -> None:
    """It is found inside any containers, in keys, too, and in what contains itself."""
    binding = Binding("x", "eternal")
    promise: Promise[None] = Promise(loop=asyncio.get_running_loop())
    promise.set_result(None)
    cycle: list[object] = [1]
    cycle.append(cycle)
    for handle in (binding, binding.size, promise):
        for value in (
            handle,
            [handle],
            ((1, [handle]),),
            {"a": handle},
            {handle: 1},
            {handle},
            [cycle, handle],
        ):
            assert holds_handle([value])
    for value in (1, [1, "a"], {"a": (1, b"x")}, cycle, object(), Binding, frozenset({1})):
        assert not holds_handle([value])
    assert not holds_handle([])

"""References to what stays in real workers: what people write, and what happens there."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from asyncbridge import Ref, connect
from asyncbridge import models as keras
from asyncbridge.errors import RemoteError, SerializationError
from tests.limits import HANG_S

if TYPE_CHECKING:
    from asyncbridge.client import Bridge

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

OVER = pytest.mark.parametrize("transport", ["websocket", "http"])
THING = "class Thing:\n    made = 0\n    def __init__(self, n=0): self.n = n\nThing"


async def kept(bridge: Bridge) -> dict[int, tuple[str, ...]]:
    """Return who holds each object of the worker that has no name, by its number."""
    rows = await bridge.bindings()
    return {row.number: row.holders for row in rows if row.lifetime == "reference"}


async def nothing_kept(bridge: Bridge) -> None:
    """Wait until the worker keeps no object for anybody."""
    async with asyncio.timeout(HANG_S):
        while await kept(bridge):
            await bridge.send("None")


# --- one object, one reference ---


@OVER
async def test_the_same_object_is_the_same_reference(transport: Any) -> None:
    """However it comes here, and as an argument it is the object itself."""
    async with connect(backend=None, transport=transport) as bridge:
        things = await bridge.send("things = [object(), object()]\nthings + things[:1]")
        one, two, again = things
        assert one is again
        assert one is not two
        assert await bridge.send("things[1]") is two
        assert copy.copy(one) is one
        assert copy.deepcopy([one])[0] is one
        assert await bridge.send("x is things[0]", {"x": one}) is True
        assert await bridge.send("[a, b]", {"a": one, "b": two}) == [one, two]
        number = one.about.number
        del things, one, two, again
        gc.collect()
        await nothing_kept(bridge)
        anew = await bridge.send("things[0]")
        assert isinstance(anew, Ref)
        assert (await kept(bridge)).keys() == {anew.about.number}
        assert anew.about.number != number


@OVER
async def test_references_inside_values(transport: Any) -> None:
    """In lists, dicts and tuples what has a form comes, and each other part is a reference."""
    async with connect(backend=None, transport=transport) as bridge:
        value = await bridge.send(
            f"{THING}\nt = Thing(3)\n{{'n': 1, 'list': [t, 'x', [t]], 'pair': (2.5, t), 'other': Thing(4)}}"
        )
        thing = value["list"][0]
        assert isinstance(thing, Ref)
        assert value == {
            "n": 1,
            "list": [thing, "x", [thing]],
            "pair": (2.5, thing),
            "other": value["other"],
        }
        assert (await thing.n, await value["other"].n) == (3, 4)
        assert await bridge.send("v['list'][2][0] is v['pair'][1] is t", {"v": value}) is True
        assert re.fullmatch(r"<Ref \d+ asyncbridge_namespace\.Thing .*>", repr(thing))


async def test_arguments_nested() -> None:
    """What stands for something over there does so inside any containers, several at once."""
    async with connect(backend=None) as bridge:
        thing = await bridge.send(f"{THING}\nthing = Thing(5)\nthing")
        table = await bridge.put([1, 2], name="table")
        given = {
            "direct": thing,
            "nested": [{"a": (thing, [thing.n + 1])}, {"m": bridge.module("math").pi}],
            "bound": (table, bridge.binding("table")[0]),
            "promised": [bridge.send("thing"), bridge.send("[7, 8]")[1]],
        }
        code = (
            "nested[0]['a'][0] is direct is thing is promised[0], nested[0]['a'][1], "
            "nested[1]['m'], bound[0] is table, bound[1], promised[1]"
        )
        assert await bridge.send(code, given) == (True, [6], np.pi, True, 1, 8)
        same = await bridge.send("lambda *a, **k: [each is a[0] for each in (*a[1], k['x'])]")
        assert await same(thing, [thing, bridge.binding("thing")], x=thing) == [True] * 3

        def total(items: list[Any], more: Any) -> Any:
            return sum(each.n for each in items) + more

        assert await bridge.run(total, [thing, thing], thing.n) == 15


# --- what builds code ---


@OVER
async def test_expressions(transport: Any) -> None:
    """Nothing is sent before an await, each runs anew, and ``keep`` runs once."""
    async with connect(backend=None, transport=transport) as bridge:
        counter = await bridge.send("import itertools\nitertools.count()", keep=True)
        following = bridge.module("builtins").next(counter)
        assert [await following, await following] == [0, 1]
        third = await following.keep()
        assert [await third.value(), await (third + 1), await following] == [2, 3, 3]
        rows = await bridge.send("[3, 1, 2]", keep=True)
        assert await (rows[0] * 10 + rows[1]) == 31
        assert await rows[::-1] == [2, 1, 3]
        assert await (rows == [3, 1, 2]) is True
        assert await (-rows[0]).promise().then(abs) == 3
        sorter = bridge.module("builtins").sorted
        assert await sorter(rows, reverse=True).then(sum) == 6
        with pytest.raises(SerializationError, match="has no wire form"):
            await counter.value()


async def test_assigning_and_deleting() -> None:
    """They are queued in their turn, with what they need; what runs behind sees them."""
    async with connect(backend=None) as bridge:
        thing = await bridge.send(f"{THING}\nThing()")
        rows = await bridge.send("[0, 1, 2, 3]", keep=True)
        thing.n = 4
        thing.n += 1
        rows[0] = thing
        rows[1] += thing.n
        del rows[2:]
        thing.other = bridge.send("'later'")
        assert (await thing.attr("n"), await thing.other) == (5, "later")
        assert await bridge.send("r[0] is t and r[1:]", {"r": rows, "t": thing}) == [6]
        del thing.other
        with pytest.raises(AttributeError, match="other"):
            await thing.other


async def test_an_assignment_that_fails_is_reported() -> None:
    """Nobody awaits its promise: whoever handles those is told; what is behind it runs."""
    told: list[Any] = []
    async with connect(backend=None) as bridge:
        bridge.on_unhandled_rejection(told.append)
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        rows = await bridge.send("[0]", keep=True)
        rows[5] = 1
        assert await rows[0] == 0
        gc.collect()
        await bridge.send("None")
    (rejection,) = told
    assert isinstance(rejection.error, IndexError)
    assert rejection.command == "list[5] = 1"


async def test_an_attribute_that_is_not_there() -> None:
    """It is an ``AttributeError`` at the await, which suggests another; so for a module's."""
    async with connect(backend=None) as bridge:
        array = await bridge.send("import numpy\nnumpy.ones(3)", keep=True)
        wrong = array.shap
        with pytest.raises(AttributeError) as caught:
            await wrong
        assert isinstance(caught.value, RemoteError)
        assert "did you mean 'shape', 'reshape'?" in "\n".join(caught.value.__notes__)
        with pytest.raises(AttributeError) as caught:
            await bridge.module("math").sqr(2)
        assert "did you mean 'sqrt'" in "\n".join(caught.value.__notes__)


# --- loops and blocks ---


@OVER
async def test_async_for(transport: Any) -> None:
    """Each item comes, in order: values, references, and of an expression."""
    async with connect(backend=None, transport=transport) as bridge:
        squares = bridge.module("builtins").map(await bridge.send("lambda n: n * n"), range(200))
        assert [item async for item in squares] == [n * n for n in range(200)]
        thing = await bridge.send(f"{THING}\nthing = Thing()\nthing")
        things = await bridge.send("[thing, 1, thing]", keep=True)
        assert [item async for item in things] == [thing, 1, thing]
        assert [key async for key in await bridge.send("{'a': 1, 'b': 2}", keep=True)] == ["a", "b"]


async def test_async_for_that_is_left() -> None:
    """At most as much was drawn in vain as was used, and the iterator over there goes."""
    async with connect(backend=None) as bridge:
        counter = await bridge.send("import itertools\nitertools.count()", keep=True)
        async for item in counter:
            if item == 5:
                break
        assert 6 <= await bridge.module("builtins").next(counter) <= 12
        del counter
        gc.collect()
        await nothing_kept(bridge)
        with pytest.raises(TypeError, match="not iterable"):
            async for _ in bridge.module("math").pi:
                raise AssertionError


MANAGER = """
class Manager:
    def __init__(self, swallows=False):
        self.swallows, self.seen = swallows, []
    def __enter__(self):
        self.seen.append("entered")
        return self
    def __exit__(self, kind, error, traceback):
        self.seen.append((None, "") if kind is None else (kind.__name__, str(error)))
        return self.swallows
"""


@OVER
async def test_async_with(transport: Any) -> None:
    """It is entered and left over there, is told of an error, and may swallow it."""
    async with connect(backend=None, transport=transport) as bridge:
        await bridge.send(MANAGER)
        manager = await bridge.send("Manager()")
        async with manager as entered:
            assert entered is manager
            assert await manager.seen == ["entered"]
        assert await manager.seen[-1] == (None, "")
        with pytest.raises(KeyError, match="here"):
            async with manager:
                raise KeyError("here")
        assert await manager.seen[-1] == ("KeyError", "'here'")
        swallowing = await bridge.send("Manager(swallows=True)")
        async with swallowing, manager:
            raise pickle.PicklingError("one that is no built-in")
        told = ("RuntimeError", "PicklingError: one that is no built-in")
        assert await swallowing.seen[-1] == await manager.seen[-1] == told
        suppressing = await bridge.send("import contextlib\ncontextlib.suppress(ZeroDivisionError)")
        async with suppressing:
            await bridge.send("1 / 0")
        with pytest.raises(TypeError, match="context manager"):
            async with await bridge.send("[]", keep=True):
                raise AssertionError


async def test_a_lock_that_is_left_by_a_remote_error() -> None:
    """An error of a command in the block leaves it like any other."""
    async with connect(backend=None) as bridge:
        lock = await bridge.send("import threading\nthreading.Lock()")
        with pytest.raises(ZeroDivisionError):
            async with lock:
                assert await lock.locked() is True
                await bridge.send("1 / 0")
        assert await lock.locked() is False


# --- libraries ---


async def test_modules() -> None:
    """They are imported where they are used; one that is not there says so then."""
    async with connect(backend=None) as bridge:
        path = bridge.module("os.path")
        assert await bridge.module("os").getpid() == (await bridge.info()).pid != os.getpid()
        assert await path.join("a", "b") == os.path.join("a", "b")  # noqa: PTH118 - it is tested
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            await bridge.module("no_such_module").anything
        counted = await bridge.module("collections").Counter("abca").keep()
        assert await counted["a"] == 2


async def test_numpy() -> None:
    """Operators, masks, slices and arrays of both sides; an array here leaves it to the other."""
    async with connect(backend=None) as bridge:
        xp = bridge.module("numpy")
        here = np.arange(12.0).reshape(3, 4)
        there = await xp.arange(12.0).reshape(3, 4).keep()
        assert there.about.text == "float64 (3, 4)"
        for made, expected in (
            (here + there, here + here),
            (there @ here.T, here @ here.T),
            (2 - there, 2 - here),
            (there[there > 5], here[here > 5]),
            (there[1:, ::2], here[1:, ::2]),
            (there[..., None].shape, (3, 4, 1)),
            (np.float64(2) * there, 2 * here),
            (~(there > 3) | (there == 7), ~(here > 3) | (here == 7)),
            ((-there) ** 2 // 3 % 5, (-here) ** 2 // 3 % 5),
        ):
            assert np.array_equal(await made, expected)
        there[there > 5] = 0
        there[0] += 1
        assert await there.sum() == here[here <= 5].sum() + 4


async def test_pandas() -> None:
    """A frame stays, columns are set and masked over there, and small results come."""
    async with connect(backend=None) as bridge:
        frame = await bridge.module("pandas").DataFrame(
            {"n": [1, 2, 3, 4], "who": list("abab")}
        ).keep()  # fmt: skip
        frame["twice"] = frame["n"] * 2
        assert await frame["twice"].sum() == 20
        some = await frame[(frame["n"] > 1) & (frame["who"] == "b")]["n"].tolist()
        assert some == [2, 4]
        sums = await frame.groupby("who")["n"].sum()
        assert sums.to_dict() == {"a": 4, "b": 6}
        del frame["twice"]
        pd.testing.assert_frame_equal(
            await frame.value(), pd.DataFrame({"n": [1, 2, 3, 4], "who": list("abab")})
        )


@pytest.mark.tensorflow
async def test_keras() -> None:
    """Arrays and tensors that stay there are trained on and predicted from; layers are kept."""
    async with connect() as bridge:
        xp = bridge.module("numpy")
        x = await xp.linspace(0.0, 1.0, 64).reshape(16, 4).astype("float32").keep()
        y = await x.sum(axis=1, keepdims=True).keep()
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, name="only")])
        model.compile(loss="mse", optimizer="sgd")
        history = await model.fit(x, y, epochs=2, verbose=0)
        assert len(history["loss"]) == 2
        assert np.array_equal(await model.predict(x), await model.predict(await x.value()))
        layer = await bridge.send("m.get_layer('only')", {"m": model}, keep=True)
        assert layer.about.kind.endswith("Dense")
        kernel = await bridge.send("layer.kernel", {"layer": layer}, keep=True)
        assert await kernel.shape.as_list() == [4, 1]
        layer.trainable = False
        assert await bridge.send("len(m.trainable_variables)", {"m": model}) == 0
        called = await layer(x).keep()
        assert await called.shape.as_list() == [16, 1]

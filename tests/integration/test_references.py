"""References to objects in real workers: all that one would do with the object itself."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio

from asyncbridge import models as keras
from asyncbridge.client import connect
from asyncbridge.errors import (
    RemoteError,
    SerializationError,
)
from asyncbridge.references import Ref
from asyncbridge.tasks import spawn
from tests.limits import HANG_S

if TYPE_CHECKING:
    from asyncbridge.client import Bridge
    from tests.integration.conftest import Gate

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

SETUP = """
class Thing:
    def __init__(self, name, *parts, **more):
        self.name, self.parts, self.more = name, list(parts), more
    def __repr__(self): return f"Thing {self.name}"
    def __call__(self, *args, **keywords): return Thing("called", *args, **keywords)
    def __getitem__(self, key): return self.parts[key]
    def __setitem__(self, key, value): self.parts[key] = value
    def __delitem__(self, key): del self.parts[key]
    def __iter__(self): return iter(self.parts)
    def __add__(self, other): return Thing("sum", self, other)
    def __radd__(self, other): return Thing("sum", other, self)
    def __lt__(self, other): return self.name < other.name
    def same(self, other): return self is other
    def first_of(self, group): return group["things"][0][0] is self
    @property
    def alias(self): return self

class Manager:
    def __init__(self, swallows=()): self.swallows, self.log = swallows, []
    def __enter__(self):
        self.log.append("in")
        return self
    def __exit__(self, kind, error, traceback):
        self.log.append("out" if kind is None else f"{kind.__name__}: {error}")
        return kind is not None and kind.__name__ in self.swallows

class Slow(Manager):
    code = ""
    def __repr__(self):
        code, self.code = self.code, ""
        exec(code)
        return "slow"
"""


@pytest_asyncio.fixture(params=["websocket", "http"])
async def bridge(request: pytest.FixtureRequest, no_leaks: None) -> AsyncIterator[Bridge]:
    """Open a bridge to a worker with some classes, over either transport."""
    async with connect(backend=None, transport=request.param) as bridge:
        await bridge.send(SETUP)
        yield bridge


async def kept(bridge: Bridge) -> int:
    """Return how many objects the worker keeps, once it has heard of what is garbage here."""
    for _ in range(2):  # what the last turns of the loop have held goes first
        gc.collect()
        await asyncio.sleep(0)
        await bridge.send("None")
    return sum(not row.name for row in await bridge.bindings())


async def test_one_object_is_one_reference(bridge: Bridge) -> None:
    """However it is told; as an argument it is the object itself; it goes with the last variable."""
    thing = await bridge.send("thing = Thing('one'); thing")
    assert isinstance(thing, Ref)
    assert repr(thing).startswith(f"<Ref {thing.about.number} ")
    assert thing.about.kind.endswith("Thing")
    assert thing.about.text == "Thing one"
    assert await bridge.send("thing") is thing
    assert await thing.alias is thing
    assert (await bridge.send("[thing, {'deep': (thing,)}]"))[1]["deep"][0] is thing
    assert await thing.same(thing) is True
    assert await bridge.send("x is thing", {"x": thing}) is True
    assert await kept(bridge) == 1
    del thing
    assert await kept(bridge) == 0


async def test_values_with_references_in_them(bridge: Bridge) -> None:
    """What has a form comes, what has none stays, also in lists, tuples and dicts."""
    value = await bridge.send("{'a': [1, Thing('x'), (2.5, object())], 'b': {3: Thing('y')}}")
    one, other = value["a"][1], value["b"][3]
    assert value["a"][0] == 1
    assert value["a"][2][0] == 2.5
    assert [await one.name, await other.name] == ["x", "y"]
    assert await kept(bridge) == 3
    del value, other
    assert await kept(bridge) == 1
    assert one.about.text == "Thing x"


async def test_arguments(bridge: Bridge) -> None:
    """References, bindings, expressions and promises, nested; the worker has the objects."""
    thing = await bridge.send("Thing('one', 10, 20)")
    number, promise = await bridge.put(5), bridge.send("Thing('promised', 7)")
    group = {"things": [(thing, thing.parts)], "more": {"n": number, "p": [promise, promise[0]]}}
    assert await thing.first_of(group) is True
    code = "g['things'][0][1] is g['things'][0][0].parts, g['more']['n'], g['more']['p'][1]"
    assert await bridge.send(code, {"g": group}) == (True, 5, 7)
    made = await thing(thing, 1, key=[thing, number])
    assert await made.attr("more")["key"][0].same(thing) is True
    assert await made.parts[1] == 1

    def joined(things: Any, *, last: Any) -> Any:
        return [each.name for each in things] + [last.name]

    assert await bridge.run(joined, [thing, made], last=promise) == ["one", "called", "promised"]


async def test_expressions(bridge: Bridge) -> None:
    """They are code until they are awaited; each awaiting evaluates them anew."""
    thing, other = await bridge.send("Thing('one', 1, 2, 3), Thing('other')")
    expression = thing.parts[1:]
    assert await expression == [2, 3]
    thing.parts[1] = 20
    assert await expression == [20, 3]
    reference = await expression.keep()
    assert isinstance(reference, Ref)
    assert await reference.value() == [20, 3]
    assert await (thing + 1).parts[1] == 1
    assert await (1 + thing).parts[0] == 1
    assert await (thing < other) is True
    assert await thing.parts.attr("__len__")() == 3
    assert await thing.name.upper().then(str.lower) == "one"
    with pytest.raises(SerializationError, match="has no wire form"):
        await thing.value()


async def test_assigning_and_deleting(bridge: Bridge) -> None:
    """Attributes and items; the bridge's own names are refused."""
    thing = await bridge.send("Thing('one', 1, 2, 3)")
    thing.name = "two"
    thing[0] = {"deep": thing}
    del thing[1]
    del thing.more
    assert await thing.attr("name") == "two"
    assert await thing[0]["deep"] is thing
    assert await thing.parts[1:] == [3]
    with pytest.raises(AttributeError, match="more"):
        await thing.more
    with pytest.raises(AttributeError, match="'value' is a name of Ref's own"):
        thing.value = 1


async def test_iteration(bridge: Bridge) -> None:
    """Items come in groups; one that is left early keeps nothing, and errors come in their place."""
    thing = await bridge.send("Thing('many', *range(200), Thing('last'))")
    items = [item async for item in thing]
    assert items[:-1] == list(range(200))
    assert await items[-1].name == "last"
    del items
    before = await kept(bridge)
    async for item in thing:
        if item == 3:
            break
    assert await kept(bridge) == before
    failing = await bridge.send("(1 / (2 - n) for n in range(5))")
    seen = []
    with pytest.raises(ZeroDivisionError):
        async for item in failing:
            seen.append(item)  # noqa: PERF401 - an error comes between
    assert seen == [0.5, 1.0]
    with pytest.raises(TypeError, match="not iterable"):
        async for _ in await bridge.send("object()"):
            pass


async def test_contexts(bridge: Bridge) -> None:
    """They are entered and left in the worker, with the error that has left the block."""
    manager = await bridge.send("Manager(['KeyError'])")
    async with manager as entered:
        assert entered is manager
        assert await manager.log == ["in"]
    async with manager:
        raise KeyError("lost")
    with pytest.raises(ValueError, match="not mine"):
        async with manager:
            raise ValueError("not mine")
    assert await manager.log.value() == [
        "in",
        "out",
        "in",
        "KeyError: 'lost'",
        "in",
        "ValueError: not mine",
    ]


async def test_a_context_whose_entering_is_cancelled(bridge: Bridge, gate: Gate) -> None:
    """It has been entered by then: it is left, and nothing is open when the bridge closes."""
    manager = await bridge.send("Slow()")
    manager.code = gate.code

    async def enter() -> None:
        async with manager:
            pass

    task = spawn(enter(), name="enter")
    await gate.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open()
    async with asyncio.timeout(HANG_S):
        while len(log := await manager.log.value()) < 2:
            await asyncio.sleep(0)
    assert log == ["in", "RuntimeError: CancelledError: "]


async def test_what_has_to_be_known_here(bridge: Bridge) -> None:
    """Truth, length, iteration by ``for``, containment: each says what to write instead."""
    thing = await bridge.send("Thing('one')")
    refused: dict[str, Callable[[], object]] = {
        r"if await ref.value\(\):": lambda: bool(thing),
        r"len\(x\)": lambda: len(thing),
        "async for item in ref": lambda: list(thing),
        "is in the worker": lambda: 1 in thing,
    }
    for said, ask in refused.items():
        with pytest.raises(TypeError, match=said):
            ask()
    with pytest.raises(AttributeError, match="attr"):
        thing._private  # noqa: B018 - to read it is the test


async def test_an_attribute_that_there_is_not(bridge: Bridge) -> None:
    """The error suggests one that there is."""
    thing = await bridge.send("Thing('one')")
    with pytest.raises(AttributeError, match=r"Did you mean: 'parts'|[Dd]id you mean.*parts"):
        await thing.part
    with pytest.raises(RemoteError, match="Thing"):
        await thing.nothing_like_it()


async def test_modules(bridge: Bridge) -> None:
    """A module is driven as if it were here; one that is not there is told when it is used."""
    math, path = bridge.module("math"), bridge.module("os.path")
    assert await math.sqrt(16) == 4
    assert await path.join("a", "b") == "a/b"
    assert await math.attr("__name__") == "math"
    nothing = bridge.module("no_such_module_at_all")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        await nothing.f()
    assert await bridge.send("m.pi > 3", {"m": math}) is True


async def test_numpy(bridge: Bridge) -> None:
    """Operators of arrays, with references and with arrays from here."""
    numpy = bridge.module("numpy")
    array = await numpy.arange(12).reshape(3, 4).keep()
    assert "ndarray" in array.about.kind
    assert np.array_equal(await array.value(), np.arange(12).reshape(3, 4))
    assert np.array_equal(await (array * 2 + np.ones(4))[1:, ::2], [[9, 13], [17, 21]])
    assert np.array_equal(
        await (array @ array.T),
        np.arange(12).reshape(3, 4) @ np.arange(12).reshape(4, 3, order="F"),
    )
    assert np.array_equal(await array[array > 5], range(6, 12))
    assert np.array_equal(await (np.ones(4) - array)[0], [1, 0, -1, -2])
    array[0, :2] = -1
    array[1] = await numpy.zeros(4).keep()
    assert np.array_equal(await array[:2], [[-1, -1, 2, 3], [0, 0, 0, 0]])
    assert await (-array).sum() == -41
    assert await (array == 0).sum() == 4


async def test_pandas(bridge: Bridge) -> None:
    """Likewise for frames, which stay where they are."""
    pytest.importorskip("pandas")
    pandas = bridge.module("pandas")
    frame = await pandas.DataFrame({"a": [1, 2, 3], "b": [4.0, 5.0, 6.0]}).keep()
    frame["c"] = frame["a"] + frame["b"]
    assert await frame[frame.c > 5].a.tolist() == [2, 3]
    assert await frame.groupby("a").c.sum().max() == 9
    assert await frame.attr("shape") == (3, 3)


@pytest.mark.tensorflow
async def test_arguments_of_mirrors() -> None:
    """Data that stays in the worker trains, evaluates and predicts there."""
    async with connect() as bridge:
        numpy = bridge.module("numpy")
        x, y = await numpy.ones((64, 4)).keep(), await numpy.zeros((64, 1)).keep()
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(optimizer="sgd", loss="mse")
        history = await model.fit(x, y, epochs=2, verbose=0)
        assert len(history.history["loss"]) == 2
        assert (await model.predict(x[:3], verbose=0)).shape == (3, 1)
        assert isinstance(await model.evaluate(x, y, verbose=0), float)
        inner = await bridge.send(f"{model.binding}.layers[0]")
        assert inner.about.kind.endswith("Dense")
        assert await inner.units == 1
        assert await inner.kernel.shape.as_list() == [4, 1]

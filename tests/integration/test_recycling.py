"""A worker is replaced, and what lives in it moves."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import asyncbridge
from asyncbridge import Recycle, StaleReference, StateLost, connect
from asyncbridge import models as keras
from asyncbridge.client.opening import start_worker
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncbridge.client.connectors import Worker
    from tests.integration.conftest import Gate

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.slow]


@pytest.mark.asyncio
async def test_commands_go_on_in_the_next_worker() -> None:
    """Each runs once, in order, and those that use one another's values still do."""
    async with connect(backend=None, recycle=Recycle(commands=7)) as bridge:
        first = bridge.incarnation
        await bridge.send("ran = []")
        promises = [bridge.send("ran.append(n) or n", {"n": n}) for n in range(50)]
        sums = [bridge.send("n + 1", {"n": promise}) for promise in promises]
        assert await asyncio.gather(*promises) == list(range(50))
        assert await asyncio.gather(*sums) == list(range(1, 51))
        assert await bridge.send("ran") == list(range(50))
        assert bridge.incarnation != first
        assert bridge.state == "open"


@pytest.mark.asyncio
async def test_what_moves() -> None:
    """Bindings of every lifetime, names that code has set, modules, and references to any of it."""
    async with connect(backend=None) as bridge:
        array = np.arange(100_000.0)
        eternal = await bridge.put({"a": [1, array]}, name="ever", lifetime="eternal")
        collected = await bridge.put(array)
        await bridge.send("import json as j\ncounted = [1, 2]\nsame = counted")
        kept = await bridge.send("counted", keep=True)
        replaced = await bridge.recycle()
        assert replaced.lost == {}
        assert (replaced.reason, replaced.after) == ("the client wishes it", bridge.incarnation)
        assert (await eternal.value())["a"][0] == 1
        assert np.array_equal(await collected.value(), array)
        await bridge.send("counted.append(3)")
        assert await kept.value() == [1, 2, 3]
        assert await bridge.send("same is counted and same is kept", {"kept": kept})
        assert await bridge.send("j.dumps(1)") == "1"
        lifetimes = {info.name: info.lifetime for info in await bridge.bindings()}
        assert lifetimes["ever"] == "eternal"
        assert lifetimes[collected.name] == "collected"
        assert lifetimes["counted"] == "code"
        name = collected.name
        del collected
        await bridge.send("None")
        await bridge.send("None")
        assert name not in {info.name for info in await bridge.bindings()}


@pytest.mark.asyncio
async def test_what_does_not_move_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A reference says that it is stale and why, a name that it was lost; the log says both."""
    async with connect(backend=None) as bridge:
        before = bridge.incarnation
        thing = await bridge.send("class Thing: pass\nThing()")
        await bridge.send("made = Thing()")
        waiting = bridge.send("str(thing)", {"thing": thing})
        assert "Thing" in await waiting
        with caplog.at_level(logging.WARNING, "asyncbridge"):
            replaced = await bridge.recycle()
        assert set(replaced.lost) == {"Thing", "made", f"object {thing.about.number}"}
        assert "the worker was replaced: the client wishes it; lost" in caplog.text
        with pytest.raises(StaleReference) as stale:
            await bridge.send("thing", {"thing": thing})
        assert stale.value.incarnation == before
        assert stale.value.died_at is not None
        assert "was not moved: asyncbridge_namespace.Thing: it is neither" in str(stale.value)
        with pytest.raises(StateLost, match="'made', which was lost with its worker"):
            await bridge.send("made")
        await bridge.send("made = 1")
        assert await bridge.send("made") == 1


@pytest.mark.asyncio
async def test_a_running_command_is_waited_for(gate: Gate) -> None:
    """It is replaced between commands; those that are cancelled meanwhile never run."""
    async with connect(backend=None) as bridge:
        running = bridge.send(gate.code)
        behind = bridge.send("1 + 1")
        unwanted = bridge.send("1 / 0")
        await gate.reached()
        replacing = bridge.recycle()
        assert bridge.recycle() is not replacing
        unwanted.cancel()
        await bridge.info()  # the worker knows of it by now
        gate.open()
        assert await running == "passed"
        assert await behind == 2
        assert (await replacing).after == bridge.incarnation
        with pytest.raises(asyncio.CancelledError):
            await unwanted


@pytest.mark.asyncio
async def test_streams_that_wait_go_along() -> None:
    """A source that nobody has drawn from is drawn from in the next worker, once."""
    drawn = []

    async def items() -> AsyncIterator[int]:
        for number in range(3):
            drawn.append(number)
            yield number

    async with connect(backend=None, recycle=Recycle(commands=2)) as bridge:
        await bridge.send("1")
        ahead = [bridge.send("n", {"n": n}) for n in range(5)]
        total = bridge.send("sum(s)", {"s": asyncbridge.stream(items())})
        assert await asyncio.gather(*ahead) == list(range(5))
        assert await total == 3
        assert drawn == [0, 1, 2]


@pytest.mark.asyncio
async def test_references_that_die_on_the_way() -> None:
    """What they were to goes in the next worker, too, whether garbage or released."""
    async with connect(backend=None) as bridge:
        await bridge.send("first, second, third = [1], [2], [3]")
        refs = [await bridge.send(name, keep=True) for name in ("first", "second", "third")]

        async def lose(options: Any) -> Worker:
            refs[1].release()
            del refs[0]
            gc.collect()
            return await start_worker(options)

        bridge._start = lose
        assert (await bridge.recycle()).lost == {}
        assert await refs[-1].value() == [3]
        kept = [row for row in await bridge.bindings() if row.lifetime == "reference"]
        assert [row.number for row in kept] == [refs[-1].about.number]


@pytest.mark.asyncio
async def test_what_is_halted_is_not_left() -> None:
    """While a command waits for a decision its worker stays, and then goes on."""
    async with connect(backend=None, halt_on_error=True) as bridge:
        failed = bridge.send("1 / 0")
        while not bridge.halted:
            await asyncio.sleep(0)
        with pytest.raises(asyncbridge.InUse, match="halted, and wait for a decision"):
            await bridge.recycle()
        (halt,) = bridge.halted
        await bridge.decide(halt.error_id, asyncbridge.Ignore(value=5))
        assert await failed == 5
        assert await bridge.send("1 + 1") == 2
        await bridge.recycle()
        assert await bridge.send("2 + 1") == 3


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (asyncbridge.WorkerStartError("no"), "no"),
        (OSError(24, "Too many open files"), "OSError: .* Too many open files"),
    ],
)
async def test_a_worker_that_is_started_no_more(error: Exception, told: str) -> None:
    """If there is no next worker, what waits says so, whatever the reason is."""

    async def refuse(options: object) -> Worker:
        raise error

    async with connect(backend=None) as bridge:
        bridge._start = refuse  # nobody else can make a start fail between two
        again = f"another one could not be started: {told}"
        with pytest.raises(asyncbridge.WorkerLost, match=again):
            await bridge.recycle()
        assert bridge.state == "lost"


def test_in_a_script() -> None:
    """A sync bridge's worker is replaced as well."""
    with connect(backend=None, recycle=Recycle(commands=3)) as bridge:
        bridge.put([1], name="kept", lifetime="eternal").wait_for_value(HANG_S)
        promises = [bridge.send("kept.append(n) or len(kept)", {"n": n}) for n in range(10)]
        assert [promise.wait_for_value(HANG_S) for promise in promises] == list(range(2, 12))
        assert bridge.recycle().wait_for_value(HANG_S).after == bridge.incarnation


@pytest.mark.tensorflow
@pytest.mark.asyncio
async def test_models_move_with_all_that_they_have() -> None:
    """Predictions and a further training are the same bits as without the move."""
    generator = np.random.default_rng(5)
    x = generator.random((64, 8), dtype=np.float32)
    y = generator.random((64, 1), dtype=np.float32)

    async def trained(*, moved: bool) -> tuple[list[float], np.ndarray, list[np.ndarray]]:
        async with connect() as bridge:
            await keras.utils.set_random_seed(3)
            layer = keras.layers.Dense(8, activation="relu")
            model = keras.Sequential(
                [keras.Input((8,)), layer, keras.layers.Dropout(0.3), keras.layers.Dense(1)]
            )
            model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
            reference = await bridge.send("model", {"model": model}, keep=True)
            await model.fit(x, y, epochs=2, verbose=0)
            before = await model.predict(x)
            if moved:
                assert (await bridge.recycle()).lost == {}
                assert np.array_equal(await model.predict(x), before)
                assert await bridge.send(
                    "m is r and layer in m.layers", {"m": model, "r": reference, "layer": layer}
                )
            history = await model.fit(x, y, epochs=2, verbose=0)
            return history["loss"], await model.predict(x), await model.get_weights()

    stayed, moved = await trained(moved=False), await trained(moved=True)
    assert moved[0] == stayed[0]
    assert np.array_equal(moved[1], stayed[1])
    assert all(map(np.array_equal, moved[2], stayed[2]))


@pytest.mark.asyncio
async def test_all_names_move_and_none_is_left_of_the_moving() -> None:
    """Also those of the user that are called as arguments of what packs and unpacks."""
    names = ("numbers", "state", "things", "wanted")
    async with connect(backend=None) as bridge:
        await bridge.send("; ".join(f"{name} = {name!r}" for name in names))
        for _ in range(2):
            assert (await bridge.recycle()).lost == {}
            told = {each.name for each in await bridge.bindings()}
            assert told == set(names)
            assert await bridge.send(f"[{', '.join(names)}]") == list(names)


@pytest.mark.asyncio
async def test_a_policy_holds_where_errors_halt() -> None:
    """A worker is not replaced while a command is halted, and is once it goes on."""
    async with connect(backend=None, halt_on_error=True, recycle=Recycle(commands=3)) as bridge:
        first = bridge.incarnation
        failing = bridge.send("number", name="halts")
        async with asyncio.timeout(HANG_S):
            while not bridge.halted:
                await bridge.info()
        behind = [bridge.send("1") for _ in range(9)]
        assert bridge.incarnation == first
        (halt,) = bridge.halted
        await bridge.decide(halt.error_id, asyncbridge.Ignore(7))
        assert await failing == 7
        assert await asyncio.gather(*behind) == [1] * 9
        assert bridge.incarnation != first


@pytest.mark.asyncio
async def test_references_that_come_to_be_meanwhile() -> None:
    """What is told between the wish and the packing moves as well, with what uses it."""
    async with connect(backend=None) as bridge:
        await bridge.send("shared = [5]")
        shared, alone = (bridge.send(code, keep=True) for code in ("shared", "[6]"))
        before = bridge.send("x[0]", {"x": alone})
        recycled = bridge.recycle()
        behind = bridge.send("x[0] + y[0]", {"x": alone, "y": shared})
        assert (await recycled).lost == {}
        assert (await before, await behind) == (6, 11)
        assert (await (await shared).value(), await (await alone).value()) == ([5], [6])


@pytest.mark.asyncio
async def test_what_was_pickled_before() -> None:
    """It is good for what is still here; else it says which worker has ended, and when."""
    async with connect(backend=None) as bridge:
        reference: Any = await bridge.send("named = [1]\nnamed", keep=True)
        binding = await bridge.put([2], name="bound", lifetime="eternal")
        gone = pickle.dumps(await bridge.send("object()", keep=True))
        kept = [pickle.dumps(each) for each in (reference, binding)]
        before = bridge.incarnation
        await bridge.recycle()
        again, name = map(pickle.loads, kept)
        assert again is reference
        assert (await again.value(), await name.value()) == ([1], [2])
        with pytest.raises(
            StaleReference, match="which was pickled, is gone.*the client wishes"
        ) as told:
            pickle.loads(gone)
        assert told.value.incarnation == before
        assert told.value.died_at is not None

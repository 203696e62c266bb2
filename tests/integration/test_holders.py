"""What several clients have in one worker: whose it is, and what is left when one is gone."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import asyncbridge
from asyncbridge.client import Bridge, connect
from asyncbridge.errors import (
    AsyncBridgeError,
    InUse,
    NameTaken,
)
from asyncbridge.lifetime import Hold, Terms
from tests.chaos.holding import unpickled
from tests.chaos.proxy import Proxy
from tests.chaos.workers import REPOSITORY, StandingWorker
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.conftest import Gate

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

LEASE_S = 1.0
COLLECTED, ETERNAL = 1000, 5
CLIENT = """
import asyncio, json, sys
import asyncbridge

async def main(url, count, eternal, work):
    async with asyncbridge.connect(url) as bridge:
        held = [await bridge.put(number) for number in range(int(count))]
        for number in range(int(eternal)):
            await bridge.put(number, name=f"stays_{number}", lifetime="eternal")
        running = bridge.send(work, {"only_now": 1})
        while running.state != "running":
            await asyncio.sleep(0)
        print(json.dumps([each.name for each in held]), flush=True)
        await running

asyncio.run(main(*sys.argv[1:]))
"""
FOR_EVER = "import time\nwhile True: time.sleep(0.01)"
FIT = """
import keras, numpy
model_of_one = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model_of_one.compile(optimizer="adam", loss="mse")
model_of_one.fit(numpy.zeros((5000, 4)), numpy.zeros((5000, 3)), epochs=100000, batch_size=1, verbose=0)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="ab-") as name:
        yield Path(name)


@pytest.fixture
def worker(folder: Path) -> Iterator[StandingWorker]:
    """Start a worker that waits for nobody for long."""
    with StandingWorker(folder / "w", "--lease", str(LEASE_S)) as worker:
        yield worker


async def names(bridge: Bridge) -> dict[str, str]:
    """Return what is in the worker, with its lifetimes."""
    return {each.name: each.lifetime for each in await bridge.bindings() if each.name}


async def settled(*bridges: Bridge) -> None:
    """Wait until the worker has heard of what is garbage here."""
    for bridge in (*bridges, *bridges):  # what the last turns of the loop have held goes first
        gc.collect()
        await asyncio.sleep(0)
        await bridge.send("None")


async def until(bridge: Bridge, is_so: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """Wait until the names are as they should be."""
    async with asyncio.timeout(HANG_S):
        while not is_so(now := await names(bridge)):
            await asyncio.sleep(0)
    return now


# --- clients that are killed ---


async def kill_amid(url: str, work: str, *, watcher: Bridge) -> None:
    """Kill a client amid a command, and look what is left of it."""
    with subprocess.Popen(  # noqa: ASYNC220 - as other clients are made
        [sys.executable, "-c", CLIENT, url, str(COLLECTED), str(ETERNAL), work],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": REPOSITORY},
    ) as client:
        assert client.stdout is not None
        held = set(json.loads(await asyncio.to_thread(client.stdout.readline)))
        before = await names(watcher)
        assert len(held & before.keys()) == COLLECTED
        assert "only_now" in before
        client.kill()
    after = await until(watcher, lambda now: not held & now.keys())
    stays = [name for name, lifetime in after.items() if lifetime == "eternal"]
    assert sorted(stays) == [f"stays_{number}" for number in range(ETERNAL)]
    assert "collected" not in after.values()
    assert "only_now" not in await until(watcher, lambda now: "only_now" not in now)
    assert await watcher.send("stays_3") == 3


async def test_a_client_that_is_killed_amid_a_command(worker: StandingWorker) -> None:
    """Once its lease is over 0 of its 1,000 collected bindings are left, and all 5 eternal ones."""
    async with connect(worker.url) as watcher:
        await kill_amid(worker.url, FOR_EVER, watcher=watcher)


@pytest.mark.tensorflow
@pytest.mark.timeout(600)
async def test_a_client_that_is_killed_in_mid_fit(folder: Path) -> None:
    """Likewise."""
    options = ("--lease", str(LEASE_S), "--backend", "tensorflow")
    with StandingWorker(folder / "w", *options) as worker:
        async with connect(worker.url) as watcher:
            await watcher.send("1")  # Keras is there
            await kill_amid(worker.url, FIT, watcher=watcher)


async def test_a_client_that_is_back_in_time_has_lost_nothing(folder: Path) -> None:
    """The connection is cut amid a command; its bindings and references are there afterwards."""
    with StandingWorker(folder / "w") as worker:
        proxy = Proxy(folder / "p", folder / "w" / "worker.sock")
        await proxy.start()
        async with connect(f"unix://{folder}/p", token=worker.token) as bridge:
            binding, thing = await bridge.put([1]), await bridge.send("object()")
            running = bridge.send("sum(x)", {"x": asyncbridge.stream(numbers(proxy))})
            assert await running == 3
            assert await bridge.send("x", {"x": binding}) == [1]
            assert await bridge.send("type(x).__name__", {"x": thing}) == "object"
        await proxy.close()


async def numbers(proxy: Proxy) -> AsyncIterator[int]:
    """Give numbers, and cut the connection between them."""
    yield 1
    proxy.cut()
    yield 2


async def test_a_named_session_lets_go_behind_its_commands(folder: Path, gate: Gate) -> None:
    """What its client had goes when the commands that it has left have run, not before."""
    with StandingWorker(folder / "w", "--lease", str(LEASE_S)) as worker:
        async with connect(worker.url) as watcher:
            proxy = Proxy(folder / "p", folder / "w" / "worker.sock")
            await proxy.start()
            address = f"unix://{folder}/p"
            bridge = await connect(address, token=worker.token, session="night")
            held = await bridge.put(41, name="held")
            first, last = bridge.send(gate.code), bridge.send("held + 1")
            await gate.reached()
            await proxy.close()
            async with asyncio.timeout(HANG_S):  # its client is gone, for the worker
                while (await watcher.info()).sessions > 1:
                    await asyncio.sleep(0)
            assert (await names(watcher))["held"] == "collected"
            gate.open()
            await until(watcher, lambda now: "held" not in now)
            async with connect(worker.url, session="night") as heir:
                assert await heir.promise(heir.held()[-1].id) == 42
            await bridge.close(timeout=0)
            for promise in (first, last):
                with pytest.raises(AsyncBridgeError):
                    await promise
            assert held.name == "held"


# --- clients beside one another ---


async def test_a_name_is_one_clients(worker: StandingWorker) -> None:
    """Another one's put is refused; its own replaces the value; deleted by code, it is free."""
    async with connect(worker.url) as one, connect(worker.url) as two:
        mine = await one.put(1, name="x", lifetime="eternal")
        with pytest.raises(NameTaken, match="'x' is taken by session .*eternal.*another name"):
            await two.put(2, name="x")
        with pytest.raises(NameTaken):
            await two.delete("x")
        again = await one.put(3, name="x")
        assert (await names(two))["x"] == "collected"
        assert [await two.send("x"), mine.name, again.name] == [3, "x", "x"]
        await two.send("del x")
        theirs = await two.put(4, name="x")
        assert await one.send("x") == 4
        assert theirs.name == "x"


async def test_a_name_whose_owner_is_gone(worker: StandingWorker) -> None:
    """An eternal one is anybody's; one that somebody has a handle on is not."""
    async with connect(worker.url) as one, connect(worker.url) as two:
        async with connect(worker.url) as gone:
            await gone.put(1, name="free", lifetime="eternal")
            held = unpickled(one, pickle.dumps(await gone.put(2, name="held")))
            await settled(gone, one)
        mine = await two.put(3, name="free")
        assert await one.send("free") == 3
        with pytest.raises(NameTaken, match="which has a handle on its binding"):
            await two.put(4, name="held")
        assert await one.send("x", {"x": held}) == 2
        assert mine.name == "free"


class Held:
    """A policy of one's own, which has the holds."""

    name = "held"
    terms = Terms(ends="session")

    def __init__(self) -> None:
        self.holds: list[Hold] = []

    def begin(self, hold: Hold) -> None:
        """Have it."""
        self.holds.append(hold)


async def test_a_policy_decides_for_its_own_client_alone(worker: StandingWorker) -> None:
    """A handle that was sent to another one counts as long as that has it."""
    async with connect(worker.url) as one, connect(worker.url) as two:
        policy = Held()
        mine = await one.put([1], name="x", lifetime=policy)
        data = pickle.dumps(mine)
        again, theirs = unpickled(one, data), unpickled(two, data)
        await settled(one, two)
        del mine, again
        await settled(one, two)
        (row,) = [each for each in await one.bindings() if each.name == "x"]
        assert len([each for each in row.holders if each != "a lease"]) == 2
        policy.holds.pop().release()
        await settled(one, two)
        (row,) = [each for each in await one.bindings() if each.name == "x"]
        assert len([each for each in row.holders if each != "a lease"]) == 1
        assert await two.send("x", {"x": theirs}) == [1]
        del theirs
        await settled(one, two)
        (row,) = [each for each in await one.bindings() if each.name == "x"]
        assert row.holders == ("a lease",)


async def test_what_somebody_else_has_is_not_deleted(worker: StandingWorker) -> None:
    """The error names who; the binding is of use to both as before, and goes with the last."""
    async with connect(worker.url) as one, connect(worker.url) as two:
        mine = await one.put([1], name="x")
        theirs = unpickled(two, pickle.dumps(mine))
        await settled(one, two)
        with pytest.raises(InUse, match="'x' is in use by ") as caught:
            await one.delete(mine)
        assert "x" in str(caught.value)
        assert await one.send("x", {"x": mine}) == [1]
        assert await two.send("x", {"x": theirs}) == [1]
        del mine
        await settled(one, two)
        assert await two.send("x", {"x": theirs}) == [1]
        [row] = [each for each in await two.bindings() if each.name == "x"]
        assert len(row.holders) == 2  # the other one is the lease of what was pickled

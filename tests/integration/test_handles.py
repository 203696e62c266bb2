"""References and bindings whose worker is gone, that are another bridge's, or that travel."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncbridge.client import connect
from asyncbridge.errors import AsyncBridgeError, BridgeClosed, StaleReference
from tests.chaos.holding import unpickled
from tests.chaos.workers import REPOSITORY, StandingWorker
from tests.limits import HANG_S

if TYPE_CHECKING:
    from asyncbridge.client import Bridge

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]


async def kept(bridge: Bridge) -> int:
    """Return how many objects the worker keeps, once it has heard of what is garbage here."""
    for _ in range(2):  # what the last turns of the loop have held goes first
        gc.collect()
        await asyncio.sleep(0)
        await bridge.send("None")
    return sum(not row.name for row in await bridge.bindings())


async def test_its_worker_is_gone() -> None:
    """The error says which worker it was, and how and when it ended; the next one has others."""
    async with connect(backend=None, restart="on-failure") as bridge:
        first, thing = bridge.incarnation, await bridge.send("object()")
        with pytest.raises(AsyncBridgeError):
            await bridge.send("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
        assert await bridge.send("1") == 1
        with pytest.raises(StaleReference) as caught:
            bridge.send("x", {"x": thing})
        error = caught.value
        assert (error.number, error.incarnation) == (thing.about.number, first)
        assert error.died_at is not None
        said = f"was an object of worker {first}, which ended at 20.* UTC: .*SIGKILL"
        with pytest.raises(StaleReference, match=said):
            await thing.attribute
        with pytest.raises(StaleReference):
            thing.attribute = 1
        other = await bridge.send("object()")
        assert await bridge.send("type(x).__name__", {"x": other}) == "object"


async def test_of_another_bridge() -> None:
    """A reference is refused there; its promise's value passes through here, and an expression's."""
    async with connect(backend=None) as one, connect(backend=None) as two:
        thing = await one.send("[1, object()]", keep=True)
        with pytest.raises(ValueError, match="is in the worker of another bridge"):
            two.send("x", {"x": [thing]})
        assert await two.send("x", {"x": thing[0]}) == 1
        assert await two.send("x", {"x": one.send("[1, 2]")}) == [1, 2]
        assert await two.send("x", {"x": thing[0].promise()}) == 1
    with pytest.raises(StaleReference):
        await thing[0]


@pytest.fixture
def worker() -> Iterator[StandingWorker]:
    """Start a worker that several clients may come to."""
    with (
        tempfile.TemporaryDirectory(prefix="ab-") as folder,
        StandingWorker(Path(folder, "w"), "--lease", "1") as worker,
    ):
        yield worker


async def test_pickled_for_another_client(worker: StandingWorker) -> None:
    """It is the same object there; either keeps it, and a lease does on the way."""
    async with connect(worker.url) as one, connect(worker.url) as two:
        thing = await one.send("thing = object(); thing")
        data = pickle.dumps({"deep": [thing]})
        del thing
        assert await kept(one) == 1
        there = unpickled(two, data)["deep"][0]
        assert await two.send("x is thing", {"x": there}) is True
        [row] = [each for each in await two.bindings() if not each.name]
        assert len(row.holders) == 2  # with the lease
        back = unpickled(one, pickle.dumps(there))
        assert await one.send("x is thing", {"x": back}) is True
        del there
        assert await kept(two) == 1
        assert await one.send("x is thing", {"x": back}) is True


CLIENT = """
import asyncio, pickle, sys
import asyncbridge

async def main(url, path):
    async with asyncbridge.connect(url) as bridge:
        with open(path, "rb") as file:
            thing, bound = pickle.load(file)
        same = await bridge.send("x is thing and y is thing", {"x": thing, "y": bound})
        print(same, flush=True)
        input()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_pickled_for_another_process(worker: StandingWorker, tmp_path: Path) -> None:
    """That holds it, until it is killed and its lease over."""
    async with connect(worker.url) as bridge:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("asyncbridge.client.keeping.PICKLED_LEASE_S", 60.0)
            thing = await bridge.send("thing = object(); thing")
            bound = await bridge.put(thing, name="bound")
            (tmp_path / "p").write_bytes(pickle.dumps((thing, bound)))
        with subprocess.Popen(  # noqa: ASYNC220 - as other clients are made
            [sys.executable, "-c", CLIENT, worker.url, str(tmp_path / "p")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": REPOSITORY},
        ) as client:
            assert client.stdout is not None
            assert (await asyncio.to_thread(client.stdout.readline)).strip() == b"True"
            rows = {row.name: len(row.holders) for row in await bridge.bindings()}
            assert rows == {"": 3, "thing": 0, "bound": 3}  # with the leases
            client.kill()
        async with asyncio.timeout(HANG_S):
            while max(len(each.holders) for each in await bridge.bindings()) > 2:
                await asyncio.sleep(0)


async def test_unpickled_where_it_is_nobodys(worker: StandingWorker) -> None:
    """Where no bridge is open, or one to another worker, it says so."""
    async with connect(worker.url) as bridge:
        data = pickle.dumps([await bridge.send("object()"), await bridge.put(1)])
    with pytest.raises(BridgeClosed, match="unpickle it where a bridge to its worker is open"):
        pickle.loads(data)
    async with connect(backend=None):
        with pytest.raises(StaleReference, match="connect to that worker by its URL"):
            pickle.loads(data)

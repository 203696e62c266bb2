"""Large arrays through shared memory, between real processes: values, lifetimes, deaths."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from asyncbridge.client import Bridge, connect
from asyncbridge.errors import WorkerLost
from asyncbridge.streams import stream
from asyncbridge.transport.streams import StreamBulk
from tests.limits import HANG_S

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

SIZES = (65_536, 300_000, 5_000_000)
KINDS: dict[str, dict[str, Any]] = {"shared": {}, "streamed": {"shared_memory": 0}}


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the ids of the buffers that go over HTTP instead."""
    ids: list[str] = []
    for name in ("send", "receive"):
        real = getattr(StreamBulk, name)

        async def noting(
            self: StreamBulk, buffer_id: str, *rest: Any, real: Callable[..., Any] = real
        ) -> Any:
            ids.append(buffer_id)
            return await real(self, buffer_id, *rest)

        monkeypatch.setattr(StreamBulk, name, noting)
    return ids


def folder() -> Path:
    """Return the root of the test's shared memory."""
    return Path(os.environ["ASYNCBRIDGE_SHARED_MEMORY_FOLDER"])


def arenas() -> list[Path]:
    """Return the arenas that are left."""
    return list(folder().glob(f"asyncbridge-{os.getuid()}/*"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.asyncio
async def test_arrays_go_there_and_back(kind: str, streamed: list[str]) -> None:
    """Equal in value, dtype and order; over no stream where memory can be shared."""
    async with connect(backend=None, **KINDS[kind]) as bridge:
        for size in SIZES:
            array = np.random.default_rng(size).random((size // 8, 2), np.float32)
            given = {"a": array, "f": np.asfortranarray(array), "b": array > 0.5}
            back = await bridge.send("{'a': a, 'f': f, 'b': b}", given)
            for name, sent in given.items():
                assert np.array_equal(back[name], sent)
                assert back[name].dtype == sent.dtype
            assert back["f"].flags.f_contiguous
    assert (streamed == []) is (kind == "shared")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.asyncio
async def test_who_may_write(kind: str) -> None:
    """Large arrays that come back are read-only unless it is asked for, on every way alike."""
    code = "import numpy; numpy.zeros(50_000)"
    async with connect(backend=None, **KINDS[kind]) as bridge:
        assert not (await bridge.send(code)).flags.writeable
        array = await bridge.send(code, writable=True)
        array += 1
        assert array.sum() == 50_000
        assert await bridge.send("a += 1\nfloat(a.sum())", {"a": np.zeros(50_000)}) == 50_000
    async with connect(backend=None, writable=True, **KINDS[kind]) as bridge:
        assert (await bridge.send(code)).flags.writeable
        assert not (await bridge.send(code, writable=False)).flags.writeable


@pytest.mark.asyncio
async def test_results_outlive_the_bridge() -> None:
    """They hold the memory that they lie in, whatever becomes of its file."""
    async with connect(backend=None) as bridge:
        array = await bridge.send("import numpy; numpy.arange(100_000)")
    assert arenas() == []
    assert array.sum() == 4999950000


@pytest.mark.asyncio
async def test_segments_are_used_again() -> None:
    """Each way holds as many as are looked at at the same time."""
    data = np.zeros(100_000)
    async with connect(backend=None) as bridge:
        for _ in range(5):
            result = await bridge.send("a + 1", {"a": data})
            del result
        (own, other) = (sorted(path.iterdir()) for path in arenas())
        assert len(own) + len(other) == 4, "a lease and a segment each"


@pytest.mark.asyncio
async def test_code_that_keeps_an_array() -> None:
    """Its memory is not used again while something in the worker looks at it."""
    async with connect(backend=None) as bridge:
        await bridge.send("kept = a[:10]", {"a": np.full(100_000, 7)})
        for number in range(3):
            await bridge.send("None", {"a": np.full(100_000, number)})
        assert (await bridge.send("kept")).tolist() == [7] * 10
        binding = await bridge.put(np.full(100_000, 8))
        await bridge.send("None", {"a": np.full(100_000, 9)})
        assert await bridge.send(f"int({binding}.sum())") == 800_000


@pytest.mark.asyncio
async def test_a_value_that_changes_afterwards() -> None:
    """A result is what it was when its command ended, whatever the next one does."""
    async with connect(backend=None) as bridge:
        await bridge.send("import numpy; a = numpy.zeros(3_000_000)")
        result, change = bridge.send("a"), bridge.send("a += 1\nNone")
        await change
        assert (await result).sum() == 0


@pytest.mark.parametrize("limit", [100_000, 1_000_000])
@pytest.mark.asyncio
async def test_too_little_of_it(
    limit: int, streamed: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """What finds no room takes the stream, with one warning here."""
    async with connect(backend=None, shared_memory=limit) as bridge:
        with caplog.at_level(logging.WARNING, logger="asyncbridge"):
            for size in (20_000, 600_000, 600_000):
                back = await bridge.send("a", {"a": np.full(size, 3.5)})
                assert back.shape == (size,)
                assert set(back) == {3.5}
    assert len([r for r in caplog.records if "shared memory" in r.message]) == 1
    assert len(streamed) >= 4


@pytest.mark.asyncio
async def test_puts_are_overtaken_and_depended_on() -> None:
    """What names a put by ``after`` waits for it, as do names of one's own, and its release."""
    async with connect(backend=None) as bridge:
        put = bridge.put(np.ones(4_000_000))
        assert await bridge.send("1 + 1") == 2
        binding = await put
        assert await bridge.send(f"float({binding}.sum())", after=[put]) == 4_000_000
        bridge.put(np.ones(1_000_000), name="mine")
        assert await bridge.send("float(mine.sum())") == 1_000_000


@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
@pytest.mark.asyncio
async def test_streams_that_are_left_early(kind: str) -> None:
    """What was drawn ahead goes back, wherever it was when the command ended."""

    def batches() -> Iterator[Any]:
        for number in range(1000):
            yield np.full(200_000, number)

    async def batches_on_the_loop() -> AsyncIterator[Any]:
        for batch in batches():
            yield batch

    source = batches if kind == "plain" else batches_on_the_loop
    async with connect(backend=None) as bridge:
        for _ in range(15):
            code = "for number, batch in enumerate(s):\n    if number == 3: break\ndel batch\n1"
            await bridge.send(code, {"s": stream(source)})
        await bridge.send("import gc; gc.collect()")
        client = (await bridge.info()).transfers.client
        while client is not None and client.lent:  # a thread may still be at the last one
            await asyncio.sleep(0)
            client = (await bridge.info()).transfers.client
        assert client is not None


@pytest.mark.asyncio
async def test_segments_that_somebody_takes_away() -> None:
    """A folder that is cleaned under a bridge costs speed, and nothing else."""
    async with connect(backend=None, shared_memory=3_000_000) as bridge:
        for size in (100_000, 120_000):
            assert await bridge.send("x.sum()", {"x": np.ones(size)}) == size
        for path in folder().glob(f"asyncbridge-{os.getuid()}/*/*"):
            if path.name != "lease":
                path.unlink()
        for size in (150_000, 200_000, 100_000):
            assert await bridge.send("x.sum()", {"x": np.ones(size)}) == size
            assert (await bridge.send(f"import numpy; numpy.ones({size})")).sum() == size


CLIENT = """
import asyncio, random, sys
import numpy as np
from asyncbridge.client import connect
async def main():
    async with connect(backend=None) as bridge:
        rng = random.Random(int(sys.argv[1]))
        print((await bridge.info()).pid, flush=True)
        while True:
            data = np.zeros(rng.randrange(10_000, 2_000_000), np.uint8)
            await asyncio.gather(*(bridge.send("a", {"a": data}) for _ in range(3)))
            print("once", flush=True)
asyncio.run(main())
"""


async def worker_killed(rng: random.Random) -> int:
    """Kill a worker between, or in the middle of, transfers; return how many were begun."""
    transfers = rng.randrange(1, 8)
    async with connect(backend=None) as bridge:
        pid = (await bridge.info()).pid
        sent = [
            bridge.send("a", {"a": np.zeros(rng.randrange(10_000, 2_000_000), np.uint8)})
            for _ in range(transfers)
        ]
        await asyncio.wait(sent[: rng.randrange(1, transfers + 1)])
        os.kill(pid, signal.SIGKILL)
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
    assert all(isinstance(outcome, (np.ndarray, WorkerLost)) for outcome in outcomes)
    return transfers


def client_killed(rng: random.Random, *, both: bool) -> int:
    """Kill a client in the middle of transfers, or it and its worker; return how many there were."""
    root = Path(__file__).resolve().parents[2]
    rounds = rng.randrange(1, 4)
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(rng.random())[2:]],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as client:
        assert client.stdout is not None
        worker = psutil.Process(int(client.stdout.readline()))
        for _ in range(rounds):
            client.stdout.readline()
        supervisor = worker.parent()
        assert supervisor is not None
        client.kill()
        if both:
            worker.kill()
    psutil.wait_procs([worker, supervisor], timeout=HANG_S)
    return 3 * rounds


async def deaths(transfers: int, seed: int) -> None:
    """Kill either side, or both, until so many transfers were made; look for what is left."""
    rng = random.Random(seed)
    done = 0
    while done < transfers:
        kind = rng.choice(["worker", "worker", "client", "both"])
        if kind == "worker":
            done += await worker_killed(rng)
        else:
            done += await asyncio.to_thread(client_killed, rng, both=kind == "both")
        assert arenas() == []


@pytest.mark.asyncio
async def test_deaths_leave_nothing() -> None:
    """No segment, and by the fixture no descriptor, after random kills of either side."""
    await deaths(40, seed=7)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.asyncio
async def test_many_deaths_leave_nothing() -> None:
    """Nor after a thousand transfers."""
    await deaths(1000, seed=11)


def test_a_program_that_never_closes_its_bridge(run_script: Callable[[str], Any]) -> None:
    """Its end is like a death: the supervisor takes away what is left."""
    code = (
        "import numpy as np, os, asyncbridge\n"
        "bridge = asyncbridge.connect(backend=None).__enter__()\n"
        "bridge.send('a', {'a': np.zeros(100_000)}).wait_for_value()\n"
        "print((bridge.info().wait_for_value()).pid, flush=True)\n"
        "os._exit(0)\n"
    )
    script = run_script(code)
    worker = psutil.Process(int(script.line()))
    supervisor = worker.parent()
    assert supervisor is not None
    script.finish()
    psutil.wait_procs([worker, supervisor], timeout=HANG_S)
    assert arenas() == []


def test_the_bridge_in_a_script() -> None:
    """A sync bridge shares memory as an async one does."""
    bridge: Bridge
    with connect(backend=None) as bridge:
        result = bridge.send("a * 2", {"a": np.arange(100_000)}).wait_for_value(timeout=HANG_S)
        assert result[-1] == 199_998
    assert arenas() == []

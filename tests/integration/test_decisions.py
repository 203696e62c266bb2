"""Errors that halt, in real workers over real sockets."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from asyncbridge.client import connect
from asyncbridge.decisions import DropQueue, Ignore, Replace, Retry
from asyncbridge.errors import CommandDropped, RemoteError, WorkerLost
from asyncbridge.testing import kill_worker
from tests.integration.test_reconnecting import REPOSITORY, Proxy
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncbridge.client import Bridge
    from asyncbridge.decisions import Decision
    from tests.integration.conftest import Gate

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

MIB = 1024 * 1024


@pytest.fixture
def started() -> Iterator[Path]:
    """Start a worker of its own; return its folder."""
    with tempfile.TemporaryDirectory(prefix="ab-") as name:
        path = Path(name, "w")
        process = subprocess.Popen(
            [sys.executable, "-m", "asyncbridge.worker", "--backend", "none", "--folder", path],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": REPOSITORY},
        )
        while not (path / "worker.sock").exists():
            os.sched_yield()
        yield path
        process.terminate()
        process.wait(timeout=HANG_S)


async def halt(bridge: Bridge) -> None:
    """Wait until a command of the bridge is halted."""
    async with asyncio.timeout(HANG_S):
        while not bridge.halted:
            await bridge.info()


@pytest.mark.asyncio
async def test_each_decision(connected: Callable[[], Bridge]) -> None:
    """By a handler, with all that comes behind in its order."""
    decisions: list[Decision | None] = [
        Ignore("ignored"),
        Replace("order.append('replaced'); 'replaced'"),
        Retry(bindings={"n": 2}),
        None,
    ]
    async with connected() as bridge:
        await bridge.send("order = []")
        bridge.on_error(lambda error: decisions.pop(0))
        promises = []
        for _ in range(4):
            promises.append(bridge.send("6 / n; order.append('ran'); 'ran'", {"n": 0}))
            promises.append(bridge.send("order.append('behind')"))
        values = await asyncio.gather(*promises, return_exceptions=True)
        assert values[:6:2] == ["ignored", "replaced", "ran"]
        assert isinstance(values[6], RemoteError)
        expected = ["behind", "replaced", "behind", "ran", "behind", "behind"]
        assert await bridge.send("order") == expected


@pytest.mark.parametrize("shared_memory", [0, None], ids=["streamed", "shared"])
@pytest.mark.asyncio
async def test_large_bindings_are_there_again(shared_memory: int | None) -> None:
    """They are kept for the retry, and given back with the outcome; edits may be large, too."""
    x = np.arange(MIB, dtype=np.float64)
    async with connect(backend=None, halt_on_error=True, shared_memory=shared_memory) as bridge:
        failed = bridge.send("x.sum() + y.sum() + 1 // n", {"x": x, "y": 1, "n": 0})
        await halt(bridge)
        await bridge.decide(bridge.halted[0], Retry(bindings={"y": x, "n": 1}))
        assert await failed == 2 * x.sum() + 1
        failed = bridge.send("1 / 0")
        await halt(bridge)
        await bridge.decide(bridge.halted[0], Ignore(x))
        assert np.array_equal(await failed, x)
        for _ in range(3):  # segments are used again
            assert await bridge.send("x.sum()", {"x": x}) == x.sum()


@pytest.mark.asyncio
async def test_what_is_sent_after_a_drop_runs(connected: Callable[[], Bridge]) -> None:
    """However much is on its way: each command is dropped, or runs, by when it was sent."""
    async with connected() as bridge:
        await bridge.send("ran = []")
        bridge.on_error(lambda error: DropQueue())
        await bridge.info()
        failed = bridge.send("1 / 0")
        before = [bridge.send("ran.append(0)") for _ in range(3000)]  # beyond the window
        with pytest.raises(RemoteError):
            await failed
        behind = [bridge.send("ran.append(n); n", {"n": number}) for number in range(300)]
        assert await asyncio.gather(*behind) == list(range(300))
        dropped = await asyncio.gather(*before, return_exceptions=True)
        assert {type(error) for error in dropped} == {CommandDropped}
        assert await bridge.send("ran") == list(range(300))


@pytest.mark.asyncio
async def test_another_client_goes_on_and_decides(started: Path) -> None:
    """A halt holds its own session alone; releases of its bindings wait along."""
    url = f"unix://{started}/worker.sock"
    async with connect(url, halt_on_error=True) as bridge, connect(url) as other:
        binding = await bridge.put([1, 2])
        name = binding.name
        failed = bridge.send("1 / 0")
        behind = bridge.send(f"sum({name})")
        await halt(bridge)
        del binding  # released behind the command that needs it
        for number in range(200):
            assert await other.send("n", {"n": number}) == number
        assert await other.send(f"{name!r} in globals()")
        (told,) = (await other.info()).halted
        await other.decide(told["error_id"], Replace("n", {"n": 5}), epoch=told["epoch"])
        assert (await failed, await behind) == (5, 3)


@pytest.mark.asyncio
async def test_another_client_drops_what_was_sent(started: Path) -> None:
    """However much of it had not left the owner; what that sends once it knows of it runs."""
    url = f"unix://{started}/worker.sock"
    async with connect(url, halt_on_error=True) as bridge, connect(url) as other:
        await other.send("ran = []")
        failed = bridge.send("1 / 0")
        before = [bridge.send("ran.append(0)") for _ in range(5000)]  # beyond the window
        await halt(bridge)
        await other.decide(bridge.halted[0].error_id, DropQueue())
        dropped = await asyncio.gather(failed, *before, return_exceptions=True)
        assert {type(error) for error in dropped[1:]} == {CommandDropped}
        assert await bridge.send("ran") == []


@pytest.mark.asyncio
async def test_a_halt_outlives_its_connection(started: Path) -> None:
    """Cut while it is halted, while it is decided, and while the command runs again."""
    proxy = Proxy(started / "worker.sock")
    await proxy.start()
    token = (started / "token").read_text().strip()
    async with connect(f"unix://{proxy.path}", token=token, halt_on_error=True) as bridge:
        for number in range(20):
            failed = bridge.send("a / b", {"a": number, "b": 0})
            behind = bridge.send("n", {"n": number})
            await halt(bridge)
            proxy.cut()
            decided = bridge.decide(bridge.halted[0], Retry(bindings={"b": 1}))
            proxy.cut()
            await decided
            assert (await failed, await behind) == (number, number)
    await proxy.close()


@pytest.mark.asyncio
async def test_a_session_that_goes_ends_its_halt(started: Path) -> None:
    """Nothing of it is left in the worker, and others go on."""
    url = f"unix://{started}/worker.sock"
    async with connect(url) as other:
        bridge = await connect(url, halt_on_error=True)
        failed = bridge.send("1 / 0")
        behind = bridge.send("gone = True")
        await halt(bridge)
        await bridge.close(timeout=0)
        for promise in (failed, behind):
            assert (await asyncio.gather(promise, return_exceptions=True))[0] is not None
        async with asyncio.timeout(HANG_S):
            while (info := await other.info()).halted or info.queued:
                pass
        assert await other.send("'gone' in globals()") is False


@pytest.mark.asyncio
async def test_the_workers_death_while_a_command_is_halted(connected: Callable[[], Bridge]) -> None:
    """It had started; those behind had not."""
    async with connect(backend=None, halt_on_error=True, restart="never") as bridge:
        failed, behind = bridge.send("1 / 0"), bridge.send("2")
        await halt(bridge)
        await kill_worker(bridge)
        lost = await asyncio.gather(failed, behind, return_exceptions=True)
        assert [type(error) for error in lost] == [WorkerLost, WorkerLost]
        assert [error.phase for error in lost if isinstance(error, WorkerLost)] == [
            "started",
            "not_started",
        ]


@pytest.mark.asyncio
async def test_a_retry_that_runs_is_interrupted(gate: Gate) -> None:
    """Its cancel is the command's."""
    async with connect(backend=None, halt_on_error=True) as bridge:
        failed, behind = bridge.send("1 / 0"), bridge.send("2")
        await halt(bridge)
        await bridge.decide(
            bridge.halted[0], Replace(f"{gate.code}\nimport time\nwhile True: time.sleep(0.001)")
        )
        await gate.reached()
        gate.open()
        while failed.state != "running":
            await bridge.info()
        failed.cancel(mode="interrupt")
        with pytest.raises(asyncio.CancelledError):
            await failed
        assert await behind == 2


def test_a_script_edits_and_runs_again() -> None:
    """Live programming without a loop."""
    with connect(backend=None, halt_on_error=True, halt_timeout=60) as bridge:
        failed = bridge.send("undefined + 1")
        while not bridge.halted:
            bridge.info().wait_for_value(20)
        bridge.decide(bridge.halted[0], Retry(code="defined + 1", bindings={"defined": 41}))
        assert failed.wait_for_value(20) == 42

from __future__ import annotations

import asyncio
import threading

import numpy as np
import psutil
import pytest

from asyncbridge import testing
from asyncbridge.errors import ConnectError, RemoteError, WorkerLost, WorkerStartError
from asyncbridge.testing import FakeWorker, ManualClock, StepExecutor, clock_loop

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


async def test_the_public_names_are_these() -> None:
    """The fakes are product."""
    assert sorted(testing.__all__) == ["FakeWorker", "ManualClock", "StepExecutor", "clock_loop"]


async def test_it_executes_real_code_in_this_process() -> None:
    """With no process and no thread."""
    threads, children = threading.active_count(), len(psutil.Process().children())
    async with FakeWorker().connect() as bridge:
        assert await bridge.send("import threading\nthreading.get_ident()") == threading.get_ident()
        assert len(psutil.Process().children()) == children
        assert threading.active_count() - threads <= 1  # the loop's own, which imports


async def test_values_cross_in_real_frames() -> None:
    """Arrays come back equal, and as copies; large ones by the bulk lane."""
    async with FakeWorker().connect() as bridge:
        for size in (3, 1_000_000):
            array = np.arange(size, dtype=np.int32)
            result = await bridge.send("a", {"a": array})
            np.testing.assert_array_equal(result, array)
            assert not np.shares_memory(result, array)


async def test_errors_are_remote_errors() -> None:
    """With the code's own line."""
    async with FakeWorker().connect() as bridge:
        with pytest.raises(RemoteError, match="1 / 0"):
            await bridge.send("1 / 0")


async def test_stepwise_nothing_runs_until_it_is_told_to() -> None:
    """One command for each step."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promises = [bridge.send("n", {"n": n}) for n in range(3)]
        assert (await bridge.info()).queued == 3
        assert worker.step()
        assert await promises[0] == 0
        assert not promises[1].done()
        assert worker.run_all() == 2
        assert await asyncio.gather(*promises) == [0, 1, 2]
        assert not worker.step()


async def test_a_death_loses_what_was_unfinished() -> None:
    """With the reason and the signal that the test gives."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promise = bridge.send("1")
        await bridge.info()
        worker.die("killed for the test", signal="SIGTERM")
        with pytest.raises(WorkerLost, match="killed for the test") as caught:
            await promise
        assert caught.value.signal == "SIGTERM"
        with pytest.raises(WorkerLost):
            bridge.send("2")


async def test_a_cut_ends_the_connection() -> None:
    """The worker lives, and takes another client."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promise = bridge.send("1")
        await bridge.info()
        worker.cut()
        with pytest.raises(WorkerLost, match="the connection ended"):
            await promise


async def test_a_dead_worker_cannot_be_entered() -> None:
    """As a real one."""
    worker = FakeWorker()
    worker.die()
    with pytest.raises((ConnectError, WorkerStartError)):
        await worker.connect().__aenter__()


async def test_dying_twice_is_dying_once() -> None:
    """A test may say so in two places."""
    worker = FakeWorker()
    async with worker.connect():
        worker.die("first")
        worker.die("second")


async def test_two_bridges_share_one_worker() -> None:
    """And its namespace; it goes on when one of them has closed."""
    worker = FakeWorker()
    async with worker.connect() as one:
        async with worker.connect() as two:
            await two.send("x = 1")
        assert await one.send("x") == 1


async def test_a_sync_bridge_has_a_fake_worker_too() -> None:
    """In the background thread."""

    def script() -> object:
        with FakeWorker().connect() as bridge:
            return bridge.send("6 * 7").wait_for_value(10)

    assert await asyncio.to_thread(script) == 42


async def test_the_clock_gives_the_durations_of_info() -> None:
    """It stands still until it is told to go on."""
    clock = ManualClock(start=100)
    worker = FakeWorker(stepwise=True, clock=clock)
    async with worker.connect() as bridge:
        assert clock() == 100
        clock.advance(2.5)
        assert clock() == 102.5
        assert (await bridge.info()).running is None


async def test_a_clock_loop_waits_for_the_clock_alone() -> None:
    """An hour passes in no time."""
    clock = ManualClock()

    async def main() -> list[str]:
        seen: list[str] = []
        loop = asyncio.get_running_loop()
        loop.call_later(3600, seen.append, "an hour")
        for _ in range(3):
            await asyncio.sleep(0)
        assert seen == []
        clock.advance(3600)
        for _ in range(3):
            await asyncio.sleep(0)
        return seen

    def run() -> list[str]:
        with asyncio.Runner(loop_factory=lambda: clock_loop(clock)) as runner:
            return runner.run(main())

    assert await asyncio.to_thread(run) == ["an hour"]


async def test_a_step_executor_is_the_workers_own() -> None:
    """Not a second one that could differ."""
    from asyncbridge.worker import executor  # noqa: PLC0415 - only to compare

    assert StepExecutor is executor.StepExecutor

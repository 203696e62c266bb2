from __future__ import annotations

import asyncio
import signal
import sys
import threading

import numpy as np
import psutil
import pytest

from asyncbridge.errors import (
    BridgeClosed,
    ConnectError,
    DependencyError,
    QueueFull,
    RemoteError,
    WorkerLost,
    WorkerStartError,
    WrongLoopError,
)
from asyncbridge.protocol.limits import Bound
from asyncbridge.testing import FakeWorker, ManualClock, StepExecutor

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


async def test_it_executes_real_code_in_this_process() -> None:
    """With no process and no thread."""
    threads, children = set(threading.enumerate()), len(psutil.Process().children())
    async with FakeWorker().connect() as bridge:
        assert await bridge.send("import threading\nthreading.get_ident()") == threading.get_ident()
        assert len(psutil.Process().children()) == children
        new = set(threading.enumerate()) - threads
        assert {thread.name[:7] for thread in new} <= {"asyncio"}  # the loop's own, which import


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


async def test_a_planned_failure_is_a_remote_error() -> None:
    """Of any type, with the sender's line; the code does not run, and the next one does."""
    worker = FakeWorker()
    worker.fail("some.library.Trouble", "no luck")
    async with worker.connect() as bridge:
        with pytest.raises(RemoteError, match=r"test_fakes\.py") as caught:
            await bridge.send("x = 1", {"fault_name": 2}, lifetime="eternal")
        assert (caught.value.type, caught.value.message) == ("some.library.Trouble", "no luck")
        assert await bridge.send("[name for name in dir() if name[:2] != '__']") == []


async def test_a_planned_failure_is_of_python_s_own_type() -> None:
    """As one of a real worker is."""
    worker = FakeWorker()
    worker.fail(KeyError, "k")
    async with worker.connect() as bridge:
        with pytest.raises(KeyError):
            await bridge.send("1")


async def test_a_failure_meets_whom_it_is_meant_for() -> None:
    """By the name, else by the code; as often as it says, and one that is not run takes none."""
    worker = FakeWorker()
    worker.fail("ValueError", match="fit", times=2)
    worker.fail("KeyError", match="lost")
    async with worker.connect() as bridge:
        assert await bridge.send("'fit'", name="predict") == "fit"
        first = bridge.send("1", name="fit")
        after = bridge.send("1", name="fit", after=[first])
        for promise, kind in (first, RemoteError), (after, DependencyError):
            with pytest.raises(kind, match="ValueError"):
                await promise
        with pytest.raises(RemoteError, match="KeyError"):
            await bridge.send("'lost'")
        with pytest.raises(RemoteError, match="ValueError"):
            await bridge.send("1", name="model.fit()")
        assert await bridge.send("1", name="fit") == 1


async def test_a_planned_crash_comes_in_the_middle() -> None:
    """The command has begun, those behind it have not; nothing of it is told, nothing else runs."""
    worker = FakeWorker()
    worker.crash("killed by the kernel for memory", match="fit")
    async with worker.connect() as bridge:
        before = bridge.send("1")
        promises = [bridge.send("2", name="fit"), bridge.send("import sys\nsys.ran = True")]
        assert await before == 1
        phases = []
        for promise in promises:
            with pytest.raises(WorkerLost, match="by the kernel for memory") as caught:
                await promise
            phases.append((caught.value.phase, caught.value.signal))
        assert phases == [("started", "SIGKILL"), ("not_started", "SIGKILL")]
        worker.run_all()
    assert not hasattr(sys, "ran")


async def test_a_crash_names_its_signal() -> None:
    """Unless the test gives the words itself."""
    worker = FakeWorker()
    worker.crash(signal=signal.SIGSEGV)
    async with worker.connect() as bridge:
        with pytest.raises(WorkerLost, match="killed by SIGSEGV") as caught:
            await bridge.send("1")
        assert caught.value.signal == "SIGSEGV"


async def test_paused_nothing_runs_until_it_is_resumed() -> None:
    """What has come meanwhile then runs, in order, and what comes later."""
    worker = FakeWorker()
    async with worker.connect() as bridge:
        worker.pause()
        promises = [bridge.send("n", {"n": n}) for n in range(3)]
        assert (await bridge.info()).queued == 3
        assert worker.step()
        assert await promises[0] == 0
        assert not promises[1].done()
        worker.resume()
        assert await asyncio.gather(*promises) == [0, 1, 2]
        assert await bridge.send("4") == 4


async def test_a_small_window_fills_the_backlog() -> None:
    """And a full backlog refuses, as soon as one command waits in it."""
    worker = FakeWorker(stepwise=True, window=Bound(count=1, size=100))
    async with worker.connect(backlog=Bound(count=1, size=100)) as bridge:
        first = bridge.send("1")
        await bridge.info()
        second = bridge.send("2")
        with pytest.raises(QueueFull):
            bridge.send("3")
        worker.resume()
        assert (await first, await second) == (1, 2)


async def test_started_anew_it_is_another_process() -> None:
    """What it held is gone, its bridges are lost; an app that connects again goes on."""
    worker = FakeWorker()
    worker.fail("ValueError", match="never")
    async with worker.connect() as one:
        await one.send("x = 1")
        incarnation = (await one.info()).incarnation
        worker.restart()
        async with worker.connect() as two:
            assert (await two.info()).incarnation != incarnation
            with pytest.raises(RemoteError, match="NameError"):
                await two.send("x")
            assert await two.send("'never'") == "never"
            with pytest.raises(WorkerLost, match="SIGTERM"):
                one.send("1")
        assert one.state == "lost"


async def test_a_stopped_one_takes_no_bridges() -> None:
    """Nor does one whose last bridge was closed, until it is started anew."""
    worker = FakeWorker()
    async with worker.connect():
        pass
    with pytest.raises(ConnectError, match="restart"):
        await worker.connect()
    worker.restart()
    async with worker.connect() as bridge:
        assert await bridge.send("1") == 1


async def test_it_belongs_to_one_loop() -> None:
    """The error says what to do in another one."""
    worker = FakeWorker()

    def elsewhere() -> None:
        with pytest.raises(WrongLoopError, match="loop_scope"):
            asyncio.run(enter())

    async def enter() -> None:
        await worker.connect()

    async with worker.connect():
        await asyncio.to_thread(elsewhere)


async def test_a_script_may_break_it_from_its_own_thread() -> None:
    """A sync bridge's loop runs in another one."""

    def script() -> None:
        worker = FakeWorker()
        with worker.connect() as bridge:
            worker.pause()
            promise = bridge.send("1")
            worker.resume()
            assert promise.wait_for_value(10) == 1
            worker.die()
            with pytest.raises((WorkerLost, BridgeClosed)):
                bridge.send("2").wait_for_value(10)
        worker = FakeWorker()
        with worker.connect() as bridge:
            worker.pause()
            promise = bridge.send("1")
            worker.cut()
            with pytest.raises(WorkerLost, match="the connection ended"):
                promise.wait_for_value(10)

    await asyncio.to_thread(script)


async def test_the_clock_gives_the_durations_of_info() -> None:
    """It stands still until it is told to go on."""
    clock = ManualClock(start=100)
    worker = FakeWorker(stepwise=True, clock=clock)
    async with worker.connect() as bridge:
        assert clock() == 100
        clock.advance(2.5)
        assert clock() == 102.5
        assert (await bridge.info()).running is None


async def test_a_step_executor_is_the_workers_own() -> None:
    """Not a second one that could differ."""
    from asyncbridge.worker import executor  # noqa: PLC0415 - only to compare

    assert StepExecutor is executor.StepExecutor

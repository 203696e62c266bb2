"""The ladder of cancelling on a fake worker, step by step."""

from __future__ import annotations

import asyncio

import pytest

from asyncbridge.client.pending import INTERRUPT_SECONDS
from asyncbridge.errors import RemoteError, WorkerLost
from asyncbridge.promise import Promise
from asyncbridge.promise.source import CancelMode
from asyncbridge.promise.times import Times
from asyncbridge.testing import FakeWorker, ManualClock

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]

HEEDING = """
from asyncbridge.worker.stopping import stop_asked
"stopped" if stop_asked() else "whole"
"""
"""Code that looks whether it is to stop."""


async def begin(worker: FakeWorker, promise: Promise[object]) -> None:
    """Have the worker take up a command that was just sent, and the client know of it."""
    while not worker.begin():
        await asyncio.sleep(0)
    while promise.state != "running":
        await asyncio.sleep(0)


async def test_a_command_that_has_begun_is_running() -> None:
    """Until the next step, which ends it."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promise = bridge.send("1 + 1")
        await begin(worker, promise)
        with pytest.raises(RuntimeError, match=r"step\(\) lets it go on"):
            worker.begin()
        assert worker.step()
        assert await promise == 2
        assert promise.cancelled_phase is None
        assert not worker.begin()


async def test_what_is_queued_is_taken_out() -> None:
    """It never runs, and its promise says what it was told."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        first, second = bridge.send("1"), bridge.send("never")
        await begin(worker, first)
        assert second.cancel("not needed")
        with pytest.raises(asyncio.CancelledError, match="not needed"):
            await second
        assert (second.state, second.cancelled_phase) == ("cancelled", "queued")
        worker.run_all()
        assert await first == 1


@pytest.mark.parametrize("mode", [None, "graceful", "interrupt"])
async def test_code_that_does_not_look_is_interrupted_unless_it_is_asked_alone(
    mode: CancelMode | None,
) -> None:
    """``graceful`` waits for code to look, however long that takes."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promise = bridge.send("'whole'")
        await begin(worker, promise)
        assert promise.cancel(mode=mode)
        await bridge.info()
        assert promise.cancelled_phase is None
        worker.step()
        if mode == "graceful":
            assert await promise == "whole"
            assert promise.cancelled_phase == "finished"
        else:
            with pytest.raises(asyncio.CancelledError):
                await promise
            assert promise.cancelled_phase == "running"


async def test_code_that_looks_stops_by_itself() -> None:
    """Its value is what it has so far."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promise = bridge.send(HEEDING)
        await begin(worker, promise)
        assert promise.cancel(mode="graceful")
        await bridge.info()
        worker.step()
        assert await promise == "stopped"
        assert promise.cancelled_phase == "running"
        assert not promise.cancel()


async def test_a_command_that_fails_by_itself_has_finished() -> None:
    """The cancellation came too late to be the reason."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promise = bridge.send("1 / 0")
        await begin(worker, promise)
        promise.cancel(mode="graceful")
        await bridge.info()
        worker.step()
        with pytest.raises(RemoteError):
            await promise
        assert promise.cancelled_phase == "finished"


async def test_kill_ends_the_worker() -> None:
    """The command is cancelled at once; the others are lost with the worker."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promise, other = bridge.send("1"), bridge.send("2")
        await begin(worker, promise)
        assert promise.cancel(mode="kill")
        with pytest.raises(asyncio.CancelledError):
            await promise
        assert promise.cancelled_phase == "running"
        with pytest.raises(WorkerLost):
            await other
        assert other.cancelled_phase is None
        worker.step()


async def test_a_kill_of_what_is_queued_kills_nothing() -> None:
    """It is taken out of the queue, as by any other mode."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        first, second = bridge.send("1"), bridge.send("2")
        await begin(worker, first)
        assert second.cancel(mode="kill")
        with pytest.raises(asyncio.CancelledError):
            await second
        assert second.cancelled_phase == "queued"
        worker.run_all()
        assert await first == 1


async def test_an_interrupt_that_takes_long_is_said() -> None:
    """Only past a deadline, for most take effect at once."""
    worker, clock = FakeWorker(stepwise=True), ManualClock()
    async with worker.connect() as bridge:
        promise = bridge.send("1")
        await begin(worker, promise)
        assert promise._source is not None
        promise._source.times = Times(clock)  # type: ignore[misc]
        promise.cancel(mode="interrupt")
        clock.advance(INTERRUPT_SECONDS)
        assert promise.state == "running"
        clock.advance(0.1)
        promise.cancel(mode="interrupt")
        assert promise.state == "interrupt-pending"
        await bridge.info()
        worker.step()
        with pytest.raises(asyncio.CancelledError):
            await promise


@pytest.mark.parametrize("mode", ["hard", "", 1])
async def test_a_mode_that_is_none_is_refused(mode: str) -> None:
    """Before anything is cancelled, on any promise."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        command = bridge.send("1")
        for promise in (command, command.then(str), Promise[int].with_resolvers().promise):
            with pytest.raises(ValueError, match="one of None, 'graceful', 'interrupt', 'kill'"):
                promise.cancel(mode=mode)  # type: ignore[arg-type]
            assert not promise.done()
        worker.resume()


async def test_a_mode_that_is_given_as_the_message_is_refused() -> None:
    """It would be cancelled in another way than was meant; a bare promise takes any message."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        command = bridge.send("1")
        with pytest.raises(ValueError, match="write mode='kill'"):
            command.cancel("kill")
        assert not command.done()
        assert Promise[int].with_resolvers().promise.cancel("kill")
        worker.resume()


async def test_a_promise_stands_for_its_value_and_not_for_code() -> None:
    """Among the bindings, that is; where code belongs it is refused, with what to do about it."""
    async with FakeWorker().connect() as bridge:
        promise = bridge.send("1")
        assert await bridge.send("a + 1", {"a": promise}) == 2
        with pytest.raises(TypeError, match="takes code, not a promise"):
            bridge.send(promise)  # type: ignore[arg-type]
        assert await promise == 1

"""The queue's face, over a fake worker that is stepped by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge.errors import (
    BridgeClosed,
    DependencyError,
    RemoteError,
    ResultExpired,
    WorkerLost,
)
from asyncbridge.promise import WatchedPromise
from asyncbridge.protocol.limits import Bound
from asyncbridge.testing import FakeWorker

if TYPE_CHECKING:
    from asyncbridge.client import Bridge, CommandInfo
    from asyncbridge.promise import Promise

pytestmark = pytest.mark.asyncio


def ids(infos: list[CommandInfo]) -> list[int]:
    """Return their ids."""
    return [info.id for info in infos]


async def arrived(bridge: Bridge, *promises: Promise[Any]) -> None:
    """Wait until commands stand in the worker's queue."""
    while not all(promise.state == "queued" for promise in promises):
        await bridge.info()


async def begun(worker: FakeWorker, promise: Promise[Any]) -> None:
    """Wait until a command that was just sent runs."""
    while not worker.begin():
        await asyncio.sleep(0)
    while promise.state != "running":
        await asyncio.sleep(0)


def time_is_over(promise: Promise[Any]) -> None:
    """Have the time limit of a command strike."""
    source: Any = promise._source
    source.timer._run()
    source.timer.cancel()


async def test_the_queue() -> None:
    """All that is unfinished, the running one first, those in the backlog last."""
    worker = FakeWorker(stepwise=True, window=Bound(count=2, size=1000))
    async with worker.connect() as bridge:
        promises = [bridge.send("'ab'", name=f"n{number}") for number in (1, 2, 3)]
        await arrived(bridge, *promises[:2])
        worker.begin()
        first, second, third = await bridge.queue()
        assert (first.id, first.state, first.position, first.others) == (1, "running", None, None)
        assert (second.name, second.state, second.position) == ("n2", "queued", 0)
        assert (third.state, third.position, third.size) == ("pending", 1, 4)
        assert (second.others, third.others, third.priority) == (0, 0, 0)
        assert second.seconds >= first.seconds >= 0
        worker.resume()
        assert await asyncio.gather(*promises) == ["ab"] * 3
        assert await bridge.queue() == []


async def test_one_command() -> None:
    """By its id or its promise; one that is done is known, too."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        first, second = bridge.send("1"), bridge.send("2", name="two", priority=-3)
        await arrived(bridge, first, second)
        info = await bridge.command(2)
        assert (info.id, info.name, info.position, info.priority) == (2, "two", 1, -3)
        assert (await bridge.command(second)).position == 1
        worker.resume()
        await second
        assert (await bridge.command(2)).state == "done"
        done = await bridge.command(second)
        assert (done.name, done.state, done.position, done.size) == ("two", "done", None, 0)
        assert done.outcome == "completed"


async def test_how_a_command_has_ended() -> None:
    """That of the command counts, whatever became of its promise."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        failing, cancelled = bridge.send("1 / 0"), bridge.send("2")
        unmade = bridge.send("3", transform=lambda value: value["no"])
        assert (await bridge.command(1)).outcome == ""
        cancelled.cancel()
        await bridge.info()
        worker.resume()
        await asyncio.wait([failing, cancelled, unmade])
        infos = [await bridge.command(number) for number in (1, 2, 3)]
        assert [info.state for info in infos] == ["done"] * 3
        assert [info.outcome for info in infos] == ["failed", "cancelled", "completed"]
        for promise, error in ((failing, RemoteError), (unmade, TypeError)):
            with pytest.raises(error):
                await promise


async def test_one_whose_time_was_over_can_be_stopped() -> None:
    """The command goes on; it is told, cancelled and waited for by its id."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promise = bridge.send("1", timeout=1000, name="slow")
        await begun(worker, promise)
        time_is_over(promise)
        with pytest.raises(TimeoutError, match=r"after 1000 s \(running\): .*bridge.cancel\(1\)"):
            await promise
        assert [(info.name, info.state) for info in await bridge.queue()] == [("slow", "running")]
        assert not promise.cancel()
        again = bridge.promise(1)
        assert await bridge.cancel(promise, "enough")
        await bridge.info()
        worker.resume()
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await again
        assert (again.cancelled_phase, promise.cancelled_phase) == ("running", "running")
        assert (await bridge.command(1)).outcome == "cancelled"
        assert await bridge.send("'free'") == "free"


async def test_a_value_that_is_waited_for_again() -> None:
    """It comes after all; each promise has its own transform, and is known by the command."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        first = bridge.send("20", timeout=1000, transform=str)
        await begun(worker, first)
        time_is_over(first)
        with pytest.raises(TimeoutError):
            await first
        more = [bridge.promise(1, transform=lambda value: value + 1)]
        more += [bridge.promise(1) for _ in range(2_000)]
        assert {promise.state for promise in more} == {"running"}
        worker.resume()
        assert await asyncio.gather(*more) == [21] + [20] * 2_000
        assert (await bridge.command(1)).outcome == "completed"
        with pytest.raises(ResultExpired, match="this process has had the outcome of command 1"):
            await bridge.promise(1)


async def test_a_progress_that_is_joined() -> None:
    """It is told from then on, to as many as want to know."""
    worker = FakeWorker(stepwise=True)
    code = "from asyncbridge.worker.progress import report\nreport(1)\n'through'"
    async with worker.connect() as bridge:
        first = bridge.send(code)
        await arrived(bridge, first)
        watched = [bridge.promise(1, promise_factory=WatchedPromise[str]) for _ in range(2)]
        worker.resume()
        assert await first == "through"
        assert [[event async for event in each.progress()] for each in watched] == [[1], [1]]


async def test_cancelled_and_asked_for() -> None:
    """There is nothing to be had, and that is said."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promise = bridge.send("1")
        promise.cancel()
        with pytest.raises(asyncio.CancelledError):
            await promise
        with pytest.raises(ResultExpired, match="command 1 was cancelled"):
            await bridge.promise(1)


async def test_other_clients_are_only_counted() -> None:
    """They come before or after; what they are is not told."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as mine, worker.connect() as other:
        theirs = other.send("'secret'", name="secret")
        await arrived(other, theirs)
        promise = mine.send("1")
        await arrived(mine, promise)
        (info,) = await mine.queue()
        assert (info.position, info.others) == (0, 1)
        assert [info.others for info in await other.queue()] == [0]
        worker.resume()
        await asyncio.gather(promise, theirs)


async def test_priorities() -> None:
    """Higher ones are run first, equal ones as they were sent, in the worker and here."""
    worker = FakeWorker(window=Bound(count=3, size=1000))
    async with worker.connect() as bridge:
        await bridge.put([], name="ran", lifetime="eternal")
        worker.pause()
        sent = [bridge.send(f"ran.append({n})", priority=p)
                for n, p in enumerate((0, 0, 0, 0, 2, 1, 2))]  # fmt: skip
        worker.resume()
        await asyncio.gather(*sent)
        assert await bridge.send("ran") == [4, 6, 5, 0, 1, 2, 3]


async def test_what_others_depend_on_comes_first() -> None:
    """However high their priority is."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        low = bridge.send("1", priority=-1)
        high = bridge.send("2", priority=9, after=[low])
        bridge.send("3")
        await arrived(bridge, low, high)
        assert ids(await bridge.queue()) == [3, 1, 2]
        assert [low.position, high.position] == [1, 2]
        low.cancel()
        await bridge.info()
        worker.resume()
        with pytest.raises(DependencyError):
            await high


@pytest.mark.parametrize("window", [1, 10])
async def test_given_another_priority(window: int) -> None:
    """In the backlog and in the worker; it stands where it was sent among its equals."""
    worker = FakeWorker(stepwise=True, window=Bound(count=window, size=1000))
    async with worker.connect() as bridge:
        promises = [bridge.send(str(number)) for number in (1, 2, 3, 4)]
        await arrived(bridge, promises[0])
        worker.begin()
        assert await bridge.prioritize(4, 5)
        assert await bridge.prioritize(promises[2], 5)
        assert ids(await bridge.queue()) == [1, 3, 4, 2]
        assert not await bridge.prioritize(1, 5)
        worker.resume()
        await asyncio.gather(*promises)
        assert not await bridge.prioritize(2, 5)


async def test_cancelled_by_id() -> None:
    """As by its promise; not what is done."""
    worker = FakeWorker(stepwise=True, window=Bound(count=1, size=1000))
    async with worker.connect() as bridge:
        first, second = bridge.send("1"), bridge.send("2")
        await arrived(bridge, first)
        assert await bridge.cancel(2, "no more")
        with pytest.raises(asyncio.CancelledError, match="no more"):
            await second
        assert not await bridge.cancel(second)
        assert await bridge.cancel(first)
        with pytest.raises(asyncio.CancelledError):
            await first
        worker.resume()


async def test_what_is_refused() -> None:
    """Ids that were never given, promises without a command, priorities that are none."""
    worker = FakeWorker()
    async with worker.connect() as bridge:
        with pytest.raises(ValueError, match="no command 1: none was sent yet"):
            await bridge.command(1)
        await bridge.send("1")
        for asked in (bridge.command(2), bridge.cancel(0), bridge.prioritize(-1, 1)):
            with pytest.raises(ValueError, match="this bridge has no command .*: the newest is 1"):
                await asked
        with pytest.raises(ValueError, match="has no command of its own"):
            await bridge.command(bridge.send("1").then(str))
        with pytest.raises(TypeError, match="named by its id or its promise, not by 'one'"):
            await bridge.command("one")  # type: ignore[arg-type] # what is refused
        with pytest.raises(ValueError, match="mode='gently'"):
            bridge.cancel(1, mode="gently")  # type: ignore[arg-type] # what is refused
        with pytest.raises(TypeError, match="priority= is an int"):
            bridge.prioritize(1, True)
        with pytest.raises(ValueError, match="between -2\\*\\*31 and 2\\*\\*31"):
            bridge.send("1", priority=2**31)
    with pytest.raises(BridgeClosed):
        bridge.queue()


async def test_a_worker_that_dies_answers_no_more() -> None:
    """Who asks is told so."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        asked = bridge.queue()
        await asyncio.sleep(0)
        worker.die()
        with pytest.raises(WorkerLost):
            await asked


async def test_a_binding_that_is_set_anew_among_priorities() -> None:
    """What was collected before it does not take it away, however late that is done."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        binding = bridge.put(1, name="x")
        worker.resume()
        kept = await binding
        worker.pause()
        low = bridge.send("'low'", priority=-1)
        await arrived(bridge, low)
        del kept, binding
        await bridge.info()
        fresh = bridge.put(2, name="x")
        await arrived(bridge, fresh)
        worker.resume()
        again, _ = await asyncio.gather(fresh, low)
        assert await bridge.send("x") == 2
        assert again.name == "x"


async def test_what_has_no_command_of_its_own_is_refused_by_each() -> None:
    """The text is about what was given, not about ``after=``."""
    async with FakeWorker().connect() as bridge, FakeWorker().connect() as other:
        derived, foreign = bridge.send("1").then(str), other.send("2", name="two")
        for ask in (bridge.cancel, bridge.command, lambda given: bridge.prioritize(given, 1)):
            with pytest.raises(ValueError, match="^a command is named by .*what `then` returns"):
                await ask(derived)
            with pytest.raises(ValueError, match=r"two \(command 1\) is another bridge's"):
                await ask(foreign)

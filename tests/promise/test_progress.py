"""Progress of a command: the promise that is watched, and its readers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import asyncbridge
from asyncbridge.errors import RemoteError, WrongLoopError
from asyncbridge.promise.progress import WatchedPromise
from asyncbridge.tasks import spawn
from asyncbridge.testing import FakeWorker

if TYPE_CHECKING:
    from asyncbridge.promise.progress import ProgressReader


def watched() -> WatchedPromise[int]:
    """Return a promise that nobody has settled."""
    return WatchedPromise(loop=asyncio.get_running_loop())


def stay(promise: WatchedPromise[Any], *values: object) -> None:
    """Report values that stay."""
    for value in values:
        promise._report(value, transient=False)


async def read(reader: ProgressReader[Any], count: int) -> list[Any]:
    """Return the next reports."""
    return [await anext(reader) for _ in range(count)]


async def rest(reader: ProgressReader[Any]) -> list[Any]:
    """Return all up to the end."""
    return [value async for value in reader]


# --- readers ---


@pytest.mark.asyncio
async def test_each_reader_sees_all_that_stays() -> None:
    """Early, late, or after the end: each once, in order."""
    promise = watched()
    early = promise.progress()
    stay(promise, 1, 2)
    assert await read(early, 2) == [1, 2]
    late = promise.progress()
    stay(promise, 3)
    promise.set_result(0)
    assert await rest(early) == [3]
    assert await rest(late) == [1, 2, 3]
    assert await rest(promise.progress()) == [1, 2, 3]


@pytest.mark.asyncio
async def test_of_what_passes_the_newest_is_seen_in_its_place() -> None:
    """A reader that keeps up sees each; one that is behind the newest alone."""
    promise = watched()
    quick, slow = promise.progress(), promise.progress()
    stay(promise, "epoch 0")
    assert await read(quick, 1) == ["epoch 0"]
    seen = []
    for batch in (1, 2, 3):
        promise._report(batch, transient=True)
        seen += await read(quick, 1)
    assert seen == [1, 2, 3]
    assert await read(slow, 2) == ["epoch 0", 3]
    stay(promise, "epoch 1")
    late = promise.progress()
    promise.set_result(0)
    assert (await rest(quick), await rest(slow)) == (["epoch 1"], ["epoch 1"])
    assert await rest(late) == ["epoch 0", 3, "epoch 1"]


@pytest.mark.asyncio
async def test_what_has_passed_by_is_not_told_behind_its_place() -> None:
    """A reader that has seen a later report does not get an older one."""
    promise = watched()
    reader = promise.progress()
    promise._report("old", transient=True)
    stay(promise, "epoch")
    assert await read(reader, 2) == ["old", "epoch"]
    promise._report("new", transient=True)
    stay(promise, "next")
    promise.set_result(0)
    assert await rest(reader) == ["new", "next"]


@pytest.mark.asyncio
async def test_readers_that_wait_are_woken() -> None:
    """All of them, by a report and by the end."""
    promise = watched()
    tasks = [spawn(rest(promise.progress()), name="reader") for _ in range(3)]
    await asyncio.sleep(0)
    stay(promise, "a")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    promise.set_result(0)
    assert await asyncio.gather(*tasks) == [["a"]] * 3


@pytest.mark.asyncio
async def test_a_reader_that_is_cancelled_leaves_nothing() -> None:
    """It can be asked again, and a thousand that gave up cost nothing."""
    promise = watched()
    reader = promise.progress()
    for _ in range(1000):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(reader)
    assert promise._progress._waiters == []
    stay(promise, 1)
    assert await anext(reader) == 1


@pytest.mark.asyncio
async def test_one_that_never_reads_holds_nothing_that_passes() -> None:
    """Of a million batches one is kept."""

    class Batch:
        """Something that can be referred to weakly."""

    promise = watched()
    reader = promise.progress()
    refs = []
    for _ in range(100):
        batch = Batch()
        refs.append(weakref.ref(batch))
        promise._report(batch, transient=True)
        del batch
    gc.collect()
    assert [ref() is not None for ref in refs] == [False] * 99 + [True]
    assert await anext(reader) is refs[-1]()


@pytest.mark.asyncio
async def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is too far behind is told how much it has missed, and goes on in order."""
    monkeypatch.setattr("asyncbridge.promise.progress.EVENTS_KEPT", 100)
    promise = watched()
    behind, up_to_date = promise.progress(), promise.progress()
    seen = []
    for number in range(1000):
        stay(promise, number)
        seen += await read(up_to_date, 1)
    promise._report("batch", transient=True)
    promise.set_result(0)
    assert (seen, up_to_date.dropped) == (list(range(1000)), 0)
    late = await rest(behind)
    assert 100 <= len(late) - 1 <= 125
    assert late == [*range(1000 - len(late) + 1, 1000), "batch"]
    assert behind.dropped == late[0]
    assert await rest(up_to_date) == ["batch"]


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["rejected", "cancelled"])
async def test_the_iteration_ends_however_the_command_ends(how: str) -> None:
    """The error is the promise's alone."""
    promise = watched()
    reader = promise.progress()
    stay(promise, 1)
    if how == "rejected":
        promise.set_exception(ValueError("no"))
    else:
        promise.cancel()
    assert await rest(reader) == [1]
    with pytest.raises((ValueError, asyncio.CancelledError)):
        await promise


@pytest.mark.asyncio
async def test_a_reader_that_raises_harms_nobody() -> None:
    """Neither the promise nor another reader."""
    promise = watched()

    async def fail() -> None:
        async for value in promise.progress():
            raise RuntimeError(value)

    bad = spawn(fail(), name="bad")
    good = promise.progress()
    stay(promise, 1)
    with pytest.raises(RuntimeError):
        await bad
    promise.set_result(5)
    assert (await rest(good), await promise) == ([1], 5)


# --- threads and loops ---


@pytest.mark.asyncio
async def test_for_is_refused_in_a_loop() -> None:
    """It would block it."""
    with pytest.raises(WrongLoopError, match="async for"):
        next(watched().progress())


@pytest.mark.asyncio
async def test_a_plain_for_reads_from_another_thread() -> None:
    """The loop goes on meanwhile."""
    promise = watched()
    reading = asyncio.get_running_loop().run_in_executor(None, list, promise.progress())
    stay(promise, 1, 2)
    promise.set_result(0)
    assert await reading == [1, 2]


@pytest.mark.asyncio
async def test_async_for_reads_from_another_loop() -> None:
    """In a thread of its own."""
    promise = watched()
    reader = promise.progress()
    reading = asyncio.get_running_loop().run_in_executor(None, asyncio.run, rest(reader))
    stay(promise, 1, 2)
    promise.set_result(0)
    assert await reading == [1, 2]


def test_what_is_there_can_be_read_when_the_loop_is_closed() -> None:
    """In a script that looks back."""

    async def make() -> WatchedPromise[int]:
        promise = watched()
        stay(promise, 1, 2)
        promise.set_result(3)
        return promise

    promise = asyncio.run(make())
    assert list(promise.progress()) == [1, 2]
    assert asyncio.run(rest(promise.progress())) == [1, 2]


def test_a_script_watches_a_command() -> None:
    """With a bridge that has a loop of its own."""
    code = "from asyncbridge.worker.progress import report\nfor n in range(3): report(n)\n9"
    with FakeWorker().connect() as bridge:
        promise = bridge.send(code, promise_factory=WatchedPromise)
        assert isinstance(promise, WatchedPromise)
        assert list(promise.progress()) == [0, 1, 2]
        assert promise.wait_for_value(10) == 9


@pytest.mark.asyncio
async def test_a_reader_of_another_loop_that_gives_up_loses_nothing() -> None:
    """What was waited for there is taken by the next who asks."""
    promise = watched()
    reader = promise.progress()

    async def impatient() -> list[int]:
        seen: list[int] = []
        while len(seen) < 300:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.0002):
                    seen.append(await anext(reader))
        return seen

    reading = asyncio.get_running_loop().run_in_executor(None, asyncio.run, impatient())
    for number in range(300):
        stay(promise, number)
        await asyncio.sleep(0)
    assert await reading == list(range(300))


def test_where_the_loop_does_not_run_nobody_waits() -> None:
    """What is there is read; then it is the end, or an error that says so."""
    loop = asyncio.new_event_loop()

    async def make() -> WatchedPromise[int]:
        promise = watched()
        stay(promise, 1)
        return promise

    promise = loop.run_until_complete(make())
    reader = promise.progress()
    assert next(reader) == 1
    with pytest.raises(RuntimeError, match="the event loop does not run"):
        next(reader)
    with pytest.raises(RuntimeError, match="the event loop does not run"):
        asyncio.run(rest(reader))
    loop.call_soon(promise.set_result, 0)
    loop.run_until_complete(promise)
    assert list(promise.progress()) == asyncio.run(rest(promise.progress())) == [1]
    loop.close()


# --- over the bridge ---

REPORTS = """
from asyncbridge.worker.progress import report
report({'epoch': 0})
report(1, transient=True)
report({'epoch': 1, 'array': (1, b'2')})
"""


@pytest.mark.asyncio
async def test_reports_cross_the_bridge_exactly() -> None:
    """Values keep their types; the promise gets its own value."""
    async with FakeWorker().connect() as bridge:
        promise = bridge.send(REPORTS + "'done'", promise_factory=WatchedPromise)
        assert isinstance(promise, WatchedPromise)
        assert await promise == "done"
        seen = await rest(promise.progress())
        assert [value for value in seen if value != 1] == [
            {"epoch": 0}, {"epoch": 1, "array": (1, b"2")},
        ]  # fmt: skip


@pytest.mark.asyncio
async def test_a_promise_that_is_not_watched_ignores_reports() -> None:
    """The code need not know."""
    async with FakeWorker().connect() as bridge:
        assert await bridge.send(REPORTS + "4") == 4


@pytest.mark.asyncio
async def test_a_failure_ends_the_iteration() -> None:
    """What was reported before is there."""
    async with FakeWorker().connect() as bridge:
        promise = bridge.send(REPORTS + "1 / 0", promise_factory=WatchedPromise)
        assert isinstance(promise, WatchedPromise)
        assert {"epoch": 0} in await rest(promise.progress())
        with pytest.raises(RemoteError):
            await promise


def test_the_public_names() -> None:
    """They are found at the top, and first loaded there."""
    assert asyncbridge.WatchedPromise is WatchedPromise
    assert asyncbridge.ProgressReader.__module__ == "asyncbridge.promise.progress"

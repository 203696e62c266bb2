"""What a task waits for in vain, and who holds an iterator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from threading import get_ident
from typing import Any
from weakref import ref

import pytest

from asyncbridge.client.pending import Pending
from asyncbridge.client.vain import (
    TaskReader,
    ThreadReader,
    timers_of,
    wait_of_task,
    wait_of_thread,
)
from asyncbridge.promise import Promise
from asyncbridge.promise.blocking import Blocked, _blocked
from asyncbridge.tasks import spawn
from asyncbridge.testing import FakeWorker
from tests.limits import HANG_S

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


def always(command: Pending) -> bool:
    """Take every command for one that cannot run."""
    return True


async def begun(task: asyncio.Task[Any]) -> asyncio.Task[Any]:
    """Let a task come to what it waits for."""
    for _ in range(5):
        await asyncio.sleep(0)
    return task


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task, and wait for its end."""
    task.cancel()
    await asyncio.wait([task])


async def await_it(awaited: Any) -> None:
    """Await something."""
    await awaited


async def test_what_is_found() -> None:
    """The command behind a promise, by whatever way it is awaited; its wait can be failed."""
    async with FakeWorker(stepwise=True).connect() as bridge:
        promise = bridge.send("1", name="one")
        for awaited in (promise, promise.then(abs), asyncio.gather(promise), promise.wait()):
            task = await begun(spawn(await_it(awaited), name="waits"))
            wait = wait_of_task(task, always)
            assert wait is not None
            assert wait.command.label == "one"
            wait.fail(RuntimeError("in vain"))
            with pytest.raises(RuntimeError, match="in vain"):
                await task
        assert not promise.done()
        promise.cancel()


async def test_what_is_not_found() -> None:
    """What may end by anything else."""
    async with FakeWorker(stepwise=True).connect() as bridge:
        promise, free = bridge.send("1"), Promise[int].with_resolvers().promise
        for awaited in (
            free,
            asyncio.sleep(20),
            asyncio.gather(promise, free, return_exceptions=True),
            asyncio.shield(promise),
            promise.wait(timeout=HANG_S),
            asyncio.wait([promise]),
        ):
            task = await begun(spawn(await_it(awaited), name="waits"))
            assert wait_of_task(task, always) is None
            await ended(task)
        assert wait_of_task(await begun(spawn(await_it(free), name="waits")), always) is None
        free.cancel()
        promise.cancel()


async def test_a_command_that_may_run() -> None:
    """It will come."""
    async with FakeWorker(stepwise=True).connect() as bridge:
        promise = bridge.send("1")
        task = await begun(spawn(await_it(promise), name="waits"))
        assert wait_of_task(task, lambda _: False) is None
        promise.cancel()
        await asyncio.wait([task])


async def test_a_limit_is_seen() -> None:
    """Of the task, or of one that it waits for; unless it is known to end more than the wait."""

    async def limited(awaited: Any) -> None:
        async with asyncio.timeout(HANG_S):
            await awaited

    async with FakeWorker(stepwise=True).connect() as bridge:
        promise = bridge.send("1")
        inner = spawn(limited(promise), name="limited")
        outer = await begun(spawn(await_it(inner), name="waits"))
        assert wait_of_task(outer, always) is None
        timers = timers_of([inner], asyncio.get_running_loop())
        assert len(timers) == 1
        assert wait_of_task(outer, always, timers) is not None
        promise.cancel()
        await asyncio.wait([outer])


async def test_a_blocked_thread() -> None:
    """What it waits for is seen for as long as it does."""
    async with FakeWorker(stepwise=True).connect() as bridge:
        promise, woken = bridge.send("1"), list[object]()
        assert wait_of_thread(get_ident(), always) is None
        _blocked[get_ident()] = Blocked(promise, woken.append)
        wait = wait_of_thread(get_ident(), always)
        del _blocked[get_ident()]
        assert wait is not None
        wait.fail(RuntimeError())
        assert woken == [promise]
        promise.cancel()


# --- readers -----------------------------------------------------------------------------


async def numbers() -> AsyncIterator[int]:
    """Give some."""
    for number in range(3):
        yield number


async def passed_on(numbers: AsyncIterator[int]) -> AsyncIterator[int]:
    """Give what another gives."""
    async for number in numbers:
        yield number


KEPT: list[object] = []


def kept(iterator: AsyncIterator[int]) -> AsyncIterator[int]:
    """Let somebody else have it, too."""
    KEPT.append(iterator)
    return iterator


@pytest.mark.parametrize(
    ("around", "alone"),
    [
        (lambda made: made, True),
        (passed_on, True),
        (lambda made: passed_on(passed_on(made)), True),
        (kept, False),
        (lambda made: kept(passed_on(made)), False),
    ],
)
async def test_who_holds_an_iterator(
    around: Callable[[AsyncIterator[int]], AsyncIterator[int]], alone: bool
) -> None:
    """The loop of a task alone, or somebody who may read on."""
    readers: list[TaskReader] = []

    def watched() -> AsyncIterator[int]:
        made = numbers()
        weak.append(ref(made))
        return around(made)

    async def read(promise: Promise[int]) -> None:
        async for _ in watched():
            readers.append(TaskReader(weak[0], ()))
            await await_it(promise)

    weak: list[ref[Any]] = []
    async with FakeWorker(stepwise=True).connect() as bridge:
        promise = bridge.send("1")
        task = await begun(spawn(read(promise), name="reads"))
        assert (readers[0].wait(always) is not None) is alone
        await ended(task)
        assert readers[0].wait(always) is None
        promise.cancel()
    KEPT.clear()


async def test_who_holds_an_iterator_in_a_thread() -> None:
    """A frame that runs, or anything else."""

    def given(number: int) -> Iterator[int]:
        yield number

    weak: list[ref[Any]] = []

    def watched(*, shared: bool) -> Iterator[int]:
        made = given(1)
        weak.append(ref(made))
        if shared:
            KEPT.append(made)
        return made

    def look(promise: Promise[Any], *, shared: bool) -> bool:
        found = False
        for _ in watched(shared=shared):
            _blocked[get_ident()] = Blocked(promise, print)
            found = ThreadReader(weak[-1], get_ident()).wait(always) is not None
            del _blocked[get_ident()]
        return found

    async with FakeWorker(stepwise=True).connect() as bridge:
        promise = bridge.send("1")
        assert look(promise, shared=False)
        assert not look(promise, shared=True)
        promise.cancel()
    KEPT.clear()

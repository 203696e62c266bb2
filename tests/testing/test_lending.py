from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from asyncbridge.client import Options
from asyncbridge.errors import BridgeClosed, RemoteError, WorkerLost, WrongLoopError
from asyncbridge.testing.lending import Borrower, Holder, RealWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncbridge.client import Bridge

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

NAMES = "[name for name in dir() if name[:2] != '__']"


@pytest.fixture
def lend(no_leaks: None) -> Iterator[Callable[[str], RealWorker]]:
    """Return what lends one worker to test after test, by their names; nothing may be left."""
    holder = Holder(Options(backend=None, close_timeout=1))
    yield lambda test: RealWorker(holder, Borrower(test=test, loop_scope="function"))
    holder.close()


async def pid_of(bridge: Bridge) -> int:
    """Return the process id of a bridge's worker."""
    return (await bridge.info()).pid


async def test_one_process_serves_all_and_each_finds_it_empty(
    lend: Callable[[str], RealWorker],
) -> None:
    """Names that code has set, eternal and collected bindings: none is left."""
    pids = set()
    for test in ("first", "second"):
        async with lend(test).connect() as bridge:
            assert await bridge.send(NAMES) == []
            await bridge.put(1, name="eternal", lifetime="eternal")
            kept = await bridge.put(2, name="collected")
            await bridge.send("import os\ndef function(): pass")
            assert len(await bridge.send(NAMES)) == 4
            pids.add(await pid_of(bridge))
            del kept
    assert len(pids) == 1


async def test_it_serves_one_loop_after_another(lend: Callable[[str], RealWorker]) -> None:
    """And scripts without a loop: it belongs to none of them."""

    async def main(test: str) -> int:
        async with lend(test).connect() as bridge:
            return await pid_of(bridge)

    def script() -> int:
        with lend("script").connect() as bridge:
            return bridge.info().wait_for_value(10).pid

    pids = [await main("here")]
    pids.append(await asyncio.to_thread(lambda: asyncio.run(main("elsewhere"))))
    pids.append(await asyncio.to_thread(script))
    assert len(set(pids)) == 1


async def test_bridges_of_one_test_share_the_namespace(lend: Callable[[str], RealWorker]) -> None:
    """Also when they are opened at once; a second one empties nothing."""
    worker = lend("test")
    one, two = await asyncio.gather(worker.connect(), worker.connect())
    await one.send("x = 1")
    async with worker.connect() as three:
        assert await three.send("x") == 1
    assert await two.send("x") == 1
    for bridge in one, two:
        await bridge.close()


async def test_a_planned_failure_is_raised_in_the_worker(lend: Callable[[str], RealWorker]) -> None:
    """With the sender's line; the code does not run, and the next test knows nothing of it."""
    worker = lend("first")
    worker.fail("some.library.Trouble", "no luck", match="fit", times=None)
    async with worker.connect() as bridge:
        assert await bridge.send("1", name="predict") == 1
        with pytest.raises(RemoteError, match=r"test_lending\.py") as caught:
            await bridge.send("x = 1", {"y": 1}, name="fit", lifetime="eternal")
        assert (caught.value.type, caught.value.message) == ("some.library.Trouble", "no luck")
        assert await bridge.send(NAMES) == []
    async with lend("second").connect() as bridge:
        assert await bridge.send("1", name="fit") == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_a_planned_crash_ends_the_process(
    lend: Callable[[str], RealWorker], number: signal.Signals
) -> None:
    """In the middle of a command; a bridge that is opened then has another worker."""
    worker = lend("test")
    worker.crash(signal=number, match="fit")
    async with worker.connect() as bridge:
        pid = await pid_of(bridge)
        dying, behind = bridge.send("1", name="fit"), bridge.send("2")
        with pytest.raises(WorkerLost) as caught:
            await dying
        assert (caught.value.phase, caught.value.signal) == ("started", number.name)
        assert await behind == 2  # by the successor, as in production
        assert await pid_of(bridge) != pid
        async with worker.connect() as another:
            assert await pid_of(another) != pid
    async with lend("next").connect() as bridge:
        assert await bridge.send("1", name="fit") == 1


async def test_a_worker_that_is_busy_still_is_ended(lend: Callable[[str], RealWorker]) -> None:
    """What the test before has left running is not waited for."""
    async with lend("first").connect() as bridge:
        pid = await pid_of(bridge)
        bridge.send("import threading\nthreading.Event().wait()")
        while (await bridge.info()).running is None:
            pass
        await bridge.close(timeout=0)
    async with lend("second").connect() as bridge:
        assert await pid_of(bridge) != pid


async def test_another_loop_is_told_which_one_it_belongs_to(
    lend: Callable[[str], RealWorker],
) -> None:
    """With what to write."""

    async def elsewhere() -> None:
        with pytest.raises(WrongLoopError, match=r"of the test \(loop_scope='function'\).*Write"):
            bridge.send("1")
        with pytest.raises(WrongLoopError, match="belongs to the event loop of the test"):
            bridge.drain()

    async with lend("the test").connect() as bridge:
        await asyncio.to_thread(lambda: asyncio.run(elsewhere()))


async def test_after_its_test_it_says_whose_it_was(lend: Callable[[str], RealWorker]) -> None:
    """For the bridge, and for one that would be opened."""
    worker = lend("the test")
    async with worker.connect() as bridge:
        pass
    worker.ended = True
    with pytest.raises(BridgeClosed, match="was that of the test"):
        bridge.send("1")
    with pytest.raises(BridgeClosed, match="was that of the test"):
        await worker.connect()

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import warnings
from typing import TYPE_CHECKING

import pytest

from asyncbridge.client.connected import abandon, import_off_loop
from asyncbridge.client.life import hand_over, in_thread_of
from asyncbridge.client.options import Options
from asyncbridge.errors import BridgeClosed, ConnectError, WorkerLost, WorkerStartError
from asyncbridge.promise import Promise
from asyncbridge.testing import FakeWorker

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client import Bridge
    from asyncbridge.client.connectors import Worker

pytestmark = pytest.mark.asyncio


async def settle(bridge: Bridge) -> None:
    """Let everything that is on its way arrive."""
    await bridge.info()


async def test_the_repr_tells_what_it_is_and_has_to_do() -> None:
    """As facts."""
    worker = FakeWorker(stepwise=True)
    bridge = worker.connect()
    assert repr(bridge) == "<Bridge new>"
    async with bridge:
        promises = [bridge.send("1") for _ in range(2)]
        assert repr(bridge) == "<Bridge fake [2 pending, 2 in the backlog] open>"
        await settle(bridge)
        assert repr(bridge) == "<Bridge fake [2 pending, 0 in the backlog] open>"
        worker.run_all()
        await asyncio.gather(*promises)
    assert repr(bridge) == "<Bridge fake [0 pending, 0 in the backlog] closed>"


async def test_a_promise_that_outlives_its_bridge_is_settled() -> None:
    """Whatever was on its way: closing rejects it, so nobody waits for ever."""
    worker = FakeWorker(stepwise=True)
    bridge = await worker.connect().__aenter__()
    running, info, drained = bridge.send("1"), bridge.info(), bridge.drain()
    await bridge.close(timeout=0)
    with pytest.raises(BridgeClosed):
        await running
    async with asyncio.timeout(2):
        await asyncio.wait([info])
        await asyncio.wait([drained])
    gc.collect()
    if not info.cancelled():
        info.exception()


async def test_the_state_follows_the_bridges_life() -> None:
    """From new to closed."""
    worker = FakeWorker(stepwise=True)
    bridge = worker.connect()
    seen = [bridge.state]
    opening = asyncio.ensure_future(bridge.__aenter__())  # noqa: TID251 - looked at on the way
    await asyncio.sleep(0)
    seen.append(bridge.state)
    await opening
    seen.append(bridge.state)
    command = bridge.send("1")
    closing = bridge.close()
    while command.state != "queued":
        await asyncio.sleep(0)
    seen.append(bridge.state)
    worker.run_all()
    await closing
    assert [*seen, bridge.state] == ["new", "connecting", "open", "closing", "closed"]


async def test_a_bridge_that_opens_refuses_to_send() -> None:
    """It is not open yet; nothing is queued behind its back."""
    bridge = FakeWorker().connect()
    opening = asyncio.ensure_future(bridge.__aenter__())  # noqa: TID251 - as above
    await asyncio.sleep(0)
    calls: list[Callable[[], object]] = [lambda: bridge.send("1"), bridge.output, bridge.info]
    for call in calls:
        with pytest.raises(BridgeClosed, match="not open yet"):
            call()
    await opening
    await bridge.close()


async def test_a_close_while_it_opens_is_refused_or_ends_it() -> None:
    """Either way the bridge can be closed afterwards, and is closed then."""
    bridge = FakeWorker().connect()
    opening = asyncio.ensure_future(bridge.__aenter__())  # noqa: TID251 - as above
    await asyncio.sleep(0)
    with contextlib.suppress(BridgeClosed):
        await bridge.close()
    await asyncio.wait([opening])
    opening.exception()
    with contextlib.suppress(BridgeClosed):
        await bridge.close()
    assert bridge.state == "closed"


async def test_a_lost_bridge_closes_quietly_and_stays_closed() -> None:
    """Its promises were rejected by the loss, not by the closing."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promise = bridge.send("1")
        await settle(bridge)
        worker.die()
        with pytest.raises(WorkerLost):
            await promise
        assert bridge.state == "lost"
    assert bridge.state == "closed"


async def test_what_cannot_be_opened_is_closed_and_let_go_of() -> None:
    """The worker is killed and closed, whatever went wrong."""

    class Deaf(FakeWorker):
        closed = killed = False

        async def dial(self, session: str) -> object:  # type: ignore[override]
            raise ConnectError("deaf")

        async def close(self) -> None:
            self.closed = True

        def kill(self) -> None:
            self.killed = True

    worker = Deaf()
    bridge = worker.connect()
    with pytest.raises(ConnectError, match="deaf"):
        await bridge.__aenter__()
    assert worker.closed
    assert worker.killed
    assert bridge.state == "closed"


async def test_a_start_that_fails_is_raised_as_it_is() -> None:
    """There is no worker to let go of."""
    from asyncbridge.client.bridge import Bridge  # noqa: PLC0415 - the name is a type's above

    async def fail(_: Options) -> Worker:
        raise WorkerStartError("no")

    bridge = Bridge(Options(), start=fail)
    with pytest.raises(WorkerStartError):
        await bridge.__aenter__()
    assert bridge.state == "closed"


async def test_a_bridge_that_nobody_closed_kills_its_worker_whatever_warnings_do() -> None:
    """Also where warnings are errors."""

    class Victim(FakeWorker):
        killed = False

        def kill(self) -> None:
            self.killed = True

    worker = Victim()
    with pytest.warns(ResourceWarning, match="<Bridge x> was never closed"):
        abandon(worker, "<Bridge x>", os.getpid())
    assert worker.killed
    worker = Victim()
    with warnings.catch_warnings(), pytest.raises(ResourceWarning):
        warnings.simplefilter("error")
        abandon(worker, "<Bridge x>", os.getpid())
    assert worker.killed


async def test_a_tasks_end_is_handed_over() -> None:
    """Value, error or cancellation; a promise that is settled stays as it is."""
    loop = asyncio.get_running_loop()

    async def end(error: BaseException | None) -> int:
        if error is not None:
            raise error
        return 7

    async def handed(error: BaseException | None) -> Promise[int]:
        promise: Promise[int] = Promise(loop=loop)
        task = asyncio.ensure_future(end(error))  # noqa: TID251 - what is handed over
        await asyncio.wait([task])
        hand_over(task, promise)
        hand_over(task, promise)
        return promise

    assert (await handed(None)).result() == 7
    assert isinstance((await handed(LookupError())).exception(), LookupError)
    assert (await handed(asyncio.CancelledError())).cancelled()


async def test_modules_are_imported_in_a_thread() -> None:
    """The loop has better use for the time."""
    assert (await import_off_loop("json")).__name__ == "json"
    with pytest.raises(ModuleNotFoundError):
        await import_off_loop("asyncbridge.nothing")


async def test_only_the_running_loops_own_thread_counts() -> None:
    """Another thread, or another loop, is elsewhere."""
    loop = asyncio.get_running_loop()
    assert in_thread_of(loop)
    assert not await asyncio.to_thread(in_thread_of, loop)

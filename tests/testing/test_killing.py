from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from asyncbridge.client import Bridge, Options, connect
from asyncbridge.client.connectors import AttachedWorker
from asyncbridge.errors import BridgeClosed, WorkerLost
from asyncbridge.testing import FakeWorker, kill_worker

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]

MAKERS = [
    pytest.param(
        lambda: connect(backend=None, restart="never"), id="local", marks=pytest.mark.slow
    ),
    pytest.param(lambda: FakeWorker().connect(), id="fake"),
]


@pytest.mark.parametrize("connected", MAKERS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
async def test_the_bridge_has_seen_it(
    connected: Callable[[], Bridge], number: signal.Signals
) -> None:
    """The promise tells how it ended; from then on the bridge is lost."""
    async with connected() as bridge:
        await bridge.send("1")
        lost = await kill_worker(bridge, number)
        assert (lost.signal, bridge.state) == (number.name, "lost")
        with pytest.raises(WorkerLost, match=number.name):
            bridge.send("2")


async def test_what_was_unfinished_is_lost() -> None:
    """As far as each command had come."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promise = bridge.send("1")
        await bridge.info()
        await kill_worker(bridge)
        with pytest.raises(WorkerLost) as caught:
            await promise
        assert caught.value.phase == "not_started"


async def test_only_an_open_bridge_has_a_worker() -> None:
    """One that was never opened says so."""
    with pytest.raises(ValueError, match="no worker that was started here"):
        kill_worker(connect(backend=None))
    async with FakeWorker().connect() as bridge:
        pass
    with pytest.raises(BridgeClosed):
        await kill_worker(bridge)


async def test_the_worker_of_somebody_else_is_left_alone() -> None:
    """Its process may be on another machine."""
    bridge = Bridge(Options())
    bridge._worker = AttachedWorker("https://gpu.example:8750", "secret")
    with pytest.raises(ValueError, match="attached to"):
        kill_worker(bridge)

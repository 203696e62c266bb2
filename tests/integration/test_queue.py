"""The queue's face with real workers: nothing of it waits behind commands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from asyncbridge.client import connect
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client import Bridge
    from tests.integration.conftest import Gate

pytestmark = pytest.mark.asyncio


async def test_the_control_lane_passes_a_full_queue(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """While a command runs and the window and the backlog are full, all else is done at once."""
    async with connected() as bridge:
        blocking = bridge.send(gate.code)
        await gate.reached()
        waiting = [bridge.send(f"{number}") for number in range(1500)]
        # Nothing of this could end if it waited for the commands: the gate is closed.
        info = await bridge.info()
        assert info.running is not None
        listed = await bridge.queue()
        assert [one.id for one in listed] == list(range(1, 1502))
        assert [one.position for one in listed] == [None, *range(1500)]
        assert (await bridge.command(1501)).state == "pending"
        assert await bridge.cancel(waiting[0])
        assert await bridge.cancel(1501)
        await asyncio.wait([waiting[0], waiting[-1]])
        assert await bridge.prioritize(1500, 1)
        assert (await bridge.command(1500)).position == 0
        assert (await bridge.command(blocking)).state == "running"
        gate.open()
        assert await asyncio.gather(*waiting[1:-1]) == list(range(1, 1499))


@pytest.mark.slow
async def test_a_high_one_behind_many(connected: Callable[[], Bridge], gate: Gate) -> None:
    """It leaves the backlog first, and is run long before those that were sent earlier."""
    async with connected() as bridge:
        await bridge.put([], name="ran", lifetime="eternal")
        blocking = bridge.send(gate.code)
        await gate.reached()
        many = [bridge.send("ran.append(0)") for _ in range(10_000)]
        high = bridge.send("ran.append(1)", priority=1)
        gate.open()
        await asyncio.gather(blocking, high, *many)
        # It leaves with the first room in the window, when its answer is on the way.
        assert await bridge.send("ran.index(1)") < 10_000 - 1024
        assert await bridge.send("len(ran)") == 10_001


async def test_phases_with_priorities(gate: Gate, no_leaks: None) -> None:
    """A worker that is killed in a high command leaves default ones known to have not begun."""
    from asyncbridge.errors import WorkerLost  # noqa: PLC0415 - as its users have it

    async with connect(backend=None, restart="never") as bridge:
        first = bridge.send("1")
        await first
        default = bridge.send("'default'")
        high = bridge.send(gate.code, priority=1)
        await gate.reached()
        later = bridge.send("'later'")
        while later.state != "queued":
            await bridge.info()
        assert high.cancel(mode="kill")
        phases = []
        for promise in (default, later):
            try:
                await promise
                phases.append("done")
            except WorkerLost as error:
                phases.append(error.phase)
        assert phases[-1] == "not_started"
        assert phases[0] in ("done", "not_started", "finished_unreported")


async def test_in_a_script(connected: Callable[[], Bridge]) -> None:
    """A bridge without a loop of one's own has the same face."""

    def script() -> None:
        with connected() as bridge:
            promise = bridge.send("40 + 2", priority=3)
            assert promise.wait_for_value(timeout=HANG_S) == 42
            assert bridge.queue().wait_for_value(timeout=HANG_S) == []
            assert bridge.command(promise).wait_for_value(timeout=HANG_S).state == "done"
            assert not bridge.cancel(promise).wait_for_value(timeout=HANG_S)

    await asyncio.to_thread(script)

"""Commands that run for longer than they may."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from asyncbridge import Decision, Retry
from asyncbridge.errors import RemoteError, WorkerLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client import Bridge

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks"), pytest.mark.slow]


async def test_code_that_runs_for_too_long_is_interrupted(connected: Callable[[], Bridge]) -> None:
    """And its promise tells of the limit; the next command runs in the same worker."""
    async with connected() as bridge:
        first = bridge.incarnation
        with pytest.raises(RemoteError, match=r"more than 0\.2 s \(run_timeout\).* interrupted"):
            await bridge.send("while True: pass", run_timeout=0.2)
        assert await bridge.send("1") == 1
        assert bridge.incarnation == first


async def test_one_that_is_in_time_keeps_its_value(connected: Callable[[], Bridge]) -> None:
    """The limit counts from its own start, and not while it waits."""
    async with connected() as bridge:
        slow = bridge.send("import time; time.sleep(0.5)")
        quick = bridge.send("2", run_timeout=0.4)
        assert (await slow, await quick) == (None, 2)


async def test_one_that_keeps_the_gil_takes_its_worker_along(
    connected: Callable[[], Bridge],
) -> None:
    """The error tells where it was; the commands behind it run in another worker."""
    code = "import ctypes\ndef stuck():\n    ctypes.PyDLL(None).sleep(60)\nstuck()"
    async with connected() as bridge:
        states = bridge.states()
        stuck, behind = bridge.send(code, run_timeout=0.5), bridge.send("3")
        await asyncio.wait([stuck])
        lost = stuck.exception()
        assert isinstance(lost, WorkerLost)
        assert lost.phase == "started"
        assert "more than 0.5 s (run_timeout)" in lost.reason
        assert "in stuck" in lost.last_stack
        assert await behind == 3
    seen = [state async for state in states]
    assert seen[:2] == ["open", "busy-unresponsive"]
    assert seen[-3:] == ["open", "closing", "closed"]


async def test_a_handler_decides_about_one_that_was_late(connected: Callable[[], Bridge]) -> None:
    """As about any other that fails; what runs in its place has the same limit."""
    async with connected() as bridge:
        asked: list[str] = []

        @bridge.on_error
        def decide(error: RemoteError) -> Decision:
            asked.append(error.type)
            return Retry(code="'in time'")

        assert await bridge.send("while True: pass", run_timeout=0.2) == "in time"
        assert asked == ["TimeoutError"]


@pytest.mark.parametrize("wrong", [0, -1, True, "1"])
async def test_what_is_no_limit(connected: Callable[[], Bridge], wrong: object) -> None:
    """Is refused at the call."""
    async with connected() as bridge:
        with pytest.raises((TypeError, ValueError), match="run_timeout="):
            bridge.send("1", run_timeout=wrong)  # type: ignore[arg-type]

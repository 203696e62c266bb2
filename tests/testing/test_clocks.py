"""The clock that a test sets, and the loop that goes by it."""

from __future__ import annotations

import asyncio

import pytest

from asyncbridge.testing import ManualClock, clock_loop

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


async def test_a_clock_loop_waits_for_the_clock_alone() -> None:
    """An hour passes in no time."""
    clock = ManualClock()

    async def main() -> list[str]:
        seen: list[str] = []
        loop = asyncio.get_running_loop()
        loop.call_later(3600, seen.append, "an hour")
        for _ in range(3):
            await asyncio.sleep(0)
        assert seen == []
        clock.advance(3600)
        for _ in range(3):
            await asyncio.sleep(0)
        return seen

    def run() -> list[str]:
        with asyncio.Runner(loop_factory=lambda: clock_loop(clock)) as runner:
            return runner.run(main())

    assert await asyncio.to_thread(run) == ["an hour"]

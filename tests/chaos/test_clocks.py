"""Clocks that jump by a day, on either side."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

from asyncbridge.client import connect
from tests.chaos.ledger import Ledger
from tests.chaos.net import Net, disturbed
from tests.chaos.workers import REPOSITORY
from tests.limits import HANG_S

DAY = 86_400.0
STAMPS = {
    "asyncbridge/promise/times.py",  # when a command was sent, for people
    "asyncbridge/references/ref.py",  # when a worker died, for people
    "asyncbridge/worker/engine.py",  # when the worker was started, for people
    "asyncbridge/worker/shelf.py",  # when an outcome was dropped, for people
}
"""Where the wall clock is read; what is measured or waited for goes by the monotonic one."""


def test_nothing_is_decided_by_the_wall_clock() -> None:
    """It is read for people alone."""
    used = re.compile(r"\btime\.time\b|\bdatetime\.(now|utcnow|today)\b")
    root = Path(REPOSITORY)
    found = {
        path.relative_to(root).as_posix()
        for path in (root / "asyncbridge").rglob("*.py")
        if used.search(path.read_text(encoding="utf-8"))
    }
    assert found == STAMPS


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_commands_while_a_clock_jumps(
    jump: float, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They run, time out and come back over a new connection as ever."""
    real, ledger = time.time, Ledger(folder / "ledger")
    async with disturbed(Net(folder / "proxy.sock")) as net, connect(backend=None) as bridge:
        await bridge.send(ledger.setup)
        before = [bridge.send(f"enter({number})\n{number}", timeout=60) for number in range(20)]
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        await bridge.send(f"import time; real = time.time; time.time = lambda: real() + {jump}")
        net.proxy.cut()
        after = [bridge.send(f"enter({number})\n{number}", timeout=60) for number in range(20, 40)]
        async with asyncio.timeout(HANG_S):
            assert await asyncio.gather(*before, *after) == [*range(40)]
        assert abs(await bridge.send("time.time()") - time.time()) < DAY / 2
    assert ledger.new() == [*range(40)]

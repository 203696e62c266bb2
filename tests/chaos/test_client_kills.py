"""The client's process is killed at each point of a command's life: it runs once, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asyncbridge.client import connect
from tests.chaos.ledger import Ledger
from tests.chaos.workers import REPOSITORY, StandingWorker
from tests.limits import HANG_S

pytestmark = pytest.mark.slow

CLIENT = """
import asyncio, os, signal, sys
import asyncbridge
from asyncbridge.protocol import messages as m
from tests.chaos.frames import Injector
from tests.chaos.net import injected

URL, POINT, LEDGER, GATE = sys.argv[1:]
AT = {"sent": ("there", m.Command), "received": ("back", m.Accepted), "started": ("back", m.Started),
      "reported": ("back", m.Completed), "acknowledged": ("there", m.Acknowledge)}

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def watch(way, messages):
    if any(way == AT[POINT][0] and isinstance(message, AT[POINT][1]) for message in messages):
        die()
    return True

async def main():
    frames = Injector(die)
    with injected(frames):
        async with asyncbridge.connect(URL) as bridge:
            await bridge.send(LEDGER)
            if POINT in AT:
                if POINT != "acknowledged":
                    frames.watch = watch
                # That a command has begun is told of those that last.
                lasts = f"\\nopen({GATE!r}).read()" if POINT == "started" else ""
                await bridge.send("enter(1)" + lasts)
                frames.watch = watch
                await bridge.send("enter(2)")
            if POINT == "queued":
                running = bridge.send(f"enter(1)\\nopen({GATE!r}).read()")
                while running.state != "running":
                    await asyncio.sleep(0)
                AT["queued"] = "back", m.Accepted
                frames.watch = watch
                await bridge.send("enter(2)")
            await bridge.send(f"enter(1)\\nos.kill({os.getpid()}, 9)\\nenter(2)")

asyncio.run(main())
"""
RAN: dict[str, list[int]] = {
    "sent": [],
    "received": [1],
    "queued": [1, 2],
    "started": [1],
    "finished": [1, 2],
    "reported": [1],
    # The frame that would have said so holds the second command.
    "acknowledged": [1],
}
"""Which of the commands have run, once another client's command has, behind them."""


def kill_at(point: str, worker: StandingWorker, folder: Path) -> None:
    """Have a client kill itself at a point; look what has run, and whether the worker goes on."""
    ledger, gate = Ledger(folder / "ledger"), folder / "gate"
    os.mkfifo(gate)
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, worker.url, point, ledger.setup, str(gate)],
        env={**os.environ, "PYTHONPATH": REPOSITORY},
    )
    assert client.wait(timeout=HANG_S) == -9
    if point in ("queued", "started"):
        gate.write_text("go on", encoding="ascii")
    with connect(worker.url) as bridge:
        assert bridge.send("'goes on'").wait_for_value(timeout=HANG_S) == "goes on"
    assert ledger.new() == RAN[point]
    gate.unlink()
    (folder / "ledger").unlink()


@pytest.mark.parametrize("point", RAN)
def test_killed_at(point: str, folder: Path) -> None:
    """At each point: no command runs twice, and the worker serves the next client."""
    with StandingWorker(folder / "w") as worker:
        kill_at(point, worker, folder)


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("point", RAN)
def test_killed_a_hundred_times(point: str, folder: Path) -> None:
    """The same, again and again, with one worker."""
    with StandingWorker(folder / "w") as worker:
        for _ in range(100):
            kill_at(point, worker, folder)

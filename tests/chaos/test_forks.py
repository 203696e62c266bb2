"""Forks of the worker, and of the client: there is one of each all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from asyncbridge.client import connect
from asyncbridge.errors import WorkerLost
from tests.chaos.ledger import Ledger
from tests.chaos.workers import REPOSITORY
from tests.limits import HANG_S

pytestmark = pytest.mark.slow

FORKING_CLIENT = """
import asyncio, os, sys
import asyncbridge
from pathlib import Path
from tests.chaos.ledger import Ledger

async def main():
    ledger = Ledger(Path(sys.argv[1]))
    async with asyncbridge.connect(backend=None, restart="never") as bridge:
        await bridge.send(ledger.setup)
        promises = [bridge.send(f"enter({number})\\n{number}") for number in range(100)]
        child = os.fork()
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        promises += [bridge.send(f"enter({number})\\n{number}") for number in range(100, 200)]
        assert await asyncio.gather(*promises) == list(range(200))
    assert ledger.new() == list(range(200))
    print("done")

asyncio.run(main())
"""


@pytest.mark.asyncio
async def test_a_command_that_forks(folder: Path) -> None:
    """Its outcome is told once, by the parent, and the child ends where the command's code does."""
    ledger = Ledger(folder / "ledger")
    async with connect(backend=None, restart="never") as bridge:
        await bridge.send(ledger.setup)
        worker = psutil.Process((await bridge.info()).pid)
        forked = bridge.send("enter(0)\nchild = os.fork()\nchild")
        behind = bridge.send("enter(1)\nos.waitpid(child, 0)[1]")
        assert await forked > 0
        assert await behind == 0
        assert worker.children() == []
    assert ledger.new() == [0, 1]


@pytest.mark.asyncio
async def test_a_child_that_stays_dies_with_the_worker(folder: Path) -> None:
    """Though it holds the worker's connections, the worker's death is told at once."""
    async with connect(backend=None, restart="never") as bridge:
        pid = (await bridge.info()).pid
        code = "import os, signal\nchild = os.fork()\nif not child: signal.pause()\nchild"
        child = psutil.Process(await bridge.send(code))
        running = bridge.send("import threading; threading.Event().wait()")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerLost) as error:
            await running
        assert error.value.signal == "SIGKILL"
        child.wait(timeout=HANG_S)


def test_a_client_that_forks(folder: Path) -> None:
    """With commands on their way: the parent's run once, and in order."""
    done = subprocess.run(
        [sys.executable, "-c", FORKING_CLIENT, folder / "ledger"],
        env={**os.environ, "PYTHONPATH": REPOSITORY},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr

"""A client that is killed takes its worker along, whatever that is doing."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow]

LIMIT_S = 30.0
"""Half of what the shortest of the works takes: by then a worker has been ended; its work is not over."""
ROOT = Path(__file__).resolve().parents[2]
CLIENT = """
import asyncio, json, sys
import asyncbridge
from asyncbridge import models as keras

async def fit():
    import numpy as np
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile(optimizer="adam", loss="mse")
    x, y = np.zeros((5000, 4), "float32"), np.zeros((5000, 3), "float32")
    await model.fit(x, y, epochs=1, batch_size=500, verbose=0)
    running = model.fit(x, y, epochs=1000, batch_size=1, verbose=0)
    while running.state != "running":
        await asyncio.sleep(0)

async def hold_the_gil(bridge):
    bridge.send("import ctypes; ctypes.PyDLL(None).sleep(60)")
    while True:  # the worker answers until its interpreter is held
        try:
            async with asyncio.timeout(0.5):
                await bridge.info()
        except TimeoutError:
            return

async def main(how):
    async with asyncbridge.connect(backend="tensorflow" if how == "fit" else None) as bridge:
        pid = (await bridge.info()).pid
        await (fit() if how == "fit" else hold_the_gil(bridge))
        print(json.dumps(pid), flush=True)
        await asyncio.get_running_loop().create_future()

asyncio.run(main(sys.argv[1]))
"""


def kill_one(how: str, folder: Path) -> None:
    """Kill one client; its worker must be gone before its work would be, and its folder with it."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    env.pop("XDG_RUNTIME_DIR", None)
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, how], stdout=subprocess.PIPE, env=env
    ) as client:
        assert client.stdout is not None
        pid = json.loads(client.stdout.readline())
        worker = os.pidfd_open(pid)
        supervisor = os.pidfd_open(parent_of(pid))
        try:
            deadline = time.monotonic() + LIMIT_S
            client.send_signal(signal.SIGKILL)
            for descriptor, what in ((worker, "worker"), (supervisor, "supervisor")):
                left = max(0.0, deadline - time.monotonic())
                assert select.select([descriptor], [], [], left)[0], f"the {what} lives on"
        finally:
            os.close(worker)
            os.close(supervisor)
    assert list(folder.iterdir()) == []


def parent_of(pid: int) -> int:
    """Return a process's parent."""
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()[1])


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary folder with a path short enough for a socket."""
    return tmp_path_factory.mktemp("t")


@pytest.mark.parametrize(
    "times", [2, pytest.param(20, marks=[pytest.mark.nightly, pytest.mark.timeout(900)])]
)
def test_while_the_worker_holds_the_gil(folder: Path, times: int) -> None:
    """The client is killed while the worker's interpreter is held by C code."""
    for _ in range(times):
        kill_one("gil", folder)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "times", [2, pytest.param(20, marks=[pytest.mark.nightly, pytest.mark.timeout(900)])]
)
def test_in_mid_fit(folder: Path, times: int) -> None:
    """The client is killed while the worker trains."""
    for _ in range(times):
        kill_one("fit", folder)

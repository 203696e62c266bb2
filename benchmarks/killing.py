"""How soon a worker is gone once its client was killed, and a client knows that its worker was.

Both in the middle of work, and while the worker's interpreter is held.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from asyncbridge.client import connect
from asyncbridge.errors import WorkerLost
from benchmarks.measure import ROOT, Figure

WORK = {
    "in mid-command": "import threading; entered(); threading.Event().wait()",
    "while it holds the GIL": "import ctypes; entered(); ctypes.PyDLL(None).sleep(30)",
}
"""What a worker does when it is killed."""
CLIENT = """
import asyncio, json, sys
import numpy as np
import asyncbridge
from asyncbridge import models as keras
GIL = "import ctypes; ctypes.PyDLL(None).sleep(30)"
async def fit():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16), keras.layers.Dense(3)])
    model.compile(optimizer="adam", loss="mse")
    x, y = np.zeros((5000, 4), "float32"), np.zeros((5000, 3), "float32")
    await model.fit(x, y, epochs=1, batch_size=500, verbose=0)
    running = model.fit(x, y, epochs=1000, batch_size=1, verbose=0)
    while running.state != "running":
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
async def hold(bridge):
    bridge.send(GIL)
    while True:  # the worker answers until its interpreter is held
        try:
            async with asyncio.timeout(0.5):
                await bridge.info()
        except TimeoutError:
            return
async def main(how):
    async with asyncbridge.connect(backend="tensorflow" if how == "fit" else None) as bridge:
        pid = (await bridge.info()).pid
        await (fit() if how == "fit" else hold(bridge))
        print(json.dumps(pid), flush=True)
        await asyncio.sleep(3600)
asyncio.run(main(sys.argv[1]))
"""


def measure(quick: bool) -> list[Figure]:
    """Kill clients, whose workers have 1 s, and workers, whose promises have to know in 0.1 s."""
    times = 3 if quick else 20
    figures = []
    for name, code in WORK.items():
        told = tuple(asyncio.run(kill_worker(code)) for _ in range(times))
        figures += [
            Figure(name=f"worker killed {name}, until its promise knows", unit="s",
                   values=(max(told),), bar=0.1),
            Figure(name=f"worker killed {name}, median", unit="s", values=told),
        ]  # fmt: skip
    for how, name in (("fit", "in mid-fit"), ("gil", "while the worker holds the GIL")):
        with tempfile.TemporaryDirectory() as folder:
            seconds = tuple(kill_one(how, folder) for _ in range(times))
            left = len(os.listdir(folder))  # noqa: PTH208 - names are enough
        figures += [
            Figure(name=f"client killed {name}, until the worker is gone", unit="s",
                   values=(max(seconds),), bar=1.0),
            Figure(name=f"client killed {name}, median", unit="s", values=seconds),
            Figure(name=f"client killed {name}, files left", unit="", values=(left,), bar=0.0),
        ]  # fmt: skip
    return figures


def kill_one(how: str, folder: str) -> float:
    """Kill one client; return the seconds until its worker and its folder are gone."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": folder}
    env.pop("XDG_RUNTIME_DIR", None)
    client = subprocess.Popen(  # noqa: S603 - the program above
        [sys.executable, "-c", CLIENT, how], stdout=subprocess.PIPE, env=env
    )
    assert client.stdout is not None
    worker = os.pidfd_open(json.loads(client.stdout.readline()))
    try:
        start = time.perf_counter()
        client.kill()
        gone = bool(select.select([worker], [], [], 10)[0])
        while any(Path(folder).iterdir()) and time.perf_counter() - start < 10:
            time.sleep(0.005)
        seconds = time.perf_counter() - start
    finally:
        os.close(worker)
        client.wait()
        client.stdout.close()
    return seconds if gone else float("inf")


async def kill_worker(code: str) -> float:
    """Kill a worker at its work; return the seconds until the promise of that tells of it."""
    entered, enter = os.pipe()
    says = f"def entered():\n    with open('/proc/{os.getpid()}/fd/{enter}', 'w') as pipe: pipe.write('x')"
    try:
        async with connect(backend=None, restart="never") as bridge:
            pid = (await bridge.info()).pid
            await bridge.send(says)
            promise = bridge.send(code)
            await asyncio.get_running_loop().run_in_executor(None, os.read, entered, 1)
            start = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            (lost,) = await asyncio.gather(promise, return_exceptions=True)
            seconds = time.perf_counter() - start
            assert isinstance(lost, WorkerLost)
            assert (lost.signal, lost.phase) == ("SIGKILL", "started")
    finally:
        os.close(entered)
        os.close(enter)
    return seconds

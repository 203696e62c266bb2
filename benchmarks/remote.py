"""Large arrays to a worker and back over TCP, beside the same bytes over a bare socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Figure, run_python

if TYPE_CHECKING:
    from collections.abc import Sequence

ACROSS = """
import asyncio, json, os, socket, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np
import asyncbridge
size, repetitions = int(sys.argv[1]), int(sys.argv[2])
now = time.perf_counter
BARE = '''
import socket, sys
import numpy as np
size = int(sys.argv[1])
spare = np.ones(2 * size, np.uint8); del spare
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    connection = server.accept()[0]
while connection.recv(1):
    view, filled = memoryview(np.empty(size, np.uint8)), 0
    while filled < size:
        filled += connection.recv_into(view[filled:])
    connection.sendall(b"k")
    del view
'''
def bare(connection, x):
    start = now()
    connection.sendall(b"g")
    connection.sendall(x)
    connection.recv(1)
    return now() - start
async def there(bridge, x):
    # An array that the worker has never seen: one that it keeps is compared, not sent.
    fresh, total = x.copy(), x[::4096].sum()
    start = now()
    assert await bridge.send("int(x[::4096].sum())", {"x": fresh}) == total
    return now() - start
async def back(bridge, x):
    await bridge.send("held = [kept.copy()]")
    start = now()
    result = await bridge.send("held.pop()")
    assert result[::4096].sum() == x[::4096].sum()
    return now() - start
async def measure(url, token, port):
    x = np.random.default_rng(1).integers(0, 256, size, np.uint8)  # does not compress
    # A virtual machine may get its memory from its host only now: that is not what is measured.
    spare = np.ones(size, np.float32); del spare
    figures = {"bare": [], "there": [], "back": []}
    connection = socket.create_connection(("127.0.0.1", port))
    async with asyncbridge.connect(url, token=token, shared_memory=0) as bridge:
        await bridge.put(x, name="kept", lifetime="eternal")
        bare(connection, x), await there(bridge, x), await back(bridge, x)
        for _ in range(repetitions):
            figures["bare"].append(bare(connection, x))
            figures["there"].append(await there(bridge, x))
            figures["back"].append(await back(bridge, x))
    connection.close()
    print(json.dumps(figures))
with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as probe:
    port = probe.getsockname()[1]
    probe.close()
    worker = subprocess.Popen(
        [sys.executable, "-m", "asyncbridge.worker", "--backend", "none", "--folder", f"{folder}/w",
         "--host", "127.0.0.1", "--port", str(port)],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "ASYNCBRIDGE_SHARED_MEMORY": "0"},
    )
    worker.stderr.readline()
    peer = subprocess.Popen([sys.executable, "-c", BARE, str(size)], stdout=subprocess.PIPE, text=True)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    token = Path(folder, "w", "token").read_text().strip()
    try:
        asyncio.run(measure(f"http://127.0.0.1:{port}", token, int(peer.stdout.readline())))
    finally:
        worker.terminate()
        peer.terminate()
        worker.wait()
        peer.wait()
"""
MIB = 1024 * 1024


def measure(quick: bool) -> list[Figure]:
    """Measure 512 MiB there and back; both sides need the extra ``stream`` to hold the bar."""
    times = run_python(ACROSS, str(512 * MIB), "5" if quick else "15")
    return [slowness(way, times[way], times["bare"]) for way in ("there", "back")]


def slowness(way: str, times: Sequence[float], bare: Sequence[float]) -> Figure:
    """Return how many times as long as a bare socket it takes, the fastest rounds of both.

    Not the median: a virtual machine may have to get memory from its host in the midst of either,
    which takes six times as long as the transfer.
    """
    name = f"512 MiB {way} over TCP / bare socket, fastest of {len(times)}"
    return Figure(name=name, unit="", values=(min(times) / min(bare),), bar=1 / 0.6)


if __name__ == "__main__":
    for figure in measure(quick=False):
        print(figure)

"""A model made, compiled, trained, evaluated and asked, over a connection that takes its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Figure, run_python

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = """
import asyncio, json, os, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np
import asyncbridge
from asyncbridge import models as keras
rounds = int(sys.argv[1])
LATENCY = 0.05  # there and back
# Eagerly, in one step: tracing takes a second, give or take more than what is measured.
COMPILE = {"loss": "categorical_crossentropy", "run_eagerly": True}
class Slow:
    '''Passes bytes on after half of the latency, however many pieces they come in.'''
    def __init__(self, target):
        self.target, self.frames = target, []
    async def serve(self, reader, writer):
        there, back = await asyncio.open_unix_connection(self.target)
        await asyncio.gather(self.pass_on(reader, back), self.pass_on(there, writer))
    async def pass_on(self, reader, writer):
        loop = asyncio.get_running_loop()
        while data := await reader.read(1 << 16):
            loop.call_later(LATENCY / 2, writer.write, data)
        await asyncio.sleep(LATENCY)
        writer.close()
rng = np.random.default_rng(0)
x = rng.random((150, 4), dtype=np.float32)
y = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 150)]
def layers():
    return [keras.Input((4,)), keras.layers.Dense(16, activation="sigmoid"),
            keras.layers.Dense(3, activation="softmax")]
async def at_once(bridge):
    model = keras.Sequential(layers())
    model.compile(optimizer=keras.optimizers.Adam(0.01), **COMPILE)
    model.fit(x, y, epochs=1, batch_size=150, verbose=0)
    model.evaluate(x, y, batch_size=150)
    await model.predict(x[:3])
async def one_by_one(bridge):
    model = await keras.Sequential(layers())
    optimizer = await keras.optimizers.Adam(0.01)
    await model.compile(optimizer=optimizer, **COMPILE)
    await model.fit(x, y, epochs=1, batch_size=150, verbose=0)
    await model.evaluate(x, y, batch_size=150)
    await model.predict(x[:3])
async def timed(work, address, token):
    async with asyncbridge.connect(address, token=token) as bridge:
        await bridge.send("1")
        start = time.perf_counter()
        await work(bridge)
        return time.perf_counter() - start
async def main(folder):
    slow = Slow(f"{folder}/w/worker.sock")
    server = await asyncio.start_unix_server(slow.serve, f"{folder}/slow.sock")
    token = Path(folder, "w", "token").read_text().strip()
    os.chmod(folder, 0o700)
    near, far = f"unix://{folder}/w/worker.sock", f"unix://{folder}/slow.sock"
    figures = {"near": [], "far": [], "far, one by one": []}
    await timed(at_once, near, token)
    for _ in range(rounds):
        figures["near"].append(await timed(at_once, near, token))
        figures["far"].append(await timed(at_once, far, token))
        figures["far, one by one"].append(await timed(one_by_one, far, token))
    server.close()
    print(json.dumps(figures))
with tempfile.TemporaryDirectory() as folder:
    worker = subprocess.Popen(
        [sys.executable, "-m", "asyncbridge.worker", "--folder", f"{folder}/w"],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    while not Path(folder, "w", "worker.sock").exists():
        time.sleep(0.05)
    try:
        asyncio.run(main(folder))
    finally:
        worker.terminate()
        worker.wait()
"""
LATENCY = 0.05


def measure(quick: bool) -> list[Figure]:
    """Measure it near, and with 50 ms there and back."""
    times = run_python(PROGRAM, "7" if quick else "25")
    near = times["near"]
    return [
        trips("sent without an await", times["far"], near, bar=1.3),
        trips("each step awaited", times["far, one by one"], near),
    ]


def trips(
    how: str, times: Sequence[float], near: Sequence[float], *, bar: float | None = None
) -> Figure:
    """Return each time over the local one beside it, as times the latency."""
    pairs = zip(times, near, strict=True)
    return Figure(
        name=f"model, compile, fit, evaluate and predict, {how}: time over the local one / latency",
        unit="",
        values=tuple((each - local) / LATENCY for each, local in pairs),
        bar=bar,
        by_range=True,
    )


if __name__ == "__main__":
    for figure in measure(quick=False):
        print(figure)

"""Batches that stream from the app, beside the same ones in arrays that the worker has whole."""

from __future__ import annotations

from benchmarks.measure import Figure, ratio, run_python

PROGRAM = """
import asyncio, json, sys
import numpy as np
import asyncbridge
from asyncbridge import models as keras
PAIRS, STEPS, SIZE, WIDTH = map(int, sys.argv[1:])
x = np.random.default_rng(7).random((STEPS * SIZE, WIDTH), dtype=np.float32)
y = x[:, :1]
WATCH = '''
import time
from asyncbridge.worker.streams import Feed
waited = [0.0]
def timed(self, turn, queue, next_of=Feed.next_of):
    start = time.perf_counter()
    try:
        return next_of(self, turn, queue)
    finally:
        waited[0] += time.perf_counter() - start
Feed.next_of = timed
'''
def batches():
    for start in range(0, len(x), SIZE):
        yield x[start:start + SIZE], y[start:start + SIZE]
async def seconds(training):
    begun, epochs = 0.0, []
    async for event in training.progress():
        if isinstance(event, asyncbridge.EpochBegin):
            begun = event.elapsed
        if isinstance(event, asyncbridge.EpochEnd):
            epochs.append(event.elapsed - begun)
    await training
    return min(epochs[1:])
async def main():
    async with asyncbridge.connect() as bridge:
        bridge.send(WATCH)
        model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(16, activation="sigmoid"),
                                  keras.layers.Dense(1)])
        model.compile(optimizer="adam", loss="mse")
        runs = []
        for _ in range(PAIRS):
            whole = await seconds(model.fit(x, y, batch_size=SIZE, epochs=3, shuffle=False, verbose=0))
            await bridge.send("waited[0] = 0.0")
            training = model.fit(asyncbridge.stream(batches, steps=STEPS), epochs=3, verbose=0)
            streamed = await seconds(training)
            runs.append((whole, streamed, await bridge.send("waited[0]") / training.ran_for))
        print(json.dumps(runs))
asyncio.run(main())
"""


def measure(quick: bool) -> list[Figure]:
    """Compare small rows, where a step takes a millisecond, and batches of a mebibyte."""
    pairs = "3" if quick else "8"
    return [
        *_compared("32 rows of 4", pairs, "300", "32", "4"),
        *_compared("1 MiB", pairs, "100", "256", "1024"),
    ]


def _compared(name: str, *arguments: str) -> list[Figure]:
    whole, streamed, waits = zip(*run_python(PROGRAM, *arguments), strict=True)
    return [
        Figure(name=f"an epoch of batches of {name}, as arrays", unit="s", values=whole),
        Figure(name=f"an epoch of batches of {name}, streamed", unit="s", values=streamed),
        ratio(f"batches of {name}, streamed / as arrays", streamed, whole),
        Figure(
            name=f"share of the time that a batch of {name} is waited for", unit="", values=waits
        ),
    ]

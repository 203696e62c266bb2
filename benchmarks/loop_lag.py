"""How late a 1 ms ticker on the app's loop is, over a worker's whole life."""

from __future__ import annotations

from benchmarks.measure import Figure, percentile, run_python

COMMON = """
import asyncio, gc, json, sys, time
import numpy as np
rng = np.random.default_rng(7)
x = rng.random((120, 4), dtype="float32"); y = np.eye(3, dtype="float32")[rng.integers(0, 3, 120)]
lags = []
async def tick():
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        lags.append((time.perf_counter() - before - 0.001) * 1000)
async def timed(work):
    ticker = asyncio.ensure_future(tick())
    await asyncio.sleep(0.2)
    lags.clear()
    await work()
    ticker.cancel()
    print(json.dumps(lags))
"""
BRIDGED = (
    COMMON
    + """
import asyncbridge
from asyncbridge import models as keras
async def work():
    async with asyncbridge.connect():
        keras.utils.set_random_seed(7)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="sigmoid"),
                                  keras.layers.Dense(3, activation="softmax")])
        model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
        await model.fit(x, y, epochs=1, batch_size=1, verbose=0)
        await model.fit(x, y, epochs=5, batch_size=1, verbose=0)
        await model.predict(x)
asyncio.run(timed(work))
"""
)
IN_PROCESS = (
    COMMON
    + """
def train():
    import keras
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="sigmoid"),
                              keras.layers.Dense(3, activation="softmax")])
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=1, batch_size=1, verbose=0)
    model.fit(x, y, epochs=5, batch_size=1, verbose=0)
    model.predict(x, verbose=0)
async def work():
    await asyncio.get_running_loop().run_in_executor(None, train)
asyncio.run(timed(work))
"""
)


def measure(quick: bool) -> list[Figure]:
    """Measure connect, import, first fit, fit, predict and close; beside ``run_in_executor``."""
    repetitions = 3 if quick else 7
    figures = []
    subjects = {"bridge": (BRIDGED, 25.0, 5.0), "run_in_executor": (IN_PROCESS, None, None)}
    for name, (program, worst_bar, p99_bar) in subjects.items():
        runs = [run_python(program) for _ in range(repetitions + 1)][1:]
        p99 = tuple(percentile(lags, 0.99) for lags in runs)
        worst = tuple(max(lags) for lags in runs)
        figures += [
            Figure(name=f"{name}, p99", unit="ms", values=p99, bar=p99_bar),
            Figure(name=f"{name}, max", unit="ms", values=worst, bar=worst_bar),
        ]
    return figures

"""What a prediction costs through the bridge: of one row, and of many."""

from __future__ import annotations

from benchmarks.measure import Figure, ratio
from benchmarks.training import Trainer

COMMON = """
import asyncio, hashlib, json, statistics, sys, time
sys.path.insert(0, "examples")
import numpy as np
ROWS = int(sys.argv[1])
CALLS = 5 if ROWS == 1 else 1
x = np.random.default_rng(7).random((ROWS, 4), dtype=np.float32)
def tell(seconds, result):
    print(json.dumps([statistics.median(seconds), hashlib.sha256(result.tobytes()).hexdigest()]), flush=True)
"""
DIRECT = (
    COMMON
    + """
import keras
keras.utils.set_random_seed(7)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="sigmoid"),
                          keras.layers.Dense(3, activation="softmax")])
for line in sys.stdin:
    seconds = []
    for _ in range(CALLS):
        start = time.perf_counter()
        result = model.predict(x, verbose=0)
        seconds.append(time.perf_counter() - start)
    tell(seconds, result)
"""
)
BRIDGED = (
    COMMON
    + """
import asyncbridge
from asyncbridge import models as keras
async def main():
    async with asyncbridge.connect():
        keras.utils.set_random_seed(7)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="sigmoid"),
                                  keras.layers.Dense(3, activation="softmax")])
        while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            seconds = []
            for _ in range(CALLS):
                start = time.perf_counter()
                result = await model.predict(x)
                seconds.append(time.perf_counter() - start)
            tell(seconds, result)
asyncio.run(main())
"""
)


class Predictor(Trainer):
    """A process that predicts for each line it is given: seconds, and a digest of the result."""

    predict = Trainer.train


def measure(quick: bool) -> list[Figure]:
    """Compare one row, which takes the short way, and 100,000, which cannot."""
    few, many = ("one row", 1), ("100,000 rows", 100_000)
    return [
        *_compared(*few, pairs=5 if quick else 20, bar=0.05),
        *_compared(*many, pairs=3 if quick else 8, bar=1.1),
    ]


def _compared(name: str, rows: int, *, pairs: int, bar: float) -> list[Figure]:
    """Alternate predictions of two processes that stay; results are compared bit for bit."""
    with Predictor(DIRECT, rows) as direct, Predictor(BRIDGED, rows) as bridged:
        direct.predict()
        bridged.predict()
        runs = []
        for index in range(pairs):
            # Who goes first alternates, too.
            first, second = (direct, bridged) if index % 2 else (bridged, direct)
            a, b = first.predict(), second.predict()
            runs.append((a, b) if index % 2 else (b, a))
    alone, across = [d[0] for d, _ in runs], [b[0] for _, b in runs]
    different = sum(d[1] != b[1] for d, b in runs)
    return [
        Figure(name=f"predict of {name}, directly", unit="s", values=tuple(alone)),
        Figure(name=f"predict of {name}, bridge", unit="s", values=tuple(across)),
        ratio(f"predict of {name}, bridge / directly", across, alone, bar=bar),
        Figure(name=f"{name}: runs that differ in any bit", unit="", values=(different,), bar=0.0),
    ]

"""Large models made, trained and dropped, with a worker that is replaced in time."""

from __future__ import annotations

from benchmarks.measure import Figure, run_python

PROGRAM = """
import asyncio, json, sys, time
import numpy as np
import asyncbridge
from asyncbridge import models as keras
cycles = int(sys.argv[1])
rng = np.random.default_rng(0)
x = rng.random((64, 1024), dtype=np.float32)
y = rng.random((64, 16), dtype=np.float32)
def model(units):
    made = keras.Sequential([keras.Input((1024,)), keras.layers.Dense(units, activation="relu"),
                             keras.layers.Dropout(0.2), keras.layers.Dense(16)])
    made.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    return made
async def main():
    most, fits, lives = 0, 0, []
    policy = asyncbridge.Recycle(rss=2 * 2**30)
    async with asyncbridge.connect(recycle=policy) as bridge:
        kept = model(64)
        await kept.fit(x, y, epochs=1, verbose=0)
        before = await kept.predict(x)
        start = time.perf_counter()
        for _ in range(cycles):
            large = model(17_000)  # 70 MB, and twice that for its optimizer
            fits += len((await large.fit(x, y, epochs=1, verbose=0))["loss"])
            most = max(most, (await bridge.memory()).resident)
            lives.append(bridge.incarnation)
            del large
        seconds = time.perf_counter() - start
        same = bool(np.array_equal(before, await kept.predict(x)))
        fits += len((await kept.fit(x, y, epochs=1, verbose=0))["loss"])
    print(json.dumps({"most": most, "fits": fits, "lives": len(set(lives)), "same": same,
                      "seconds": seconds}))
asyncio.run(main())
"""


def measure(quick: bool) -> list[Figure]:
    """Go through 50 models of 70 MB with Adam, under a policy of 2 GiB."""
    cycles = 10 if quick else 50
    told = run_python(PROGRAM, str(cycles))
    return [
        Figure(
            name=f"most resident memory in {cycles} cycles", unit="GiB",
            values=(told["most"] / 2**30,), bar=2.5,
        ),
        Figure(name="fits that failed", unit="", values=(cycles + 1 - told["fits"],), bar=0),
        Figure(
            name="a kept model's predictions that differ in their bits", unit="",
            values=(0 if told["same"] else 1,), bar=0,
        ),
        Figure(name="workers", unit="", values=(told["lives"],)),
        Figure(name="a cycle", unit="s", values=(told["seconds"] / cycles,)),
    ]  # fmt: skip


if __name__ == "__main__":
    for figure in measure(quick=False):
        print(figure)

"""How late the app's loop is while large values of every kind go to a worker and come back."""

from __future__ import annotations

from benchmarks.measure import Figure, percentile, run_python

PROGRAM = """
import asyncio, json, sys, time
import numpy as np
import asyncbridge
name, scale, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
MAKERS = '''
import numpy as np
def strided(scale):
    return np.ones((4096, scale * 64), np.float32)[:, ::2]
def big_endian(scale):
    return np.ones(scale * 131072, ">f4")
def one_hot(scale):
    value = np.zeros((scale * 120, 1000), np.float32)
    value[np.arange(len(value)), np.arange(len(value)) % 1000] = 1
    return value
def bools(scale):
    return np.ones((scale * 512, 1024), bool)
def structured(scale):
    return np.ones(scale * 43690, np.dtype([("a", "i1"), ("b", "f8")], align=True))
def bytearray_(scale):
    return bytearray(scale * 524288)
def frame(scale):
    import pandas as pd
    rows = scale * 2000
    numbers = {f"n{i}": np.arange(rows) / (i + 1) for i in range(8)}
    return pd.DataFrame({**numbers, "whole": np.arange(rows), "flag": np.arange(rows) % 2 == 0})
def texts(scale):
    import pandas as pd
    return pd.DataFrame({"text": [f"row {i}" for i in range(scale * 2000)]})
def floats(scale):
    return [i / 7 for i in range(scale * 2000)]
def integers(scale):
    return list(range(scale * 2000))
def strings(scale):
    return [f"text number {i}" for i in range(scale * 2000)]
def lists(scale):
    return [[i, "x", 0.5] for i in range(scale * 400)]
def records(scale):
    return [{"id": i, "ratio": i / 7, "name": None} for i in range(scale * 400)]
def times(scale):
    from datetime import datetime, timedelta
    return [datetime(2026, 1, 1) + timedelta(seconds=i) for i in range(scale * 400)]
def text(scale):
    return "\\u00e9" * (scale * 30000)
'''
exec(MAKERS)
now = time.perf_counter
async def lag_of(work):
    lags = []
    async def ticks():
        while True:
            start = now(); await asyncio.sleep(0.001); lags.append((now() - start - 0.001) * 1000)
    ticker = asyncio.ensure_future(ticks())
    await asyncio.sleep(0.01)
    start = now()
    await work()
    taken = now() - start
    await asyncio.sleep(0.005)
    ticker.cancel()
    return lags, taken
async def main():
    value = globals()[name](scale)
    told = {"there": [], "back": [], "idle": [], "seconds there": [], "seconds back": []}
    async with asyncbridge.connect(backend=None) as bridge:
        await bridge.send(MAKERS + f"\\nheld = {name}({scale})")
        async def there():
            await bridge.send("None", {"x": value})
        async def back():
            await bridge.send("held")
        async def idle():
            await asyncio.sleep(0.2)
        told["cold there"], _ = await lag_of(there)
        told["cold back"], _ = await lag_of(back)
        for _ in range(rounds):
            for way, work in (("there", there), ("back", back), ("idle", idle)):
                lags, taken = await lag_of(work)
                told[way] += lags
                if way != "idle":
                    told[f"seconds {way}"].append(taken)
    print(json.dumps(told))
asyncio.run(main())
"""
KINDS = (
    "strided", "big_endian", "one_hot", "bools", "structured", "bytearray_",
    "frame", "texts", "floats", "integers", "strings", "lists", "records", "times", "text",
)  # fmt: skip


def measure(quick: bool) -> list[Figure]:
    """Measure the lag while 230 to 500 MiB, or a million rows, go each way, and with nothing to do."""
    scale, rounds = (50, 3) if quick else (500, 5)
    return [figure for kind in KINDS for figure in of_kind(kind, scale, rounds)]


def of_kind(kind: str, scale: int, rounds: int) -> list[Figure]:
    """Measure one kind of value."""
    told = run_python(PROGRAM, kind, str(scale), str(rounds))
    name = kind.strip("_").replace("_", " ")
    figures = [
        Figure(name=f"{name} {way}, {what}", unit="ms", values=(figure,))
        for way in ("there", "back", "idle")
        for what, figure in (("p99", percentile(told[way], 0.99)), ("max", max(told[way])))
    ]
    figures += [
        Figure(name=f"{name} {way}, first time, max", unit="ms", values=(max(told[f"cold {way}"]),))
        for way in ("there", "back")
    ]
    return figures + [
        Figure(name=f"{name} {way}", unit="s", values=tuple(told[f"seconds {way}"]))
        for way in ("there", "back")
    ]


if __name__ == "__main__":
    for figure in measure(quick=False):
        print(figure)

"""Large arrays between an app and a worker on one machine, beside a copy in the same process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Figure, percentile, run_python

if TYPE_CHECKING:
    from collections.abc import Sequence

ACROSS = """
import asyncio, json, os, sys, time
import numpy as np
import asyncbridge
size, repetitions = int(sys.argv[1]) // 4, int(sys.argv[2])
options = json.loads(sys.argv[3])
now = time.perf_counter
def copies(x, y, count):
    times = []
    for _ in range(count):
        start = now(); np.copyto(y, x); times.append(now() - start)
    return times
async def there(bridge, x):
    start = now()
    assert await bridge.send("float(x[::1024].sum())", {"x": x}) == x[::1024].sum()
    return now() - start
async def back(bridge, expected):
    start = now()
    result = await bridge.send("big")
    assert result[::1024].sum() == expected
    return now() - start
async def main():
    x, y = np.ones(size, np.float32), np.empty(size, np.float32)
    copies(x, y, 2)
    # A virtual machine may get its memory from its host only now: that is not what is measured.
    spare = np.ones(4 * size, np.float32); del spare
    figures = {"copy": [], "there": [], "back": []}
    async with asyncbridge.connect(backend=None, **options) as bridge:
        figures["there, cold"] = [await there(bridge, x)]
        await bridge.send(f"import numpy; big = numpy.ones({size}, numpy.float32)")
        figures["back, cold"] = [await back(bridge, size // 1024)]
        await there(bridge, x), await back(bridge, size // 1024)
        for _ in range(repetitions):
            figures["copy"] += copies(x, y, 1)
            figures["there"].append(await there(bridge, x))
            figures["back"].append(await back(bridge, size // 1024))
    print(json.dumps(figures))
asyncio.run(main())
"""
SMALL = """
import asyncio, json, sys, time
import numpy as np
import asyncbridge
async def main():
    rounds, x, ratios = int(sys.argv[1]), np.ones(256, np.float32), []
    async with asyncbridge.connect(backend=None) as bridge:
        async def timed(code, bindings):
            start = time.perf_counter()
            for _ in range(200):
                await bridge.send(code, bindings)
            return time.perf_counter() - start
        await timed("x", {"x": x})
        for _ in range(rounds):
            bare = await timed("1+1", None)
            ratios.append(await timed("len(x)", {"x": x}) / bare)
    print(json.dumps(ratios))
asyncio.run(main())
"""
MEANWHILE = """
import asyncio, json, sys, time
import numpy as np
import asyncbridge
size, rounds = int(sys.argv[1]) // 4, int(sys.argv[2])
MAKE = f"import numpy\\nheld = [numpy.ones({size}, numpy.float32)]"
now = time.perf_counter
async def main():
    trips, lags, seconds = [], [], []
    async def commands(bridge):
        while True:
            start = now(); await bridge.send("1+1"); trips.append((now() - start) * 1000)
            await asyncio.sleep(0.001)
    async def ticks():
        while True:
            start = now(); await asyncio.sleep(0.001); lags.append((now() - start - 0.001) * 1000)
    x = np.ones(size, np.float32)
    async with asyncbridge.connect(backend=None) as bridge:
        tasks = [asyncio.ensure_future(commands(bridge)), asyncio.ensure_future(ticks())]
        await asyncio.sleep(2)
        for task in tasks:
            task.cancel()
        idle = {"trips": trips[100:], "lags": lags[100:]}
        for number in range(rounds + 1):  # the first one is cold
            await bridge.send(MAKE)
            tasks = [asyncio.ensure_future(commands(bridge)), asyncio.ensure_future(ticks())]
            await asyncio.sleep(0.02)
            if number < 2:
                cold = {"trips": list(trips), "lags": list(lags)} if number else None
                trips.clear(), lags.clear()
            start = now()
            put, result = bridge.put(x), bridge.send("held.pop()")
            await asyncio.gather(put, result)
            seconds.append(now() - start)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            del put, result
    print(json.dumps({"trips": trips, "lags": lags, "seconds": seconds, "cold": cold, "idle": idle}))
asyncio.run(main())
"""
MIB = 1024 * 1024


def measure(quick: bool) -> list[Figure]:
    """Measure 512 MiB there and back, 1 KiB, and small commands while 2 x 2 GiB go across."""
    return [
        *across(quick, {}),
        *across(quick, {"shared_memory": 0, "cache": 0}),
        small(quick),
        *meanwhile(quick),
    ]


def across(quick: bool, options: dict[str, Any]) -> list[Figure]:
    """Time 512 MiB of float32 each way, one value of each page touched where it arrives."""
    shared = not options
    way = "512 MiB " if shared else "512 MiB by streams "
    times = run_python(ACROSS, str(512 * MIB), "3" if quick else "15", json.dumps(options))
    copy = sorted(times["copy"])[len(times["copy"]) // 2]
    figures = []
    for name, bar in (
        ("there, cold", 1 / 0.06),
        ("back, cold", 1 / 0.06),
        ("there", 2.0),
        ("back", 2.0),
    ):
        pairs = times["copy"] if len(times[name]) > 1 else [copy]
        figures.append(slowness(way + name, times[name], pairs, bar if shared else None))
    return figures


def slowness(
    name: str, times: Sequence[float], copies: Sequence[float], bar: float | None
) -> Figure:
    """Return how many times as long as a copy it takes."""
    values = tuple(a / b for a, b in zip(times, copies, strict=True))
    return Figure(name=f"{name} / np.copyto", unit="", values=values, bar=bar, by_range=True)


def small(quick: bool) -> Figure:
    """Time a command with 1 KiB of array beside one with none."""
    ratios = run_python(SMALL, "5" if quick else "20")
    return Figure(
        name="1 KiB array in a command / round trip of 1+1", unit="", values=tuple(ratios),
        bar=1.3, by_range=True,
    )  # fmt: skip


def meanwhile(quick: bool) -> list[Figure]:
    """Time small commands, and the loop, while a put and a result of 2 GiB go across."""
    told = run_python(MEANWHILE, str(2048 * MIB), "3" if quick else "10")
    while_ = "while 2 GiB go each way"
    cold, idle = told["cold"], told["idle"]
    return [
        Figure(name=f"round trip {while_}, p99", unit="ms",
               values=(percentile(told["trips"], 0.99),), bar=5.0),
        Figure(name=f"loop lag {while_}, p99", unit="ms",
               values=(percentile(told["lags"], 0.99),), bar=5.0),
        Figure(name=f"round trip {while_} into cold memory, p99", unit="ms",
               values=(percentile(cold["trips"], 0.99),)),
        Figure(name=f"loop lag {while_} into cold memory, p99", unit="ms",
               values=(percentile(cold["lags"], 0.99),)),
        Figure(name="round trip with nothing else on the way, p99", unit="ms",
               values=(percentile(idle["trips"], 0.99),)),
        Figure(name="loop lag with nothing else on the way, p99", unit="ms",
               values=(percentile(idle["lags"], 0.99),)),
        Figure(name=f"seconds for both, {len(told['trips'])} round trips", unit="s",
               values=tuple(told["seconds"][1:])),
    ]  # fmt: skip


if __name__ == "__main__":
    for figure in measure(quick=False):
        print(figure)

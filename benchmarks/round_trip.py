"""What a command costs beside a bare ping-pong: alone, among many, and after many.

The floor is two processes that send one another 64 bytes over a Unix socket by an
``asyncio.Protocol`` each, the least that asyncio can do, on the same loop as the bridge. The bar of
a rate is told as the time of one command.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from benchmarks.measure import Figure, ratio, run_python

COMMON = """
import asyncio, gc, json, os, statistics, subprocess, sys, tempfile, time
import asyncbridge
def run(main):
    if sys.argv[1] == "uvloop":
        import uvloop
        return uvloop.run(main)
    return asyncio.run(main)
def median(times):
    return statistics.median(times) / 1000
def worker_cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
def resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
async def many(bridge, count):
    return await asyncio.gather(*[bridge.send("1 + 1") for _ in range(count)])
"""
SPEED = (
    COMMON
    + """
ECHO = '''
import asyncio, sys
class Echo(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(data)
async def main():
    await asyncio.get_running_loop().create_unix_server(Echo, sys.argv[2])
    print(flush=True)
    await asyncio.Event().wait()
if sys.argv[1] == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
'''
class Pinger(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.answer.set_result(data)
    async def ping(self):
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(bytes(64))
        await self.answer
async def p50(work, count):
    times = []
    for _ in range(count):
        start = time.perf_counter_ns()
        await work()
        times.append(time.perf_counter_ns() - start)
    return median(times)
async def pipelined(bridge, pid, count):
    start, own, other = time.perf_counter(), time.process_time(), worker_cpu(pid)
    await many(bridge, count)
    took = time.perf_counter() - start, time.process_time() - own, worker_cpu(pid) - other
    return [seconds * 1e6 / count for seconds in took]
async def measure(bridge, path, trips, count, rounds):
    pid = await bridge.send("import os\\nos.getpid()")
    _, pinger = await asyncio.get_running_loop().create_unix_connection(Pinger, path)
    told = {"floor": [], "trip": [], "pipelined": []}
    for _ in range(rounds + 1):
        told["floor"].append(await p50(pinger.ping, trips))
        told["trip"].append(await p50(lambda: bridge.send("1 + 1"), trips))
        told["pipelined"].append(await pipelined(bridge, pid, count))
    pinger.transport.close()
    print(json.dumps({name: values[1:] for name, values in told.items()}))
async def main(trips, count, rounds):
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/echo"
        echo = subprocess.Popen(
            [sys.executable, "-c", ECHO, sys.argv[1], path], stdout=subprocess.PIPE,
        )
        echo.stdout.readline()
        try:
            async with asyncbridge.connect(backend=None) as bridge:
                await measure(bridge, path, trips, count, rounds)
        finally:
            echo.kill()
            echo.wait()
run(main(*map(int, sys.argv[2:])))
"""
)
SCALE = (
    COMMON
    + """
async def cost(bridge, count):
    rounds = []
    for _ in range(3 if count > 10_000 else 7):
        start = time.perf_counter_ns()
        await many(bridge, count)
        rounds.append((time.perf_counter_ns() - start) / count)
    return min(rounds) / 1000
async def main(sizes):
    told = {"pending": {}, "done": {}, "memory": []}
    async with asyncbridge.connect(backend=None) as bridge:
        pid = await bridge.send("import os\\nos.getpid()")
        for _ in range(3):
            await many(bridge, 10_000)
        gc.collect()
        before = resident(os.getpid()), resident(pid)
        for _ in range(20):
            await many(bridge, 10_000)
        gc.collect()
        after = resident(os.getpid()), resident(pid)
        told["memory"] = [(b - a) / 2 for a, b in zip(before, after)]
        for size in sizes:
            if size <= 100_000:
                told["pending"][size] = await cost(bridge, size)
        kept = []
        for size in sizes:
            while len(kept) < size:
                new = [bridge.send("1 + 1") for _ in range(min(10_000, size - len(kept)))]
                await asyncio.gather(*new)
                kept += new
            told["done"][size] = await cost(bridge, 1000)
    print(json.dumps(told))
run(main([int(size) for size in sys.argv[2:]]))
"""
)
BARS = {"asyncio": (2.2, 60_000), "uvloop": (1.5, 100_000)}
"""The most times the floor, and the least commands in a second."""
FLAT = 1.5
"""How much more a command may cost among many, or after many, than among 1,000."""


def measure(quick: bool) -> list[Figure]:
    """Measure with asyncio's loop, and with uvloop's where that is installed."""
    loops = [name for name in BARS if name == "asyncio" or importlib.util.find_spec(name)]
    figures = [figure for loop in loops for figure in speed(loop, quick)]
    return figures + scale(loops[-1], quick)


def speed(loop: str, quick: bool) -> list[Figure]:
    """Alternate the floor, one command at a time, and 10,000 at once."""
    sizes = ("500", "10000", "5") if quick else ("2000", "10000", "15")
    told: dict[str, list[Any]] = run_python(SPEED, loop, *sizes)
    most, least = BARS[loop]
    wall, client, worker = zip(*told["pipelined"], strict=True)
    return [
        Figure(name=f"{loop}, floor, p50", unit="us", values=tuple(told["floor"])),
        Figure(name=f"{loop}, round trip, p50", unit="us", values=tuple(told["trip"])),
        ratio(f"{loop}, round trip / floor", told["trip"], told["floor"], bar=most),
        Figure(
            name=f"{loop}, 10,000 gathered", unit="us per command", values=wall,
            bar=1e6 / least, by_range=True,
        ),
        Figure(name=f"{loop}, of that, client's CPU", unit="us", values=client),
        Figure(name=f"{loop}, of that, worker's CPU", unit="us", values=worker),
    ]  # fmt: skip


def scale(loop: str, quick: bool) -> list[Figure]:
    """Measure what a command costs among many others, after many, and what memory they keep."""
    sizes = [10**power for power in range(2, 6 if quick else 7)]
    told: dict[str, Any] = run_python(SCALE, loop, *map(str, sizes))
    figures = []
    for name, when in (("pending", "at once"), ("done", "done and kept")):
        costs = {int(size): cost for size, cost in told[name].items()}
        figures += [
            Figure(
                name=f"{loop}, {size:,} {when} / 1,000", unit="",
                values=(cost / costs[1000],), bar=FLAT,
            )
            for size, cost in costs.items() if size > 1000
        ]  # fmt: skip
    sides = zip(("client", "worker"), told["memory"], strict=True)
    return figures + [
        Figure(name=f"{side}'s memory per 100,000 commands", unit="MiB", values=(grown,), bar=1.0)
        for side, grown in sides
    ]


if __name__ == "__main__":
    for figure in measure(quick=False):
        print(figure)

"""References and bindings by the million: what each costs, and what of them is left."""

from __future__ import annotations

from benchmarks.measure import Figure, run_python

REFERENCES = """
import asyncio, json, sys, time
import asyncbridge
count, each = int(sys.argv[1]), int(sys.argv[2])
def clocks():
    return time.perf_counter(), time.process_time()
async def some(bridge, rounds):
    # Two on the way: one side writes, or drops, while the other one reads.
    ahead = bridge.send(f"many({each})")
    for _ in range(rounds - 1):
        following = bridge.send(f"many({each})")
        assert len(await ahead) == each
        ahead = following
    await ahead
    del ahead, following
    await bridge.send("None")
async def main():
    async with asyncbridge.connect(backend=None) as bridge:
        await bridge.send("class Thing: pass\\ndef many(count): return [Thing() for _ in range(count)]")
        await some(bridge, 20)
        await bridge.collect()
        before = (await bridge.info()).memory
        wall, cpu = clocks()
        await some(bridge, count // each)
        wall, cpu = clocks()[0] - wall, clocks()[1] - cpu
        await bridge.send("None")
        left = [info for info in await bridge.bindings() if info.lifetime == "reference"]
        await bridge.collect()
        after = (await bridge.info()).memory
    print(json.dumps({"wall": wall, "cpu": cpu, "left": len(left), "growth": after / before}))
asyncio.run(main())
"""
BINDINGS = """
import asyncio, json, sys, time
import asyncbridge
count = int(sys.argv[1])
async def main():
    async with asyncbridge.connect(backend=None) as bridge:
        before = await bridge.send("sorted(globals())")
        start = time.perf_counter()
        for first in range(0, count, 10_000):
            promises = [
                bridge.send("first + second", {"first": i, "second": [i]} if i % 100 == 0 else
                            {"first": i, "second": i})
                for i in range(first, first + 10_000)
            ]
            for promise in promises:
                try:
                    await promise
                except TypeError:  # of every hundredth one: a failing command leaves nothing, too
                    pass
        wall = time.perf_counter() - start
        left = set(await bridge.send("sorted(globals())")) - set(before)
    print(json.dumps({"wall": wall, "left": len(left)}))
asyncio.run(main())
"""
MILLION = 1_000_000
EACH = 1_000
"""References in one value."""


def measure(quick: bool) -> list[Figure]:
    """Make and drop a million references, and run a million commands with bindings of their own."""
    count = MILLION // 5 if quick else MILLION
    told = run_python(REFERENCES, str(count), str(EACH))
    bound = run_python(BINDINGS, str(count))
    micro = 1e6 / count
    return [
        Figure(
            name=f"{count:,} references made and dropped, each", unit="us",
            values=(told["wall"] * micro,), bar=10.0,
        ),
        Figure(name="of that, CPU time of the client", unit="us", values=(told["cpu"] * micro,)),
        Figure(name="kept objects left", unit="", values=(told["left"],), bar=0),
        Figure(
            name="worker's resident memory afterwards / before", unit="",
            values=(told["growth"],), bar=1.05,
        ),
        Figure(
            name=f"{count:,} commands with bindings of their own, each", unit="us",
            values=(bound["wall"] * micro,),
        ),
        Figure(name="names left by them", unit="", values=(bound["left"],), bar=0),
    ]  # fmt: skip


if __name__ == "__main__":
    for figure in measure(quick=False):
        print(figure)

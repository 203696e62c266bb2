"""What a large array costs an app in memory of its own, beside the array and shared memory."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.measure import Figure, run_python

PROGRAM = """
import asyncio, json, sys, threading, time
import numpy as np
import asyncbridge
size, options = int(sys.argv[1]), json.loads(sys.argv[2])
def resident():
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
class Peak:
    def __enter__(self):
        self.before, self.most, self.going = resident(), 0, True
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self
    def watch(self):
        while self.going:
            self.most = max(self.most, resident())
            time.sleep(0.002)
    def __exit__(self, *error):
        self.going = False
        self.thread.join()
        self.share = max(0, max(self.most, resident()) - self.before) / size
async def main():
    rows = size // 4096
    base = np.ones((rows, 1024), np.float32)
    given = {
        "C order": base, "C order, again": base, "Fortran order": np.ones((1024, rows), np.float32).T,
        "big-endian": base.view(">f4"),
    }
    shares = {}
    async with asyncbridge.connect(backend=None, **options) as bridge:
        await bridge.send("1")
        await bridge.send("x.shape", {"x": np.zeros(1 << 20)})
        for name, x in given.items():
            with Peak() as peak:
                await bridge.send("x.shape", {"x": x})
            shares[name] = peak.share
        wide = np.ones((rows, 2048), np.float32)
        with Peak() as peak:
            await bridge.send("x.shape", {"x": wide[:, ::2]})
        shares["strided"] = peak.share
        del wide, given
        lists = {
            "texts": ["x" * 1000 + str(i) for i in range(size // 4 // 1010)],
            "records": [{"id": i, "text": "x" * 480} for i in range(size // 4 // 500)],
            "one text": "é" * (size // 8),
        }
        for name, x in lists.items():
            with Peak() as peak:
                await bridge.send("None", {"x": x})
            shares[name] = peak.share * 4
        del lists, x
        await bridge.send(f"import numpy\\nbig = numpy.ones({size} // 4, numpy.float32)\\nNone")
        with Peak() as peak:
            result = await bridge.send("big")
        shares["result"] = peak.share
    print(json.dumps(shares))
asyncio.run(main())
"""
MIB = 1024 * 1024
BARS = {"result": 1.02}
"""What a value may cost of its own size; what is sent, a tenth.

One that is received is there once, and beside it is what a chunk takes on its way.
"""


def measure(quick: bool) -> list[Figure]:
    """Measure the anonymous memory that sending and receiving add, as parts of the array."""
    size = (256 if quick else 512) * MIB
    return [*_figures(size, "shared", {}), *_figures(size, "streamed", {"shared_memory": 0})]


def _figures(size: int, way: str, options: dict[str, Any]) -> list[Figure]:
    shares = run_python(PROGRAM, str(size), json.dumps(options))
    return [
        Figure(
            name=f"{size // MIB} MiB {way}, {name}: memory added, of its size",
            unit="",
            values=(share,),
            bar=BARS.get(name, 0.1),
        )
        for name, share in shares.items()
    ]

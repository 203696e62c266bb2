"""From ``connect()`` to the first result, against doing the same directly."""

from __future__ import annotations

from benchmarks.measure import Figure, ratio, run_python

DIRECT = """
import json, time, subprocess, sys
start = time.perf_counter()
subprocess.run([sys.executable, "-c", "import keras; keras.ops.convert_to_numpy(keras.ops.ones(3)).tolist()"],
               check=True, capture_output=True)
print(json.dumps(time.perf_counter() - start))
"""
BRIDGED = """
import asyncio, json, sys, time
import asyncbridge
async def main(backend, code):
    start = time.perf_counter()
    async with asyncbridge.connect(backend=backend) as bridge:
        opened = time.perf_counter() - start
        await bridge.send(code)
        result = time.perf_counter() - start
    return [opened, result, time.perf_counter() - start - result]
backend = None if sys.argv[1] == "none" else sys.argv[1]
print(json.dumps(asyncio.run(main(backend, sys.argv[2]))))
"""
CODE = "import keras; keras.ops.convert_to_numpy(keras.ops.ones(3)).tolist()"


def measure(quick: bool) -> list[Figure]:
    """Alternate the direct program and the bridge; then start workers without Keras."""
    pairs = 3 if quick else 7
    run_python(DIRECT)
    direct, opened, bridged, closed = [], [], [], []
    for _ in range(pairs):
        direct.append(run_python(DIRECT))
        times = run_python(BRIDGED, "tensorflow", CODE)
        opened.append(times[0])
        bridged.append(times[1])
        closed.append(times[2])
    bare = [run_python(BRIDGED, "none", "1 + 1") for _ in range(pairs)]
    return [
        Figure(name="python -c 'import keras' and a call", unit="s", values=tuple(direct)),
        Figure(name="connect() to the first Keras result", unit="s", values=tuple(bridged)),
        ratio("connect() to the first Keras result / directly", bridged, direct, bar=1.15),
        Figure(
            name="connect() until open, while Keras is imported", unit="s", values=tuple(opened)
        ),
        Figure(name="closing", unit="s", values=tuple(closed)),
        Figure(
            name="connect(backend=None) until open",
            unit="s",
            values=tuple(r[0] for r in bare),
            bar=1.0,
        ),
    ]

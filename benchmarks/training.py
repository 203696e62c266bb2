"""What the bridge adds to a ``fit`` of iris with batch size 1: the worst case there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

from benchmarks.measure import ROOT, Figure, ratio

if TYPE_CHECKING:
    from types import TracebackType

COMMON = """
import asyncio, hashlib, json, sys, time
sys.path.insert(0, "examples")
import numpy as np
import iris
x, y, _, _ = iris.load()
EPOCHS = int(sys.argv[1])
def digest(weights):
    return hashlib.sha256(b"".join(np.ascontiguousarray(w).tobytes() for w in weights)).hexdigest()
def tell(seconds, weights):
    print(json.dumps([seconds, digest(weights)]), flush=True)
"""
DIRECT = (
    COMMON
    + """
import keras
for line in sys.stdin:
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16), keras.layers.Activation("sigmoid"),
                              keras.layers.Dense(3), keras.layers.Activation("softmax")])
    model.compile(optimizer=keras.optimizers.Adam(), loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=1, epochs=1, verbose=0)
    start = time.perf_counter()
    model.fit(x, y, batch_size=1, epochs=EPOCHS, verbose=0)
    tell(time.perf_counter() - start, model.get_weights())
"""
)
BRIDGED = (
    COMMON
    + """
import asyncbridge
from asyncbridge import models as keras
async def main():
    async with asyncbridge.connect():
        while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            keras.utils.set_random_seed(7)
            model = iris.build()
            await model.fit(x, y, batch_size=1, epochs=1, verbose=0)
            start = time.perf_counter()
            await model.fit(x, y, batch_size=1, epochs=EPOCHS, verbose=0)
            tell(time.perf_counter() - start, await model.get_weights())
asyncio.run(main())
"""
)


class Trainer:
    """A process that trains once for each line it is given."""

    def __init__(self, program: str, epochs: int) -> None:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(  # noqa: S603 - a program of this file
            [sys.executable, "-c", program, str(epochs)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=env, cwd=ROOT,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def train(self) -> Any:
        """Return the seconds that a fit took, and a digest of the weights."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def measure(quick: bool) -> list[Figure]:
    """Alternate fits of two processes that stay; weights are compared bit for bit."""
    pairs, epochs = (5, 3) if quick else (24, 6)
    with Trainer(DIRECT, epochs) as direct, Trainer(BRIDGED, epochs) as bridged:
        direct.train()
        bridged.train()
        runs = []
        for index in range(pairs):
            # Who goes first alternates, too.
            first, second = (direct, bridged) if index % 2 else (bridged, direct)
            a, b = first.train(), second.train()
            runs.append((a, b) if index % 2 else (b, a))
    different = sum(d[1] != b[1] for d, b in runs)
    times = [d[0] for d, _ in runs], [b[0] for _, b in runs]
    return [
        Figure(name=f"fit of iris, {epochs} epochs, directly", unit="s", values=tuple(times[0])),
        ratio("fit of iris, bridge / directly", times[1], times[0], bar=1.03),
        Figure(name="runs whose weights differ in any bit", unit="", values=(different,), bar=0.0),
    ]

"""Two clients, one worker: what they send interleaves in order, and no names clash.

A worker is a program of its own here, as `asyncbridge worker` runs it beside the GPU. Two kinds
of clients use it: two tasks that share one bridge, and two bridges with one task each, as two
processes of a service would have them. Its one thread runs whatever they send, one command after
another; the models that they hold are apart.

    python examples/two_clients.py
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from typing import TYPE_CHECKING

import numpy as np

import asyncbridge
from asyncbridge import models as keras

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

ROUNDS = 3


@contextlib.asynccontextmanager
async def worker() -> AsyncGenerator[str]:
    """Run a worker; yield its address: ``asyncbridge worker --folder FOLDER``, in a shell."""
    with tempfile.TemporaryDirectory(prefix="two-clients-") as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "asyncbridge.worker", "--folder", folder,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stderr is not None
            greeting = (await process.stderr.readline()).decode()
            if "unix://" not in greeting:
                raise RuntimeError(f"the worker did not start: {greeting}")
            yield f"unix://{folder}/worker.sock"
        finally:
            process.terminate()
            await process.communicate()


async def teach(bridge: asyncbridge.Bridge, name: str, slope: float) -> float:
    """Train a model of one weight to multiply by ``slope``, round by round; return the weight."""
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, np.newaxis]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    for number in range(1, ROUNDS + 1):
        await model.fit(x, slope * x, epochs=20, verbose=0)
        # Both clients call their binding `entry`: each goes with its own command. `diary` is
        # one object for all, on purpose.
        await bridge.send("diary.append(entry)", {"entry": f"{name} {number}"})
    (weight,) = await model.get_weights()
    return float(weight[0, 0])


async def one_bridge(url: str) -> list[float]:
    """Two tasks of one app, one bridge: the usual way."""
    async with asyncbridge.connect(url) as bridge:
        return list(await asyncio.gather(teach(bridge, "ada", 2.0), teach(bridge, "bob", -3.0)))


async def two_bridges(url: str) -> list[float]:
    """Two bridges to one worker, each in a task that enters it: the way of two processes."""

    async def client(name: str, slope: float) -> float:
        async with asyncbridge.connect(url) as bridge:
            return await teach(bridge, name, slope)

    return list(await asyncio.gather(client("cleo", 4.0), client("dan", -5.0)))


async def main() -> tuple[list[float], list[str]]:
    """Run both; return the four weights that were learnt, and the diary."""
    async with worker() as url:
        print("worker at", url)
        # A name that code assigns stays, for every client of the worker.
        async with asyncbridge.connect(url) as bridge:
            await bridge.send("diary = []")
        weights = [*await one_bridge(url), *await two_bridges(url)]
        async with asyncbridge.connect(url) as bridge:
            diary: list[str] = await bridge.send("diary")
    print("what the worker did, in its order:", ", ".join(diary))
    for name, weight in zip(("ada", "bob", "cleo", "dan"), weights, strict=True):
        print(f"{name}'s model multiplies by {weight:.2f}")
    return weights, diary


if __name__ == "__main__":
    asyncio.run(main())

"""Faults in mid-fit, with TensorFlow: the history is that of a training that nothing befell."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from asyncbridge import models as keras
from asyncbridge.client import connect
from asyncbridge.errors import WorkerLost
from tests.chaos.going_on import go_on
from tests.chaos.net import Net, disturbed

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.tensorflow]

EPOCHS = 12
STRIKES = 5
"""How many times something happens to a training, an epoch between them."""
X = np.random.default_rng(7).random((400, 4), dtype=np.float32)
Y = X.sum(axis=1, keepdims=True)


def training() -> Any:
    """Start a training that is the same each time, on the bridge that was opened last."""
    keras.utils.set_random_seed(11)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse")
    return model.fit(X, Y, epochs=EPOCHS, batch_size=8, verbose=0)


async def strike(net: Net, pid: int, how: str) -> None:
    """Stop the worker for a moment, or cut its connections."""
    if how == "cut":
        net.proxy.cut()
        return
    os.kill(pid, signal.SIGSTOP)
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        await asyncio.sleep(0)
    os.kill(pid, signal.SIGCONT)


async def test_what_befalls_a_training(folder: Path) -> None:
    """Cuts and pauses change nothing; a kill is told, and the next worker trains anew."""
    async with disturbed(Net(folder / "proxy.sock")) as net:
        bridge = await connect(backend="tensorflow", restart="never")
        pid = (await bridge.info()).pid
        undisturbed = (await training())["loss"]
        assert len(undisturbed) == EPOCHS
        for how in ("cut", "pause"):
            running, left = training(), STRIKES
            async for _ in running.progress():
                if left:
                    await strike(net, pid, how)
                    left -= 1
            assert not left
            assert (await running)["loss"] == undisturbed
        running = training()
        async for _ in running.progress():
            os.kill(pid, signal.SIGKILL)
            break
        with pytest.raises(WorkerLost) as error:
            await running
        assert (error.value.phase, error.value.signal) == ("started", "SIGKILL")
        bridge = await go_on(bridge, backend="tensorflow")
        assert (await training())["loss"] == pytest.approx(undisturbed)
        await bridge.close()

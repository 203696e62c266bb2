"""Many who wait for one training, of whom all but one leave; with the real Keras."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import asyncbridge
from asyncbridge import models as keras
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from asyncbridge import Promise

    Way = Callable[[Promise[Any]], Coroutine[Any, Any, object]]

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

X = np.random.default_rng(7).normal(size=(64, 4))
Y = X.sum(axis=1, keepdims=True)


async def by_await(promise: Promise[Any]) -> object:
    """Wait until cancelled."""
    return await promise


async def by_wait(promise: Promise[Any]) -> object:
    """Do so by its own method."""
    return await promise.wait()


async def by_shield(promise: Promise[Any]) -> object:
    """Do so behind a shield."""
    return await asyncio.shield(promise)


async def in_a_group(promise: Promise[Any]) -> object:
    """Do so in a task of a group, which is cancelled with it."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(by_await(promise))
    return task.result()


async def late_by_timeout(promise: Promise[Any]) -> object:
    """Wait until the time is over, which it is."""
    async with asyncio.timeout(0):
        return await promise


async def late_by_wait(promise: Promise[Any]) -> object:
    """Do so by the promise's own method."""
    return await promise.wait(timeout=0)


async def late_in_a_group(promise: Promise[Any]) -> object:
    """Do so in a task of a group."""
    async with asyncio.timeout(0), asyncio.TaskGroup() as group:
        group.create_task(by_await(promise))
    return None


async def late_by_wait_for(promise: Promise[Any]) -> object:
    """Do so by the older function."""
    return await asyncio.wait_for(promise, 0)


async def late_by_a_shielded_wait_for(promise: Promise[Any]) -> object:
    """Do so as it is right in 3.11."""
    return await asyncio.wait_for(asyncio.shield(promise), 0)


CANCELLED: list[Way] = [by_await, by_wait, by_shield, in_a_group]
LATE: list[Way] = [late_by_timeout, late_by_wait, late_in_a_group, late_by_a_shielded_wait_for]
if sys.version_info >= (3, 12):  # before, wait_for itself cancels what it waits for
    LATE.append(late_by_wait_for)


CALLBACK = """
import keras, os
class Until(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = os.path.exists(self.path)
until = Until()
until.path = path
"""


@pytest.mark.asyncio
async def test_the_last_of_a_hundred_waiters_gets_the_history(tmp_path: Path) -> None:
    """The others are cancelled or late, in any order: the training goes on, to its own end."""
    chance, enough = random.Random(5), tmp_path / "enough"
    async with asyncbridge.connect() as bridge:
        await bridge.send(CALLBACK, {"path": str(enough)})
        until = keras.callbacks.Callback.from_binding(bridge.binding("until"))
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        training = model.fit(X, Y, epochs=1_000_000, verbose=0, callbacks=[until])
        await anext(training.progress())
        own = len(training._callbacks)
        last = spawn(by_await(training), name="last")
        assert await leave_all(training, chance) == {"CancelledError": 50, "TimeoutError": 49}
        assert (training.state, len(training._callbacks)) == ("running", own + 1)
        epoch = await next_epoch(training)
        enough.touch()
        await last
        history = await training
    assert last.result() is history
    assert history.state == "complete"
    assert epoch <= len(history.epochs) < 1_000_000


def read_later(_: BaseException) -> None:
    """Take the error as seen, so that it is not reported: the waiters are gathered at the end."""


async def leave_all(training: keras.Training, chance: random.Random) -> Counter[str]:
    """Have 99 wait for it and leave, in any order; return how often they ended by what."""
    ways = [*islice(cycle(CANCELLED), 50), *islice(cycle(LATE), 49)]
    chance.shuffle(ways)
    waiters: list[asyncio.Task[object]] = []
    to_cancel: list[asyncio.Task[object]] = []
    for way in ways:
        waiters.append(spawn(way(training), name=way.__name__, on_error=read_later))
        to_cancel += waiters[-1:] if way in CANCELLED else []
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        if to_cancel and chance.random() < 0.5:
            to_cancel.pop(chance.randrange(len(to_cancel))).cancel()
    for waiter in to_cancel:
        waiter.cancel()
    ends = await asyncio.gather(*waiters, return_exceptions=True)
    return Counter(type(end).__name__ for end in ends)


async def next_epoch(training: keras.Training) -> int:
    """Wait until another epoch has ended; return how many that are."""
    now = len(training.history.epochs)
    async for event in training.progress():
        if isinstance(event, asyncbridge.EpochEnd) and len(training.history.epochs) > now:
            break
    return len(training.history.epochs)

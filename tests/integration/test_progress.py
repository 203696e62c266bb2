"""Trainings that are watched, with the real Keras."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import numpy as np
import pytest
import pytest_asyncio

import asyncbridge
from asyncbridge import BatchEnd, EpochBegin, EpochEnd, TrainBegin, TrainEnd, ValidationEnd
from asyncbridge import models as keras
from asyncbridge.errors import RemoteError, WorkerLost
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncbridge import ProgressReader, TrainingEvent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.asyncio(loop_scope="module"),
]

X = np.random.default_rng(7).normal(size=(40, 4))
Y = X.sum(axis=1, keepdims=True)
EPOCHS = 6


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bridge() -> AsyncIterator[asyncbridge.Bridge]:
    """One worker with TensorFlow for all tests of this file that leave it alive."""
    async with asyncbridge.connect() as opened:
        yield opened


def compiled() -> keras.Sequential:
    """Make a small model."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


async def read(reader: ProgressReader[TrainingEvent]) -> list[TrainingEvent]:
    """Return all events."""
    return [event async for event in reader]


def epochs_of(events: list[TrainingEvent]) -> list[int]:
    """Return the epochs that are told to have ended."""
    return [event.epoch for event in events if isinstance(event, EpochEnd)]


async def test_all_readers_see_every_epoch_once(bridge: asyncbridge.Bridge) -> None:
    """One from the beginning, one that comes late, one that reads only when all is over."""
    training = compiled().fit(X, Y, epochs=EPOCHS, batch_size=1, validation_split=0.5, verbose=0)
    first = spawn(read(training.progress()), name="first")
    never = training.progress()
    async for event in training.progress():
        if isinstance(event, EpochEnd) and event.epoch == 2:
            break
    late = spawn(read(training.progress()), name="late")
    history = await training
    everything = await first
    assert epochs_of(everything) == epochs_of(await late) == list(range(EPOCHS))
    assert epochs_of(await read(never)) == list(range(EPOCHS))
    lasting = [event for event in everything if not isinstance(event, BatchEnd)]
    assert [type(event) for event in lasting] == [
        TrainBegin, *[EpochBegin, ValidationEnd, EpochEnd] * EPOCHS, TrainEnd,
    ]  # fmt: skip
    assert [event.logs["loss"] for event in lasting if isinstance(event, EpochEnd)] == history[
        "loss"
    ]
    assert {(event.epochs, event.steps) for event in lasting} == {(EPOCHS, 20)}


async def test_the_history_is_there_while_it_trains(bridge: asyncbridge.Bridge) -> None:
    """As many epochs as were told; in the end all."""
    training = compiled().fit(X, Y, epochs=EPOCHS, batch_size=1, verbose=0)
    async for event in training.progress():
        if isinstance(event, EpochEnd):
            assert len(training.history["loss"]) >= event.epoch + 1
            assert training.history["loss"][event.epoch] == event.logs["loss"]
    assert await training is training.history
    assert training.history.epochs == list(range(EPOCHS))


async def test_a_training_that_fails_ends_the_iteration(bridge: asyncbridge.Bridge) -> None:
    """What there was stays, marked; the error is the promise's."""
    await bridge.send("""
import keras
class Fails(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise RuntimeError("no third epoch")
fails = Fails()
""")
    failing = keras.callbacks.Callback.from_binding(bridge.binding("fails"))
    training = compiled().fit(X, Y, epochs=EPOCHS, verbose=0, callbacks=[failing])
    events = await read(training.progress())
    assert epochs_of(events) == [0, 1]
    assert not isinstance(events[-1], TrainEnd)
    with pytest.raises(RemoteError, match="no third epoch"):
        await training
    assert (training.history.state, len(training.history["loss"])) == ("failed", 2)


async def test_a_reader_that_raises_or_leaves_harms_no_training(
    bridge: asyncbridge.Bridge,
) -> None:
    """Neither it nor the other readers."""
    training = compiled().fit(X, Y, epochs=EPOCHS, verbose=0)

    async def leave() -> None:
        async for event in training.progress():
            raise ValueError(event.epoch)

    with pytest.raises(ValueError, match="0"):
        await leave()
    assert epochs_of(await read(training.progress())) == list(range(EPOCHS))
    assert len((await training)["loss"]) == EPOCHS


async def test_lines_on_standard_output(
    bridge: asyncbridge.Bridge, capsys: pytest.CaptureFixture[str]
) -> None:
    """One for each epoch, here and not in the worker; before the awaiting code goes on."""
    reader = bridge.output()
    await compiled().fit(X, Y, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    await compiled().fit(X, Y, epochs=2, verbose=0)
    assert capsys.readouterr().out == ""
    await bridge.send("print('the end')")
    assert (await anext(reader)).text == "the end"


async def test_a_worker_that_dies_in_mid_training() -> None:
    """The readers end, the history says how far it came."""
    async with asyncbridge.connect() as own:
        pid = (await own.info()).pid
        training = compiled().fit(X, Y, epochs=100_000, batch_size=1, verbose=0)
        reader = training.progress()
        async for event in training.progress():
            if isinstance(event, EpochEnd):
                os.kill(pid, signal.SIGKILL)
                break
        assert 0 in epochs_of(await read(reader))
        with pytest.raises(WorkerLost):
            await training
        assert training.history.state == "failed"
        assert len(training.history["loss"]) >= 1


async def test_a_script_watches_a_training() -> None:
    """With a plain ``for``, where no event loop runs."""

    def script() -> tuple[list[int], float]:
        with asyncbridge.connect():
            training = compiled().fit(X, Y, epochs=3, verbose=0)
            told = [event.epoch for event in training.progress() if isinstance(event, EpochEnd)]
            return told, training.wait_for_value(60)["loss"][-1]

    told, loss = await asyncio.to_thread(script)
    assert told == [0, 1, 2]
    assert loss > 0


async def test_a_mirror_that_is_dropped_is_trained_to_the_end(bridge: asyncbridge.Bridge) -> None:
    """Who holds the reader alone sees every epoch."""
    reader = compiled().fit(X, Y, epochs=3, verbose=0).progress()
    await asyncio.sleep(0)
    assert epochs_of(await read(reader)) == [0, 1, 2]

"""Commands that run, and are cancelled; with the real Keras."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
import pytest_asyncio

import asyncbridge
from asyncbridge import BatchEnd, EpochEnd, ValidationEnd
from asyncbridge import models as keras

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from asyncbridge import Promise

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.asyncio(loop_scope="module"),
]

NIGHTLY = [pytest.mark.nightly, pytest.mark.timeout(1800)]
X = np.random.default_rng(7).normal(size=(64, 4))
Y = X.sum(axis=1, keepdims=True)
FOR_EVER = 1_000_000
SPINS = "while True: pass"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bridge() -> AsyncIterator[asyncbridge.Bridge]:
    """One worker with TensorFlow for all tests of this file that leave it alive."""
    async with asyncbridge.connect() as opened:
        yield opened


def compiled() -> keras.Sequential:
    """Make a small model."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def long_fit(model: keras.Sequential) -> keras.Training:
    """Train for ever."""
    return model.fit(X, Y, epochs=FOR_EVER, batch_size=1, validation_split=0.5, verbose=0)


async def pass_some_time(bridge: asyncbridge.Bridge, chance: random.Random) -> None:
    """Let the worker go on for a while, some milliseconds to half a second."""
    for _ in range(chance.randrange(500)):
        await bridge.info()


@pytest.mark.parametrize("times", [6, pytest.param(100, marks=NIGHTLY)])
async def test_a_training_stops_gracefully_at_any_moment(
    bridge: asyncbridge.Bridge, times: int
) -> None:
    """It gives the history so far and keeps its weights; the next one works."""
    chance, model = random.Random(5), compiled()
    for _ in range(times):
        training = long_fit(model)
        await anext(training.progress())
        await pass_some_time(bridge, chance)
        assert training.cancel()
        history = await training
        assert (history.state, training.cancelled_phase) == ("stopped", "running")
        assert 0 < len(history.epochs) < FOR_EVER
        weights = await model.get_weights()
        again = await model.fit(X, Y, epochs=1, verbose=0)
        assert len(again["loss"]) == 1
        assert any((await model.get_weights())[0] != weights[0])


@pytest.mark.parametrize("kind", [BatchEnd, ValidationEnd, EpochEnd])
async def test_it_stops_within_two_batches(
    bridge: asyncbridge.Bridge, kind: type[asyncbridge.TrainingEvent]
) -> None:
    """Also in the middle of a validation, which is not run to its end."""
    await bridge.send("""
import keras
class Counts(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.after = 0
    def on_train_batch_begin(self, batch, logs=None):
        from asyncbridge.worker import stopping
        self.after += stopping._current.asked
    on_test_batch_begin = on_train_batch_begin
counts = Counts()
""")
    counting = keras.callbacks.Callback.from_binding(bridge.binding("counts"))
    training = compiled().fit(
        X, Y, epochs=FOR_EVER, batch_size=1, validation_split=0.5, verbose=0, callbacks=[counting]
    )
    async for event in training.progress():
        if isinstance(event, kind):
            break
    training.cancel(mode="graceful")
    await training
    # At most one of training, and one of the validation behind it.
    assert await bridge.send("counts.after") <= 2


async def test_a_validation_that_is_cut_off_leaves_no_value(bridge: asyncbridge.Bridge) -> None:
    """Neither in the history nor for what chooses the best weights by it."""
    model, rows = compiled(), np.zeros((20_000, 4))
    await bridge.send("""
import keras
class Sees(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.logs = []
    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(sorted(logs))
    def on_test_begin(self, logs=None):
        print("validating")
sees = Sees()
""")
    training = model.fit(
        X, Y, epochs=2, validation_data=(rows, rows[:, :1]), validation_batch_size=1, verbose=0,
        callbacks=[keras.callbacks.Callback.from_binding(bridge.binding("sees"))],
    )  # fmt: skip
    assert (await anext(training.output())).text == "validating"
    training.cancel()
    history = await training
    assert (history.state, history.metrics) == ("stopped", ["loss"])
    assert "val_loss" not in history.history
    assert await bridge.send("sees.logs") == [["loss"]]


async def test_what_a_training_leads_to_takes_it_along(bridge: asyncbridge.Bridge) -> None:
    """If nobody else waits for the training, whose progress may be read; its history is there."""
    training = long_fit(compiled())
    best = training.then(lambda history: history.best)
    reader = training.progress()
    await anext(reader)
    assert best.cancel()
    assert best.cancelled()
    history = await training
    assert (len(history.epochs) < FOR_EVER, training.cancelled_phase) == (True, "running")


async def test_a_training_that_is_through_was_not_cut_short(bridge: asyncbridge.Bridge) -> None:
    """A request that comes too late changes nothing."""
    training = compiled().fit(X, Y, epochs=2, verbose=0)
    history = await training
    assert not training.cancel()
    assert (len(history.epochs), training.cancelled_phase) == (2, None)


@pytest.mark.parametrize("times", [15, pytest.param(300, marks=NIGHTLY)])
async def test_an_interrupt_ends_a_training_at_any_moment(
    bridge: asyncbridge.Bridge, times: int
) -> None:
    """It hits no other command, and the model can be used; also while it is traced."""
    chance, model = random.Random(9), compiled()
    for number in range(times):
        if number % 3 == 0:
            model = compiled()
        training = long_fit(model)
        behind = bridge.send("'untouched'")
        await anext(training.progress())
        if number % 3:
            await pass_some_time(bridge, chance)
        else:  # while it is built and traced
            for _ in range(chance.randrange(200)):
                await bridge.info()
        training.cancel(mode="interrupt")
        with pytest.raises(asyncio.CancelledError):
            await training
        assert (training.history.state, training.cancelled_phase) == ("failed", "running")
        assert await behind == "untouched"
        assert len((await model.fit(X, Y, epochs=1, verbose=0))["loss"]) == 1


async def test_an_evaluation_and_a_prediction_give_no_part(bridge: asyncbridge.Bridge) -> None:
    """What is stopped in the middle has no result."""
    model = compiled()
    rows = np.zeros((100_000, 4))
    calls: list[Callable[[], Promise[object]]] = [
        lambda: model.predict(rows, batch_size=1),
        lambda: model.evaluate(rows, rows[:, :1], batch_size=1),
    ]
    for call in calls:
        promise = call()
        while promise.state != "running":
            await bridge.info()
        assert promise.cancel()
        with pytest.raises(asyncio.CancelledError):
            await promise
    assert (await model.predict(rows[:40])).shape == (40, 1)


async def test_code_that_does_not_look_is_interrupted(bridge: asyncbridge.Bridge) -> None:
    """And what depends on it is rejected, unrun."""
    promise = bridge.send(SPINS)
    dependent = bridge.send("ran = True", after=[promise])
    while promise.state != "running":
        await bridge.info()
    assert promise.cancel()
    with pytest.raises(asyncio.CancelledError):
        await promise
    with pytest.raises(asyncbridge.DependencyError):
        await dependent
    assert await bridge.send("'ran' in globals()") is False


async def test_code_may_look_by_itself(bridge: asyncbridge.Bridge) -> None:
    """It then decides what its value is."""
    code = "from asyncbridge.worker.stopping import stop_asked\nn = 0\nwhile not stop_asked(): n += 1\nn"
    promise = bridge.send(code)
    while promise.state != "running":
        await bridge.info()
    await bridge.info()
    promise.cancel(mode="graceful")
    assert await promise > 0


async def test_a_kill_takes_the_worker_along() -> None:
    """Its own promise is cancelled; what had not begun is run by the worker's successor."""
    async with asyncbridge.connect(backend=None) as own:
        promise, behind = own.send(SPINS), own.send("1")
        while promise.state != "running":
            await own.info()
        assert promise.cancel(mode="kill")
        with pytest.raises(asyncio.CancelledError):
            await promise
        assert await behind == 1


async def test_an_unknown_mode_is_refused(bridge: asyncbridge.Bridge) -> None:
    """With the names that there are."""
    promise = bridge.send("1")
    with pytest.raises(ValueError, match="'graceful', 'interrupt', 'kill'"):
        promise.cancel(mode="gently")  # type: ignore[arg-type] # pyright: ignore - what is tested
    assert await promise == 1

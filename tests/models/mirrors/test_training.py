from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge import models as keras
from asyncbridge.errors import RemoteError, WorkerLost
from asyncbridge.models.mirrors.events import EpochEnd, TrainBegin
from asyncbridge.models.mirrors.training import Training
from asyncbridge.promise.views import rows_of

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge

pytestmark = pytest.mark.asyncio

X, Y = np.zeros((4, 2)), np.zeros((4, 1))
RAW = {
    "history": {"loss": [0.5, 0.25], "val_loss": [0.75]},
    "epoch": [0, 1],
    "params": {"verbose": 0, "epochs": 2, "steps": 1},
}


def report(kind: str, epoch: int = 0, **logs: float) -> dict[str, Any]:
    """Return what the worker reports."""
    return {
        "kind": kind, "epoch": epoch, "epochs": 2, "step": 1, "steps": 1, "logs": logs,
        "elapsed": 0.5,
    }  # fmt: skip


async def started(bridge: RecordingBridge, **options: Any) -> Training:
    """Return a training that the worker has been told of."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    await bridge.work()
    return model.fit(X, Y, epochs=2, verbose=0, **options)


async def test_fit_returns_a_training(bridge: RecordingBridge) -> None:
    """Its history is empty and running."""
    training = await started(bridge)
    assert isinstance(training, Training)
    assert (dict(training.history), training.history.state) == ({}, "running")
    assert training.history.params["epochs"] == 2


async def test_the_history_grows_with_each_epoch(bridge: RecordingBridge) -> None:
    """Other events leave it as it is."""
    training = await started(bridge)
    for event in (
        report("train_begin"),
        report("epoch_end", 0, loss=0.5),
        report("batch_end", 1, loss=9.0),
    ):
        training._report(event, transient=False)
    assert dict(training.history) == {"loss": [0.5]}
    assert training.history.epochs == [0]


async def test_the_promise_gives_the_same_history_complete(bridge: RecordingBridge) -> None:
    """With the final values in the place of those that came meanwhile."""
    training = await started(bridge, validation_freq=2)
    live = training.history
    training._report(report("epoch_end", 0, loss=0.5), transient=False)
    await bridge.work(value=RAW)
    assert await training is live
    assert live.state == "complete"
    assert dict(live) == RAW["history"]
    assert (live.epochs, live.validation_epochs) == ([0, 1], [1])


async def test_its_events_are_typed(bridge: RecordingBridge) -> None:
    """What is no event is left out."""
    training = await started(bridge)
    for event in (report("train_begin"), "noise", report("epoch_end", 0, loss=0.5)):
        training._report(event, transient=False)
    await bridge.work(value=RAW)
    assert [type(event) async for event in training.progress()] == [TrainBegin, EpochEnd]


@pytest.mark.parametrize("how", ["failed", "cancelled"])
async def test_a_training_that_fails_keeps_its_history(bridge: RecordingBridge, how: str) -> None:
    """What there is, marked."""
    training = await started(bridge)
    training._report(report("epoch_end", 0, loss=0.5), transient=False)
    if how == "failed":
        training.set_exception(RemoteError("ValueError", "no"))
    else:
        training._settle_cancelled()
    with pytest.raises((Exception, asyncio.CancelledError)):
        await training
    assert training.history.state == "failed"
    assert dict(training.history) == {"loss": [0.5]}


async def test_one_of_another_process() -> None:
    """It begins where it is joined; in the end it has the whole history, and no model."""
    training = Training(loop=asyncio.get_running_loop())
    training._report(report("epoch_end", 1, loss=0.25), transient=False)
    assert (training.history.epochs, training.history.state) == ([1], "running")
    training._settle(RAW)
    history = await training
    assert history is training.history
    assert (dict(history), history.state) == (RAW["history"], "complete")
    assert history.model is None


async def test_what_is_no_training_of_another_process() -> None:
    """It is said so."""
    training = Training(loop=asyncio.get_running_loop())
    training._settle(3)
    with pytest.raises(ValueError, match="takes what a fit has given, not 3"):
        await training
    assert training.history.state == "failed"


async def test_what_then_returns_is_a_plain_promise(bridge: RecordingBridge) -> None:
    """The training itself stays at hand."""
    training = await started(bridge)
    best = training.then(lambda history: min(history["loss"]))
    await bridge.work(value=RAW)
    assert await best == 0.25
    assert not isinstance(best, Training)


async def test_a_view_tells_how_far_it_is(bridge: RecordingBridge) -> None:
    """By the last event, with its metrics."""
    training = await started(bridge)
    assert "progress" not in rows_of(training)
    training._report(report("batch_end", 1, loss=0.25), transient=True)
    assert rows_of(training)["progress"] == ["epoch 2/2, step 1/1, loss: 0.25"]
    unknown = {**report("epoch_begin"), "steps": None}
    training._report(unknown, transient=False)
    assert rows_of(training)["progress"] == ["epoch 1/2, step 1/?"]


async def test_a_lost_worker_tells_how_far_the_training_came(bridge: RecordingBridge) -> None:
    """In a note, if it had come anywhere."""
    for reports, notes in (
        ([report("epoch_end", 0, loss=0.5)], ["it had come to epoch 1/2, step 1/1, loss: 0.5; "]),
        ([], []),
    ):
        training = await started(bridge)
        for event in reports:
            training._report(event, transient=False)
        training.set_exception(WorkerLost("it ended"))
        error = training.exception()
        found = [note.partition("its promise")[0] for note in getattr(error, "__notes__", [])]
        assert found == notes

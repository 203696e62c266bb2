from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge import models as keras
from asyncbridge.models.mirrors.callback import Callback, History

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge


def test_those_of_keras_have_one_base() -> None:
    """``callbacks.History`` is Keras's own; what ``fit`` promises is a ``TrainingHistory``."""
    assert isinstance(keras.callbacks.EarlyStopping(), Callback)
    assert keras.callbacks.Callback is Callback
    assert keras.callbacks.History is History
    assert not isinstance(keras.callbacks.History(), keras.TrainingHistory)


@pytest.mark.asyncio
async def test_what_it_holds_is_fetched(bridge: RecordingBridge) -> None:
    """By name, after a ``fit`` that had it."""
    stopping = keras.callbacks.EarlyStopping(patience=2)
    stopping.fetch("stopped_epoch")
    stopping.set_params({"epochs": 3})
    stopping.set_model(keras.Sequential())
    assert bridge.said() == [
        "earlystopping_1 = keras.callbacks.EarlyStopping(patience=2)",
        "worker_models.plain(earlystopping_1.stopped_epoch)",
        "earlystopping_1.set_params({'epochs': 3})",
        "sequential_1 = keras.Sequential()",
        "earlystopping_1.set_model(sequential_1)",
    ]


def test_the_users_own_is_refused() -> None:
    """Its hooks would have to run in the worker."""

    class Watching(Callback):
        def on_epoch_end(self, epoch: int, logs: object = None) -> None: ...

    with pytest.raises(TypeError, match=r"^Watching\.on_epoch_end\(\) would have to run in the w"):
        Watching()

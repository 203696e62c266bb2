from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge import models as keras
from asyncbridge.models.mirrors.dataset import Dataset
from asyncbridge.models.mirrors.remote import RemoteObject

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge


@pytest.mark.asyncio
async def test_it_is_data_that_stays_in_the_worker(bridge: RecordingBridge) -> None:
    """A function of Keras makes it; ``fit`` takes it by its name, and looks at nothing in it."""
    pipeline = keras.utils.timeseries_dataset_from_array([1, 2, 3], None, 2)
    assert type(pipeline) is Dataset
    assert issubclass(Dataset, RemoteObject)
    model = keras.Sequential([keras.layers.Dense(1)])
    await bridge.work()
    model.fit(pipeline)
    assert bridge.said(3) == [
        (
            "(worker_models.fit(sequential_1, x=dataset_1, verbose=0), "
            "worker_models.state(sequential_1, dense_1))"
        )
    ]

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from asyncbridge import models as keras

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge


@pytest.mark.asyncio
async def test_it_is_made_with_what_differs(bridge: RecordingBridge) -> None:
    """Of an optimizer the worker has no facts to tell."""
    keras.optimizers.Adam(0.01, clipnorm=1)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 100, 0.9)
    keras.optimizers.SGD(schedule)
    assert bridge.code() == [
        "import keras\nadam_1 = keras.optimizers.Adam(learning_rate=0.01, clipnorm=1.0)",
        (
            "import keras\n"
            "exponentialdecay_1 = keras.optimizers.schedules.ExponentialDecay(0.1, 100, 0.9)"
        ),
        "import keras\nsgd_1 = keras.optimizers.SGD(learning_rate=exponentialdecay_1)",
    ]


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_bridge")
async def test_the_learning_rate_is_described_before_it_is_made(
    other_bridge: RecordingBridge,
) -> None:
    """It is as if the constructor had been told."""
    adam = keras.optimizers.Adam()
    adam.learning_rate = 0.5
    assert adam == keras.optimizers.Adam(0.5)
    with other_bridge.current():
        adam.get_config()
    assert other_bridge.said() == [
        "adam_1 = keras.optimizers.Adam(learning_rate=0.5)",
        "worker_models.plain(adam_1.get_config())",
    ]


@pytest.mark.asyncio
async def test_the_learning_rate_is_set_by_a_command(bridge: RecordingBridge) -> None:
    """Once it is made; to read it asks the worker."""
    adam = keras.optimizers.Adam()
    adam.learning_rate = 0.5
    rate = adam.learning_rate.promise()
    assert bridge.said(1) == [
        "adam_1.learning_rate = 0.5",
        "worker_models.plain(adam_1.learning_rate)",
    ]
    await bridge.work(value=0.5)
    assert await rate == 0.5
    found = keras.optimizers.Adam.from_config({})
    found.learning_rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
    assert bridge.said(5) == ["adam_2.learning_rate = cosinedecay_1"]


@pytest.mark.asyncio
async def test_its_state_goes_both_ways(bridge: RecordingBridge) -> None:
    """Variables are read as arrays; those that are set become arrays."""
    adam = keras.optimizers.Adam()
    adam.variables.promise()
    adam.iterations.promise()
    adam.set_weights([np.zeros(1), [1.0]])
    adam.exclude_from_weight_decay(var_names=["bias"])
    assert bridge.said(1) == [
        "worker_models.plain(adam_1.variables)",
        "worker_models.plain(adam_1.iterations)",
        "adam_1.set_weights([weights_1, weights_2])",
        "adam_1.exclude_from_weight_decay(var_names=['bias'])",
    ]

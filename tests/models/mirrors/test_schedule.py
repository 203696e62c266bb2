from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge import models as keras
from asyncbridge.models.mirrors.schedule import LearningRateSchedule

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge


@pytest.mark.asyncio
async def test_it_can_be_called_with_a_step(bridge: RecordingBridge) -> None:
    """Keras computes the rate; the promise gets it as an array."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 100, 0.9)
    assert isinstance(schedule, LearningRateSchedule)
    promise = schedule(50)
    schedule.get_config()
    assert bridge.said(1) == [
        "worker_models.plain(exponentialdecay_1(50))",
        "worker_models.plain(exponentialdecay_1.get_config())",
    ]
    await bridge.work(value=0.09)
    assert await promise == 0.09


def test_the_users_own_is_refused() -> None:
    """Its calls would have to run in the worker, at every step."""

    class Own(LearningRateSchedule):
        def __call__(self, step: object) -> object:
            return step

    with pytest.raises(TypeError, match=r"^Own\.__call__\(\) would have to run in the worker"):
        Own()

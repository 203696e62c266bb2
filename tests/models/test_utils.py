from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from asyncbridge.models import utils

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge

pytestmark = pytest.mark.asyncio


async def test_the_seed_is_set_in_the_worker(bridge: RecordingBridge) -> None:
    """The call is one command."""
    utils.set_random_seed(7)
    assert bridge.code() == ["import keras\nkeras.utils.set_random_seed(7)"]


async def test_labels_travel_as_an_array(bridge: RecordingBridge) -> None:
    """A list of labels is bound as an array; the value is what the worker returns."""
    promise = utils.to_categorical([0, 2, 1], num_classes=3)
    assert bridge.code() == ["import keras\nkeras.utils.to_categorical(x_1, num_classes=3)"]
    (labels,) = bridge.sent[0].bindings.values()
    assert isinstance(labels, np.ndarray)
    rows = np.eye(3)
    await bridge.work(value=rows)
    assert await promise is rows


async def test_a_seed_is_an_int(bridge: RecordingBridge) -> None:
    """Anything else is refused at the call."""
    with pytest.raises(TypeError, match=r"set_random_seed\(\) argument 'seed' must be int"):
        utils.set_random_seed(1.5)  # type: ignore[arg-type]  # what is tested
    assert bridge.sent == []

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge.models import optimizers

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge


@pytest.mark.asyncio
async def test_optimizers_are_made_by_their_names_in_keras(bridge: RecordingBridge) -> None:
    """An int learning rate is a float, and equal defaults are not said."""
    optimizers.Adam(0.01, beta_2=0.999)
    optimizers.SGD(learning_rate=1, nesterov=True)
    assert bridge.code() == [
        "import keras\nadam_1 = keras.optimizers.Adam(learning_rate=0.01)",
        "import keras\nsgd_1 = keras.optimizers.SGD(learning_rate=1.0, nesterov=True)",
    ]


def test_a_learning_rate_is_no_text() -> None:
    """The error lists all that it may be."""
    with pytest.raises(TypeError, match=r"must be float \| Mirror \| a function of Keras, not str"):
        optimizers.Adam("fast")  # type: ignore[arg-type]  # what is tested

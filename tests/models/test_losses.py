from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge.models import losses

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge


@pytest.mark.asyncio
async def test_losses_are_made_by_their_names_in_keras(bridge: RecordingBridge) -> None:
    """Each command calls Keras's own class with what was given."""
    losses.CategoricalCrossentropy(from_logits=True)
    losses.SparseCategoricalCrossentropy(ignore_class=0)
    losses.MeanSquaredError(None)
    assert bridge.code() == [
        "import keras\ncategoricalcrossentropy_1 = keras.losses.CategoricalCrossentropy(from_logits=True)",
        "import keras\nsparsecategoricalcrossentropy_1 = keras.losses.SparseCategoricalCrossentropy(ignore_class=0)",
        "import keras\nmeansquarederror_1 = keras.losses.MeanSquaredError(reduction=None)",
    ]

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge.models import metrics

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge


@pytest.mark.asyncio
async def test_metrics_are_made_by_their_names_in_keras(bridge: RecordingBridge) -> None:
    """Each command calls Keras's own class with what was given."""
    metrics.Accuracy()
    metrics.CategoricalAccuracy(name="acc")
    metrics.SparseCategoricalAccuracy(dtype="float64")
    assert bridge.code() == [
        "import keras\naccuracy_1 = keras.metrics.Accuracy()",
        "import keras\ncategoricalaccuracy_1 = keras.metrics.CategoricalAccuracy(name='acc')",
        "import keras\nsparsecategoricalaccuracy_1 = keras.metrics.SparseCategoricalAccuracy(dtype='float64')",
    ]

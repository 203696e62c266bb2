from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge.models import layers

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge

pytestmark = pytest.mark.asyncio


async def test_layers_are_made_by_their_names_in_keras(bridge: RecordingBridge) -> None:
    """Each command calls Keras's own class with what was given."""
    layers.Input((4,))
    layers.InputLayer(shape=[4], dtype="float32")
    layers.Dense(16, "relu", bias_initializer="ones", name="first")
    layers.Activation("softmax")
    layers.Dropout(0.5, seed=1, trainable=False)
    assert bridge.code() == [
        "import keras\ninput_1 = keras.Input(shape=(4,))",
        "import keras\ninputlayer_1 = keras.layers.InputLayer(shape=[4], dtype='float32')",
        "import keras\ndense_1 = keras.layers.Dense(16, activation='relu', bias_initializer='ones', name='first')",
        "import keras\nactivation_1 = keras.layers.Activation('softmax')",
        "import keras\ndropout_1 = keras.layers.Dropout(0.5, seed=1, trainable=False)",
    ]


async def test_layers_are_layers() -> None:
    """All but Input, which in Keras is a tensor, have the base class."""
    assert issubclass(layers.Dense, layers.Layer)
    assert issubclass(layers.InputLayer, layers.Layer)
    assert not issubclass(layers.Input, layers.Layer)

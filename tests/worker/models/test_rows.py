from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_a_row_for_each_layer(worker: KerasProcess) -> None:
    """Name, class, output shape, number of parameters, and whether it is trained."""
    assert worker.run("""
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a", trainable=False)])
worker_models.layer_rows(model)
""") == [
        {
            "name": "a",
            "type": "Dense",
            "output_shape": "(None, 3)",
            "parameters": 15,
            "trainable": False,
        }
    ]


def test_a_layer_that_is_not_built(worker: KerasProcess) -> None:
    """There is no shape and no number yet, and nothing is built to know them."""
    assert worker.run("""
model = keras.Sequential([keras.layers.Dense(3, name="a")])
rows = worker_models.layer_rows(model)
[rows[0]["output_shape"], rows[0]["parameters"], model.built]
""") == ["", None, False]


def test_a_layer_with_several_outputs(worker: KerasProcess) -> None:
    """Their shapes stand one after the other."""
    assert (
        worker.run("""
inputs = keras.Input((5, 2))
outputs = keras.layers.LSTM(3, return_state=True)(inputs)
worker_models.layer_rows(keras.Model(inputs, outputs))[1]["output_shape"]
""")
        == "(None, 3), (None, 3), (None, 3)"
    )

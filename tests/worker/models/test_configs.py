from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_marks(worker: KerasProcess) -> None:
    """All objects in a config are marked by their ids, and what is there already is not made again."""
    assert worker.run("""
from asyncbridge.worker.models.configs import MARK, configured, marks, remade
inner = keras.layers.Dense(2)
outer = keras.layers.TimeDistributed(inner)
config, inside = configured(outer)
found = {part[MARK] for part in marks(config)}
other = keras.layers.Dense(7)
again = remade(keras.layers.TimeDistributed.from_config, config, {id(inner): other})
[id(inner) in inside, id(inner) in found, again.layer is other, config == configured(outer)[0]]
""") == [True, True, True, True]


def test_keras_is_left_as_it_was(worker: KerasProcess) -> None:
    """Configs that others ask for have no marks, also after one that failed."""
    assert (
        worker.run("""
from asyncbridge.worker.models.configs import configured
class Bad(keras.layers.Layer):
    def get_config(self):
        raise RuntimeError("no")
try:
    configured(Bad())
except RuntimeError:
    pass
layer = keras.layers.TimeDistributed(keras.layers.Dense(2))
for _ in range(2):
    config = keras.saving.serialize_keras_object(layer)
"shared_object_id" in str(config)
""")
        is False
    )

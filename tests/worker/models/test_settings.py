from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_there_and_back(worker: KerasProcess) -> None:
    """What was read and written is read again; test_moving.py does so across processes."""
    assert worker.run(
        """
from asyncbridge.worker.models import settings
before = settings.read()
keras.utils.set_random_seed(3)
keras.random.uniform((1,))
there = settings.read()
drawn = keras.random.uniform((2,)).numpy().tolist(), tf_drawn().numpy().tolist(), keras.layers.Dense(1).name
keras.utils.set_random_seed(4)
settings.write(there)
again = keras.random.uniform((2,)).numpy().tolist(), tf_drawn().numpy().tolist(), keras.layers.Dense(1).name
settings.write(before)
[drawn == again, there["seed"], there["backend"], there["floatx"]]
""".replace("tf_drawn()", "__import__('tensorflow').random.uniform((2,))")
    ) == [
        True,
        3,
        "tensorflow",
        "float32",
    ]

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


START = """
from asyncbridge.worker.moving import pack, unpack
"""


def test_data_may_be_used_twice(worker: KerasProcess) -> None:
    """To make objects leaves the data as it was; test_moving.py has all that can be made."""
    assert worker.run(
        START
        + """
model = classifier(metrics=["accuracy"])
model.fit(x, y, verbose=0)
data = pack({"model": model})
(one, none), (two, _) = unpack(data), unpack(data)
[none, one["model"] is two["model"],
 np.array_equal(one["model"].predict(x, verbose=0), two["model"].predict(x, verbose=0))]
"""
    ) == [{}, False, True]


def test_a_class_that_has_changed(worker: KerasProcess) -> None:
    """Where a class makes other weights by now, its object is lost, and says what is wrong."""
    made, lost = worker.run(
        START
        + """
layer, fine = keras.layers.Dense(3), keras.layers.Dense(2)
layer.build((None, 4)); fine.build((None, 4))
data = pack({"layer": layer, "fine": fine})
data["records"][0]["config"]["own"]["use_bias"] = False
made, lost = unpack(data)
[sorted(made), lost]
"""
    )
    assert made == ["fine"]
    assert set(lost) == {"layer"}


def test_a_part_that_is_not_there(worker: KerasProcess) -> None:
    """A part is refused where its owner has another in its place."""
    made, lost = worker.run(
        START
        + """
inner = keras.layers.Dense(2)
outer = keras.layers.TimeDistributed(inner)
data = pack({"inner": inner, "outer": outer})
for record in data["records"]:
    if record["kind"] == "keras.part":
        record["type"] = "other.Layer"
made, lost = unpack(data)
[sorted(made), lost]
"""
    )
    assert made == []
    assert "the config has to say all that it is made of" in lost["inner"]

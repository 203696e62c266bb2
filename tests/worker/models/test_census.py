from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


NET = """
from asyncbridge.worker.models.census import Census, ancestors, node_of
given = keras.Input((4,))
tied = keras.layers.Dense(4)
far = given
for _ in range(600):
    far = tied(far)
"""


def test_owners(worker: KerasProcess) -> None:
    """A wrapper owns its layer, a dropout its generator; a functional model owns nothing."""
    assert worker.run("""
from asyncbridge.worker.models.census import Census
inner = keras.layers.Dense(2)
wrapper, drop = keras.layers.TimeDistributed(inner), keras.layers.Dropout(0.5)
source = keras.Input((3, 4))
whole = keras.Model(source, drop(wrapper(source)))
census = Census([whole])
owner = lambda thing: census.owners.get(id(thing), (None, None))
[owner(inner) == (wrapper, 0), owner(drop.seed_generator) == (drop, 0), owner(wrapper), owner(drop),
 census.variables[id(inner.bias)] == (inner, 1), list(census.makers)]
""") == [True, True, [None, None], [None, None], True, []]


def test_a_sequential_model_makes_its_nodes(worker: KerasProcess) -> None:
    """Its graph comes with it, and is not made of calls."""
    assert worker.run("""
from asyncbridge.worker.models.census import Census, node_of
row = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
census = Census([row])
[census.makers[id(node_of(row.inputs[0]))] == (row, 0), census.makers[id(node_of(row.outputs[0]))] == (row, 1)]
""") == [True, True]


def test_ancestors_of_a_deep_graph(worker: KerasProcess) -> None:
    """They come in the order of the calls, however many, and one that is shared once."""
    assert worker.run(
        NET
        + """
found = ancestors(far + far)
[len(found), found[0] is node_of(given), found[-2] is node_of(far), ancestors(keras.KerasTensor((1,)))]
"""
    ) == [602, True, True, []]


def test_what_raises_is_passed_by(worker: KerasProcess) -> None:
    """A class that answers with errors costs what it has, and nothing else."""
    assert (
        worker.run("""
from asyncbridge.worker.models.census import Census
bad, good = keras.layers.Dense(1), keras.layers.Dense(1)
vars(bad).pop("_layers")
good.build((None, 1))
id(good.bias) in Census([bad, good]).variables
""")
        is True
    )

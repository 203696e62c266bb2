from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_assembled(worker: KerasProcess) -> None:
    """Keras's own models are made of layers, and classes that are made as those are."""
    assert worker.run("""
from asyncbridge.worker.models.parts import assembled
class Like(keras.Model):
    pass
class Unlike(keras.Model):
    def __init__(self):
        given = keras.Input((1,))
        super().__init__(given, keras.layers.Dense(1)(given))
class Row(keras.Sequential):
    pass
class OwnRow(keras.Sequential):
    def __init__(self):
        super().__init__([keras.layers.Dense(1)])
given = keras.Input((1,))
ends = given, keras.layers.Dense(1)(given)
[assembled(each) for each in (keras.Model(*ends), Like(*ends), Unlike(), keras.Sequential(), Row(),
                              OwnRow(), keras.layers.Dense(1), keras.optimizers.SGD())]
""") == ["functional", "functional", "", "sequential", "sequential", "", "", ""]


def test_children_and_variables(worker: KerasProcess) -> None:
    """What compile() makes is no part; variables are an object's own."""
    assert worker.run("""
from asyncbridge.worker.models.parts import children, own_variables
model = classifier(metrics=["accuracy"])
model.fit(x, y, verbose=0)
adam = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
[[type(each).__name__ for each in children(model)], own_variables(model),
 [v.name for v in own_variables(model.layers[0])], children(adam) == [adam.inner_optimizer],
 children(keras.losses.Huber())]
""") == [["InputLayer", "Dense"], [], ["kernel", "bias"], True, []]


def test_compile_arguments(worker: KerasProcess) -> None:
    """Metrics of an earlier compile() stay, as they do in Keras."""
    assert worker.run("""
from asyncbridge.worker.models.parts import compile_arguments, resolved_metrics
model = classifier(metrics=["accuracy"])
before = resolved_metrics(model)
model.compile("sgd", "sparse_categorical_crossentropy")
model.fit(x, y, verbose=0)
names, metrics, weighted = resolved_metrics(model)
[before, compile_arguments(model)["metrics"], type(compile_arguments(model)["optimizer"]).__name__,
 names, [metric.name for metric in metrics[0][1]], weighted]
""") == [None, ["accuracy"], "SGD", None, ["accuracy"], [None]]


def test_seeded(worker: KerasProcess) -> None:
    """An initializer that nobody gave a seed has drawn one, which no config tells."""
    assert worker.run("""
from asyncbridge.worker.models.parts import seeded
layer = keras.layers.Dense(1)
found = seeded(layer)
[list(found), found["kernel_initializer"].get_config()["seed"], list(seeded(keras.initializers.Zeros()))]
""") == [["kernel_initializer"], None, []]

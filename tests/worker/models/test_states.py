from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_layers_and_models(worker: KerasProcess) -> None:
    """A layer has name, built and parameters; a model its layers' names, too."""
    assert worker.run("""
dense = keras.layers.Dense(3, name="d")
model = keras.Sequential([keras.Input((4,)), dense], name="m")
worker_models.state(dense, model, keras.layers.Dense(2, name="unbuilt"))
""") == [
        {"name": "d", "built": True, "trainable": True, "parameters": 15},
        {"name": "m", "built": True, "trainable": True, "parameters": 15, "layers": ["d"]},
        {"name": "unbuilt", "built": False, "trainable": True, "parameters": None},
    ]


def test_nothing_is_built(worker: KerasProcess) -> None:
    """A model without a shape, or of the user's class, is told of as it is."""
    assert worker.run("""
class Own(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.inner = keras.layers.Dense(2, name="inner")
    def call(self, inputs):
        return self.inner(inputs)
own, stack = Own(), keras.Sequential([keras.layers.Dense(1, name="s")], name="stack")
before = worker_models.state(own, stack)
own(x)
[*before, own.built and not stack.built, *worker_models.state(own)]
""") == [
        {"name": "own", "built": False, "trainable": True, "parameters": None, "layers": ["inner"]},
        {"name": "stack", "built": False, "trainable": True, "parameters": None, "layers": ["s"]},
        True,
        {"name": "own", "built": True, "trainable": True, "parameters": 10, "layers": ["inner"]},
    ]


def test_broken_properties(worker: KerasProcess) -> None:
    """Properties of a user's class that raise cost only what they would have told."""
    assert worker.run("""
class Broken(keras.Model):
    @property
    def layers(self):
        raise RuntimeError
    def count_params(self):
        raise RuntimeError
broken = Broken()
broken.built = True
Broken.name = property(lambda self: 1 / 0)
worker_models.state(broken)
""") == [{"name": "Broken", "built": True, "trainable": True, "parameters": None, "layers": []}]


def test_symbolic_tensors(worker: KerasProcess) -> None:
    """A symbolic tensor has shape, dtype, name and sparse, in whatever structure it stands."""
    tensor = {"shape": [None, 4], "dtype": "float32", "name": "t", "sparse": False}
    other = {"shape": [2, 3], "dtype": "int32", "name": "u", "sparse": True}
    assert worker.run("""
t = keras.Input((4,), name="t")
u = keras.Input(batch_shape=(2, 3), dtype="int32", name="u", sparse=True)
worker_models.state(t, (t, [u, None]), {"name": u})
""") == [
        {"tensors": ["tensor", tensor]},
        {
            "tensors": [
                "tuple",
                [["tensor", tensor], ["list", [["tensor", other], ["none", None]]]],
            ]
        },
        {"tensors": ["dict", {"name": ["tensor", other]}]},
    ]


def test_anything_else(worker: KerasProcess) -> None:
    """Of anything else nothing is told."""
    assert (
        worker.run("worker_models.state(3, None, x, [], (t, 3), keras.optimizers.Adam())")
        == [{}] * 6
    )

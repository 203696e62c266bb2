"""What TensorFlow's and Keras's objects are, weigh and lie on: with the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

START = """
import tensorflow as tf
from asyncbridge.worker.describing import describe
from asyncbridge.worker.footprint import device_memory, size_of, trim, weigh

def told(*values):
    described = [describe(value) for value in values]
    return [[each.short, each.text, each.size, each.device] for each in described]
None
"""


@pytest.fixture(autouse=True)
def names(worker: KerasProcess) -> None:
    """Import what the tests' code uses."""
    worker.run(START)


def test_tensors(worker: KerasProcess) -> None:
    """They are told by dtype and shape, weigh their numbers, and lie on a device."""
    assert worker.run("""
told(
    tf.zeros((3, 4)), tf.zeros((), tf.bfloat16), tf.Variable([1, 2]),
    keras.Variable(np.zeros((2, 3), np.float32)),
)
""") == [
        ["EagerTensor", "float32 (3, 4)", 48, "cpu:0"],
        ["EagerTensor", "bfloat16 ()", 2, "cpu:0"],
        ["ResourceVariable", "int32 (2,)", 8, "cpu:0"],
        ["Variable", "float32 (2, 3)", 24, "cpu:0"],
    ]


def test_sparse_and_ragged_tensors(worker: KerasProcess) -> None:
    """They weigh what they are made of."""
    assert worker.run("""
sparse = tf.SparseTensor([[0, 1], [1, 2]], [1.0, 2.0], (3, 4))
ragged = tf.ragged.constant([[1, 2], [3]])
[[text, size >= least and size <= least + 200] for (_, text, size, _), least in (
    (told(sparse)[0], 4 * 8 + 2 * 4 + 2 * 8), (told(ragged)[0], 3 * 4 + 3 * 8),
)]
""") == [["float32 (3, 4)", True], ["int32 (2, None)", True]]


def test_texts_and_symbols(worker: KerasProcess) -> None:
    """A symbolic tensor has no numbers; of strings the size is not known."""
    assert worker.run("""
seen = []
@tf.function
def f(x):
    seen.append(describe(x))
    return x
f(tf.zeros((2, 3)))
[
    describe(keras.Input((4,))).text,
    describe(keras.Input((4,))).device,
    seen[0].text,
    seen[0].device,
    weigh(tf.constant(["a", "b"])).whole,
]
""") == ["float32 (None, 4)", "", "float32 (2, 3)", "", False]


def test_models(worker: KerasProcess) -> None:
    """They weigh their variables and their optimizer's, each once."""
    sizes = worker.run("""
model = classifier(optimizer="adam")
before = size_of(model)
model.fit(x, y, epochs=1, verbose=0)
twice = keras.Sequential([keras.Input((4,)), model, model.layers[-1].__class__(1)])
moments = sum(4 * int(np.prod(v.shape)) for v in model.optimizer.variables[2:])
[
    before,
    size_of(model) - before,
    moments,
    size_of(keras.layers.Dense(2)),
    size_of([model, model.layers[0], model]) - size_of([]) - size_of(model) < 100,
    size_of(twice) - size_of(keras.layers.Dense(2)),
    told(model)[0][3],
    told(keras.layers.Dense(2))[0][3],
]
""")
    # 15 weights; iterations are 8 bytes and the learning rate 4, at first too.
    assert sizes == [60 + 12, 120, 120, 0, True, 60 + 16, "cpu:0", ""]


def test_properties_that_fail(worker: KerasProcess) -> None:
    """A model of the user's is told of all the same, with what it is at least."""
    assert worker.run("""
class Broken(keras.Model):
    @property
    def variables(self):
        raise RuntimeError
    def __repr__(self):
        raise RuntimeError
broken = describe(Broken())
[broken.short, broken.text, broken.whole, broken.device]
""") == ["Broken", "<repr() failed>", False, ""]


def test_memory(worker: KerasProcess) -> None:
    """Without a GPU no device is told of; memory can be trimmed."""
    assert worker.run("device_memory()") == []
    before, after = worker.run("trim()")
    assert before > 100 * 2**20
    assert 0 < after <= before * 1.05


def test_holders(worker: KerasProcess) -> None:
    """Who keeps an array, a model and its variable is found among all that Keras has."""
    assert worker.run("""
from asyncbridge.worker.holders import holders_of, is_kept
import gc
kept_model = classifier()
array = np.zeros(3)
data = {"x": array}
told = [
    holders_of(kept_model.layers[0].kernel, globals())[0],
    holders_of(array, {"data": data}, ignore=[globals()]),
    is_kept(array, 1),
]
keras.utils.get_custom_objects()["mine"] = array
told.append([text.partition(" of module ")[0] for text in holders_of(array, {}, ignore=[globals(), data])])
del keras.utils.get_custom_objects()["mine"]
del kept_model, array, data
told
""") == [
        "name 'kept_model': attribute _layers[1]._kernel",
        ["name 'data': data['x']"],
        True,
        ["attribute 'GLOBAL_CUSTOM_OBJECTS'"],
    ]

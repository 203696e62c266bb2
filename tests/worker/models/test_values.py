from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_tensors_become_arrays(worker: KerasProcess) -> None:
    """A tensor or variable becomes an array of its dtype and shape, a single number a 0-d one."""
    assert worker.run("""
values = [
    keras.ops.ones((2, 3), "int64"), keras.ops.array(True), keras.Variable([1.5], dtype="float16"),
    keras.ops.array(2.0),
]
arrays = [worker_models.plain(value) for value in values]
[[type(a).__name__, a.dtype.name, a.shape, a.tolist()] for a in arrays]
""") == [
        ["ndarray", "int64", [2, 3], [[1, 1, 1], [1, 1, 1]]],
        ["ndarray", "bool", [], True],
        ["ndarray", "float16", [1], [1.5]],
        ["ndarray", "float32", [], 2.0],
    ]


def test_structure_is_kept(worker: KerasProcess) -> None:
    """Tuples, lists and dicts keep their order and what is no tensor; a named tuple is a tuple."""
    assert worker.run("""
from collections import namedtuple
Pair = namedtuple("Pair", "first second")
given = {"z": (keras.ops.ones(1), "text"), "a": [Pair(None, keras.ops.zeros(2)), 3]}
made = worker_models.plain(given)
[
    list(made), type(made["z"]).__name__, made["z"][0].tolist(), made["z"][1],
    type(made["a"]).__name__, type(made["a"][0]).__name__, made["a"][0][0],
    made["a"][0][1].tolist(), made["a"][1],
]
""") == [["z", "a"], "tuple", [1.0], "text", "list", "tuple", None, [0.0, 0.0], 3]


def test_without_tensors_it_is_itself(worker: KerasProcess) -> None:
    """A result that holds no tensor is returned itself, whatever it is."""
    assert worker.run("""
values = [None, 1, "text", [1, {"a": (2.5,)}], x, object(), keras.Input((3,)), classifier()]
all(worker_models.plain(value) is value for value in values)
""")


def test_sparse_and_ragged_stay(worker: KerasProcess) -> None:
    """A tensor that has no rows and columns of numbers stays as it is, beside one that has."""
    assert worker.run("""
import tensorflow as tf
sparse, ragged = tf.sparse.from_dense([[0, 1]]), tf.ragged.constant([[1], [2, 3]])
a, b, c = worker_models.plain((sparse, ragged, keras.ops.ones(1)))
(a is sparse, b is ragged, type(c).__name__)
""") == [True, True, "ndarray"]


def test_tracked_containers_become_plain(worker: KerasProcess) -> None:
    """The lists and dicts by which Keras tracks a layer's attributes become plain ones."""
    assert worker.run("""
config = keras.metrics.IoU(num_classes=2, target_class_ids=[0, 1]).get_config()
layer = keras.layers.Layer()
layer.kept = {"a": [keras.ops.ones(1)], "b": (1, [2])}
made = worker_models.plain(layer.kept)
[
    type(config["target_class_ids"]) is list,
    type(worker_models.plain(config)["target_class_ids"]) is list,
    type(made) is dict, type(made["a"]) is list, made["a"][0].tolist(),
    type(made["b"]) is tuple, type(made["b"][1]) is list, made["b"],
]
""") == [False, True, True, True, [1.0], True, True, [1, [2]]]


def test_an_array_is_a_view(worker: KerasProcess) -> None:
    """It is the tensor's own memory, which is copied as it leaves, and not before."""
    assert worker.run("""
tensor, variable = keras.ops.ones((100, 100)), keras.Variable(np.ones(100))
made = worker_models.plain([tensor, variable])
read = np.asarray(variable.value.read_value())
shared = [np.shares_memory(made[0], np.asarray(tensor)), np.shares_memory(made[1], read)]
variable.assign_add(np.ones(100))
[*shared, float(made[1][0])]
""") == [True, True, 1.0]

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

SETUP = """
from asyncbridge.worker.models import one_batch
import tensorflow as tf
L, random = keras.layers, np.random.default_rng(0)
short, predicted = [], one_batch.predicted

def counted(model, batch):
    short.append(model)
    return predicted(model, batch)

one_batch.predicted = counted

def rows(n, *shape, dtype="float32"):
    return (random.standard_normal((n, *shape)) * 3).astype(dtype)

def digest(value):
    if isinstance(value, dict):
        return [(key, digest(part)) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(digest, value)]
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.shape, value.tobytes(), value.flags.owndata
    return type(value).__name__, value.to_list()

def differences(make, data, counts=(1, 7, 32, 1, 40)):
    twins = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        twins.append(make())
    direct, through = twins
    found = []
    short.clear()
    for n in counts:
        given = data(n)
        keras.utils.set_random_seed(9)
        expected = digest(direct.predict(given, verbose=0))
        keras.utils.set_random_seed(9)
        if digest(worker_models.predict(through, given)) != expected:
            found.append(n)
    return [found, len(short)]

def stack(*layers):
    return keras.Sequential(layers)

def mlp():
    return stack(keras.Input((4,)), L.Dense(16, activation="sigmoid"), L.Dropout(0.3), L.Dense(3))

def with_policy(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return mlp()
    finally:
        keras.config.set_dtype_policy(before)

def compiled(model, **options):
    model.compile(loss="mse", **options)
    return model

def two_inputs():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    both = L.Concatenate()([a, b])
    return keras.Model({"a": a, "b": b}, {"q": L.Dense(2)(both), "p": [L.Dense(1)(both)]})

def normalized():
    layer = L.Normalization()
    layer.adapt(np.arange(40.0).reshape(10, 4))
    return stack(keras.Input((4,)), layer, L.BatchNormalization(), L.Dense(3))

class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3)
    def call(self, inputs):
        if isinstance(inputs, dict):
            inputs = sum(i * value for i, value in enumerate(inputs.values()))
        assert not isinstance(inputs, list)
        return self.dense(inputs[0] - inputs[1] if isinstance(inputs, tuple) else inputs)

class OwnStep(Own):
    def predict_step(self, data):
        assert not isinstance(data, tuple)
        return {"z": self(data), "a": (data, [data])}

class OwnPredict(Own):
    def predict(self, x, **options):
        return super().predict(x, **options) + 1

class AtRandom(keras.Model):
    def call(self, inputs):
        return inputs + tf.random.normal(tf.shape(inputs))

class Ragged(keras.Model):
    def call(self, inputs):
        return tf.RaggedTensor.from_tensor(inputs)
"""

ALL_SHORT, FROM_THE_SECOND, NONE = 4, 3, 0


@pytest.fixture(scope="module", autouse=True)
def setup(worker: KerasProcess) -> Iterator[None]:
    """Define the models of these tests, and count what goes the short way."""
    worker.run(SETUP)
    yield
    worker.run("one_batch.predicted = predicted")


DTYPES = ["float64", "float32", "float16", "int32", "int64", "int8", "uint8", "uint32", "bool"]


def test_dtypes(worker: KerasProcess) -> None:
    """Arrays of every dtype of numbers go the short way, and no bit of the result differs."""
    found = worker.run(
        f"[differences(mlp, lambda n: rows(n, 4).astype(d), (1, 9)) for d in {DTYPES}]"
    )
    assert found == [[[], 2]] * len(DTYPES)


@pytest.mark.parametrize(
    ("make", "data", "short"),
    [
        ("two_inputs", "{'b': rows(n, 2), 'a': rows(n, 3, dtype='float64')}", ALL_SHORT),
        ("lambda: with_policy('mixed_bfloat16')", "rows(n, 4)", ALL_SHORT),
        ("lambda: with_policy('bfloat16')", "rows(n, 4)", ALL_SHORT),
        ("lambda: with_policy('float64')", "rows(n, 4, dtype='float64')", ALL_SHORT),
        (
            "lambda: stack(keras.Input((8, 8, 3)), L.Rescaling(1 / 255), L.Conv2D(4, 3), L.Flatten())",
            "random.integers(0, 255, (n, 8, 8, 3), dtype='uint8')",
            ALL_SHORT,
        ),
        (
            "lambda: stack(keras.Input((5,), dtype='int32'), L.Embedding(10, 3), L.LSTM(4))",
            "random.integers(0, 10, (n, 5))",
            ALL_SHORT,
        ),
        ("normalized", "rows(n, 4, dtype='float64')", ALL_SHORT),
        ("lambda: compiled(mlp(), run_eagerly=True)", "random.integers(0, 9, (n, 4))", ALL_SHORT),
        ("lambda: compiled(mlp(), jit_compile=True)", "rows(n, 4)", ALL_SHORT),
        ("lambda: compiled(mlp(), steps_per_execution=3)", "rows(n, 4)", ALL_SHORT),
        ("lambda: stack(keras.Input((1,)), L.Dense(2))", "rows(n)", ALL_SHORT),
        ("mlp", "rows(2 * n, 8)[::2, ::2]", ALL_SHORT),
        ("Own", "rows(n, 4)", FROM_THE_SECOND),
        ("Own", "[rows(n, 4), rows(n, 4)]", FROM_THE_SECOND),
        ("Own", "{'z': rows(n, 4), 'b': rows(n, 4), 'm': rows(n, 4)}", FROM_THE_SECOND),
        ("OwnStep", "rows(n, 4)", FROM_THE_SECOND),
        ("AtRandom", "rows(n, 4)", FROM_THE_SECOND),
        ("Ragged", "rows(n, 4)", FROM_THE_SECOND),
        ("OwnPredict", "rows(n, 4)", NONE),
        ("mlp", "rows(n, 4).astype('>f4')", NONE),
        ("mlp", "tf.constant(rows(n, 4))", NONE),
    ],
)
def test_equal(worker: KerasProcess, make: str, data: str, short: int) -> None:
    """Values, dtypes, shapes and structure are those of ``model.predict``, bit for bit.

    A model of the user's class is built by its first call, which goes the long way; so does
    all that is out of the ordinary.
    """
    assert worker.run(f"differences({make}, lambda n: {data})") == [[], short]


def test_a_stateful_model(worker: KerasProcess) -> None:
    """A stateful network goes on from where the last call left it."""
    assert worker.run("""
differences(
    lambda: stack(keras.Input(batch_shape=(1, 5, 2)), L.LSTM(4, stateful=True)),
    lambda n: rows(1, 5, 2), (1, 1, 1),
)
""") == [[], 3]


def test_text(worker: KerasProcess) -> None:
    """Text goes the long way, with the long way's results."""
    assert worker.run("""
def reader():
    layer = L.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3)
    return stack(keras.Input((1,), dtype="string"), layer, L.Embedding(5, 2))
differences(reader, lambda n: tf.constant([["a b"]] * n), (1, 3))
""") == [[], 0]


@pytest.mark.parametrize(
    ("arguments", "short"),
    [
        ("rows(3, 4)", True),
        ("rows(64, 4), batch_size=64", True),
        ("rows(3, 4), batch_size=2", False),
        ("rows(33, 4)", False),
        ("rows(3, 4), steps=1", False),
        ("rows(3, 4), callbacks=[]", True),
        ("rows(3, 4), callbacks=[keras.callbacks.Callback()]", False),
        ("rows(3, 4), verbose=2", False),
        ("rows(3, 4), batch_size=np.int64(3)", False),
    ],
)
def test_arguments(worker: KerasProcess, arguments: str, short: bool) -> None:
    """More rows than a batch, steps, callbacks and printing take the long way."""
    assert worker.run(f"""
net = mlp()
short.clear()
result = worker_models.predict(net, {arguments})
[result.dtype.name, bool(short)]
""") == ["float32", short]


@pytest.mark.parametrize(
    "x", ["np.zeros((0, 4))", "[rows(2, 4), rows(3, 4)]", "np.float32(1)", "rows(1, 3)", "[]"]
)
def test_errors(worker: KerasProcess, x: str) -> None:
    """What ``model.predict`` refuses is refused with the same error, and the model is named."""
    worker.run("refusing = mlp()")
    expected = worker.fault(f"refusing.predict({x}, verbose=0)")
    fault = worker.fault(f"worker_models.predict(refusing, {x})")
    assert (fault["type"], fault["message"]) == (expected["type"], expected["message"])
    assert fault["subjects"][-1] == "refusing"
    assert "worker/models" not in fault["text"]

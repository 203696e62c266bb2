"""Each kind of data that people pass, through a real bridge and to Keras directly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import pytest_asyncio

import asyncbridge
from asyncbridge import models as keras
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]

# Run here and in a process with Keras, so that both have the same data.
DATA = """
rng = np.random.default_rng(7)
x = rng.random((40, 4), dtype=np.float32)
y = rng.integers(0, 3, 40)
frame = pd.DataFrame(x, columns=list("abcd"))
mixed = pd.DataFrame({"a": x[:, 0], "b": (x[:, 1] * 9).astype("int64"),
                      "c": x[:, 2].astype("float64"), "d": x[:, 3] > 0.5})
labels = pd.Series(y, name="label")
weight = rng.random(40)
half, rest = slice(None, 20), slice(20, None)
"""

# What fit() is given, and what Keras itself is given where it refuses that.
ARGUMENTS: dict[str, tuple[str, str]] = {
    "arrays": ("dict(x=x, y=y)", ""),
    "lists": ("dict(x=x.tolist(), y=y.tolist())", "dict(x=x, y=y)"),
    "tuples": ("dict(x=tuple(map(tuple, x.tolist())), y=tuple(y.tolist()))", "dict(x=x, y=y)"),
    "numpy rows": ("dict(x=[tuple(row) for row in x], y=list(y))", "dict(x=x, y=y)"),
    "float64": ("dict(x=x.astype('float64'), y=y.astype('int8'))", ""),
    "dict": ("dict(x={'rows': x}, y=y)", ""),
    "dict of lists": ("dict(x={'rows': x.tolist()}, y=y)", "dict(x={'rows': x}, y=y)"),
    "list of arrays": ("dict(x=[x], y=[y])", ""),
    "frame": ("dict(x=frame, y=labels)", ""),
    "frame of dtypes": ("dict(x=mixed, y=labels)", ""),
    "nullable frame": (
        "dict(x=mixed.convert_dtypes(), y=labels.astype('Int64'))",
        "dict(x=mixed, y=labels)",
    ),
    "frame in a dict": ("dict(x={'rows': frame}, y=labels)", ""),
    "weights": ("dict(x=x, y=y, sample_weight=weight)", ""),
    "weights as a list": (
        "dict(x=x, y=y, sample_weight=weight.tolist())",
        "dict(x=x, y=y, sample_weight=weight)",
    ),
    "weights as a series": ("dict(x=frame, y=labels, sample_weight=pd.Series(weight))", ""),
    "class weights": ("dict(x=x, y=y, class_weight={0: 1.0, 1: 2.0, 2: 0.5})", ""),
    "class weights by text": ("dict(x=x, y=y, class_weight={'0': 1.0, '1': 2.0, '2': 0.5})", ""),
    "validation": ("dict(x=x[half], y=y[half], validation_data=(x[rest], y[rest]))", ""),
    "validation as a list": ("dict(x=x[half], y=y[half], validation_data=[x[rest], y[rest]])", ""),
    "validation with weights": (
        "dict(x=x[half], y=y[half], validation_data=(x[rest], y[rest], weight[rest].tolist()))",
        "dict(x=x[half], y=y[half], validation_data=(x[rest], y[rest], weight[rest]))",
    ),
    "validation in lists": (
        "dict(x=x[half], y=y[half], validation_data=(x[rest].tolist(), y[rest].tolist()))",
        "dict(x=x[half], y=y[half], validation_data=(x[rest], y[rest]))",
    ),
    "validation in frames": (
        "dict(x=frame[half], y=labels[half], validation_data=(frame[rest], labels[rest]))",
        "",
    ),
    "validation split": ("dict(x=x, y=y, validation_split=0.25)", ""),
    "validation split of lists": (
        "dict(x=x.tolist(), y=y.tolist(), validation_split=0.25)",
        "dict(x=x, y=y, validation_split=0.25)",
    ),
    "initial epoch": ("dict(x=x, y=y, initial_epoch=1)", ""),
    "steps": ("dict(x=x, y=y, steps_per_epoch=2)", ""),
}

DIRECT = """
import json, sys
import keras, numpy as np, pandas as pd
given = json.load(sys.stdin)
exec(given["data"])
results = {}
for name, code in given["arguments"].items():
    keras.utils.set_random_seed(11)
    model = keras.Sequential([keras.Input((4,), name="rows"), keras.layers.Dense(8, activation="relu"),
                              keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    arguments = eval(code)
    history = model.fit(**arguments, epochs=3, batch_size=8, verbose=0)
    seen = {key: arguments[key] for key in ("x", "y", "sample_weight") if key in arguments}
    results[name] = [
        [history.epoch, history.history],
        model.evaluate(**seen, batch_size=8, verbose=0, return_dict=True),
        model.predict(arguments["x"], batch_size=8, verbose=0).tolist(),
    ]
print(json.dumps(results))
"""

NAMES: dict[str, Any] = {"np": np, "pd": pd}
exec(DATA, NAMES)
X, Y = NAMES["x"], NAMES["y"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bridge() -> AsyncIterator[asyncbridge.Bridge]:
    """One worker with TensorFlow for all tests of this file."""
    async with asyncbridge.connect() as opened:
        yield opened


@pytest.fixture(scope="module")
def direct() -> dict[str, Any]:
    """What Keras itself gives for every kind of data."""
    codes = {name: at_keras or here for name, (here, at_keras) in ARGUMENTS.items()}
    done = subprocess.run(
        [sys.executable, "-c", DIRECT],
        input=json.dumps({"data": DATA, "arguments": codes}),
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
        timeout=HANG_S,
    )
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return results


def seeded_model() -> keras.Sequential:
    """Make the model of these tests, with the same weights each time."""
    keras.utils.set_random_seed(11)
    model = keras.Sequential([
        keras.Input((4,), name="rows"),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("kind", ARGUMENTS)
async def test_equals_keras(bridge: asyncbridge.Bridge, direct: dict[str, Any], kind: str) -> None:
    """Fit, evaluate and predict give, bit for bit, what Keras gives for the same data."""
    arguments = eval(ARGUMENTS[kind][0], NAMES)
    seen = {key: arguments[key] for key in ("x", "y", "sample_weight") if key in arguments}
    model = seeded_model()
    history = await model.fit(**arguments, epochs=3, batch_size=8)
    evaluated = await model.evaluate(**seen, batch_size=8, return_dict=True)
    predicted = await model.predict(arguments["x"], batch_size=8)
    assert [history.epochs, dict(history)] == direct[kind][0]
    assert evaluated == direct[kind][1]
    assert predicted.tolist() == direct[kind][2]


PIPELINE = """
import tensorflow as tf
train = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
"""
DATASET = """
import keras

class Rows(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x) // 8

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        return self.x[rows], self.y[rows]

train = Rows(x, y)
"""


@pytest.mark.parametrize("code", [PIPELINE, DATASET], ids=["tf.data", "PyDataset"])
async def test_what_the_worker_makes(bridge: asyncbridge.Bridge, code: str) -> None:
    """A pipeline that code made in the worker is passed by its name, as data and to validate."""
    bridge.send(code + "\nNone", {"x": X, "y": Y})
    train = bridge.binding("train")
    model, same = seeded_model(), seeded_model()
    history = await model.fit(train, epochs=2, shuffle=False, validation_data=train)
    expected = await same.fit(X, Y, epochs=2, batch_size=8, shuffle=False, validation_data=(X, Y))
    assert history["loss"] == expected["loss"]
    assert history["accuracy"] == expected["accuracy"]
    assert history["val_accuracy"] == expected["val_accuracy"]
    assert await model.evaluate(train) == await same.evaluate(X, Y, batch_size=8)
    assert np.array_equal(await model.predict(train), await same.predict(X, batch_size=8))


async def test_steps_of_a_pipeline(bridge: asyncbridge.Bridge) -> None:
    """``steps_per_epoch`` and ``steps`` cut a pipeline that never ends."""
    bridge.send(PIPELINE + "\nendless = train.repeat()\nNone", {"x": X, "y": Y})
    endless, model = bridge.binding("endless"), seeded_model()
    history = await model.fit(endless, epochs=2, steps_per_epoch=3)
    assert history.params["steps"] == 3
    assert (await model.predict(endless, steps=2)).shape == (16, 3)


async def test_text_columns_are_refused_here(bridge: asyncbridge.Bridge) -> None:
    """A column that holds no numbers is an error of the call, and says which column it is."""
    frame = NAMES["frame"].assign(species="setosa")
    with pytest.raises(ValueError, match=r"fit\(\) argument 'x': column 'species' is of dtype"):
        seeded_model().fit(frame, NAMES["labels"])


async def test_promises_are_data(bridge: asyncbridge.Bridge) -> None:
    """What is not there yet is trained on when it is."""
    predicted = seeded_model().predict(X).transform(lambda rows: rows.argmax(axis=1))
    model, other = seeded_model(), seeded_model()
    promised = model.fit(X, predicted, epochs=2, shuffle=False)
    fetched = other.fit(X, await predicted, epochs=2, shuffle=False)
    assert dict(await promised) == dict(await fetched)
    assert np.array_equal(await model.predict(X), await other.predict(X))


def two_by_two(outputs: type) -> keras.Model:
    """Make a model of two inputs and two outputs, whose outputs are a dict or a list."""
    keras.utils.set_random_seed(11)
    left, right = keras.Input((3,), name="left"), keras.Input((1,), name="right")
    joined = keras.layers.Concatenate()([left, right])
    label = keras.layers.Dense(3, activation="softmax", name="label")(joined)
    size = keras.layers.Dense(1, name="size")(joined)
    made = {"label": label, "size": size} if outputs is dict else [label, size]
    model = keras.Model({"left": left, "right": right}, made)
    losses = {"label": "sparse_categorical_crossentropy", "size": "mse"}
    model.compile("sgd", losses if outputs is dict else list(losses.values()))
    return model


INPUTS = [
    "{'left': x[:, :3], 'right': x[:, 3:]}",
    "{'left': x[:, :3].tolist(), 'right': x[:, 3:].tolist()}",
    "{'left': frame[['a', 'b', 'c']], 'right': frame['d']}",
]


@pytest.mark.parametrize("inputs", INPUTS)
async def test_structures_stay(bridge: asyncbridge.Bridge, inputs: str) -> None:
    """Several inputs are a dict; the outputs, y and the history keep the outputs' structure."""
    model, same = two_by_two(dict), two_by_two(list)
    x, y = eval(inputs, NAMES), {"label": NAMES["labels"], "size": X[:, 0].tolist()}
    history = await model.fit(x, y, epochs=2)
    plain = {"left": X[:, :3], "right": X[:, 3:]}
    expected = await same.fit(plain, [Y, X[:, 0]], epochs=2)
    assert history["loss"] == expected["loss"]
    assert {"label_loss", "size_loss"} < set(history)
    predicted, listed = await model.predict(x), await same.predict(plain)
    assert type(predicted) is dict
    assert type(listed) is list
    assert [part.shape for part in listed] == [(40, 3), (40, 1)]
    assert all(map(np.array_equal, [predicted["label"], predicted["size"]], listed))

"""The mirrors against the real Keras, in a process of its own."""

from __future__ import annotations

import csv
import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge import models as keras

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.promise import Promise
    from tests.models.conftest import RecordingBridge

IRIS = Path(__file__).resolve().parents[2] / "examples" / "data" / "iris.csv"
METHODS = ["compile", "fit", "evaluate", "predict", "summary", "get_weights", "set_weights", "add"]

# Runs in the process that has Keras: the mirrors' code, then the same in plain Keras.
WORKER = """
import ast, inspect, pickle, sys
import keras, numpy

def run(code, bindings, scope):
    tree = ast.parse(code)
    tail = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    scope.update(bindings)
    exec(compile(tree, "<command>", "exec"), scope)
    return None if tail is None else eval(compile(ast.Expression(tail.value), "<command>", "eval"), scope)

def direct(x, y):
    keras.utils.set_random_seed(7)
    output = keras.layers.Dense(3, activation="softmax")  # made first, used last
    model = keras.Sequential([
        keras.Input((4,)), keras.layers.Dense(16), keras.layers.Activation("sigmoid"),
        keras.layers.Dropout(0.2), output,
    ])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="categorical_crossentropy",
                  metrics=["accuracy"])
    history = model.fit(x, y, epochs=3, batch_size=16, validation_data=(x, y), verbose=0)
    return {
        "weights": model.get_weights(), "predict": model.predict(x, verbose=0),
        "history": history.history, "evaluate": model.evaluate(x, y, verbose=0),
        "classes": keras.utils.to_categorical([0, 2, 1]),
    }

def told(function):
    return [(p.name, "required" if p.default is p.empty else repr(p.default), p.kind is p.KEYWORD_ONLY)
            for p in inspect.signature(function).parameters.values()
            if p.name != "self" and p.kind is not p.VAR_KEYWORD]

task = pickle.load(sys.stdin.buffer)
scope = {}
results = [run(code, bindings, scope) for code, bindings in task["commands"]]
signatures = {name: told(getattr(keras.Sequential, name)) for name in task["methods"]}
sys.stdout.buffer.write(b"RESULT" + pickle.dumps((results, direct(*task["data"]), signatures)))
"""


def iris() -> tuple[list[list[float]], list[str]]:
    """Read Fisher's data: rows of four lengths, and the species of each."""
    with IRIS.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"]
    return [[float(cell) for cell in row[:4]] for row in rows], [row[4] for row in rows]


def build() -> keras.Sequential:
    """Describe the network; the output layer is made first, and used last."""
    output = keras.layers.Dense(3, activation="softmax")
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(16),
            keras.layers.Activation("sigmoid"),
            keras.layers.Dropout(0.2),
            output,
        ]
    )


def test_the_iris_data_are_fishers() -> None:
    """150 rows, 50 of each species, with the sums of the published table."""
    rows, species = iris()
    assert [species.count(name) for name in ("setosa", "versicolor", "virginica")] == [50] * 3
    assert np.round(np.sum(rows, axis=0), 1).tolist() == [876.5, 458.6, 563.7, 179.9]
    # The two rows that a well-known copy of the table has wrong.
    assert (rows[34], rows[37]) == ([4.9, 3.1, 1.5, 0.2], [4.9, 3.6, 1.4, 0.1])


@pytest.mark.tensorflow
@pytest.mark.asyncio
async def test_mirrors_do_what_keras_does(bridge: RecordingBridge) -> None:
    """The same seed gives the same bits as direct Keras; the methods' signatures are Keras's."""
    rows, species = iris()
    labels = np.eye(3)[[sorted(set(species)).index(name) for name in species]]
    keras.utils.set_random_seed(7)
    model = build()
    model.compile(
        optimizer=keras.optimizers.Adam(0.01), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    calls: list[Promise[Any]] = [
        model.fit(rows, labels, epochs=3, batch_size=16, validation_data=(rows, labels)),
        model.get_weights(),
        model.predict(rows),
        model.evaluate(rows, labels),
        model.summary(),
        keras.utils.to_categorical([0, 2, 1]),
    ]
    raw, direct, signatures = ask_keras(bridge, (np.array(rows), labels))
    for item, value in zip(bridge.sent, raw, strict=True):
        item.promise.set_result(value)
    history, weights, outputs, scores, summary, classes = [await call for call in calls]

    check_equal(weights, direct["weights"])
    check_equal([outputs, classes], [direct["predict"], direct["classes"]])
    assert history.history == direct["history"]
    assert (history.epochs, history.params["epochs"]) == ([0, 1, 2], 3)
    assert scores == direct["evaluate"]
    assert summary.startswith('Model: "sequential')
    assert "Trainable params: 131" in summary
    for name in METHODS:
        assert signature_of(getattr(keras.Sequential, name)) == signatures[name], name


def ask_keras(bridge: RecordingBridge, data: object) -> Any:
    """Run what was sent, and its like in plain Keras, in a fresh process."""
    task = {
        "commands": [(item.code, item.bindings) for item in bridge.sent],
        "data": data,
        "methods": METHODS,
    }
    done = subprocess.run(
        [sys.executable, "-c", WORKER], input=pickle.dumps(task), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return pickle.loads(done.stdout.partition(b"RESULT")[2])


def signature_of(function: Callable[..., object]) -> list[tuple[str, str, bool]]:
    """Return name, default and whether it is keyword-only, of each parameter but self."""
    return [
        (
            p.name,
            "required" if p.default is p.empty else repr(p.default),
            p.kind is p.KEYWORD_ONLY,
        )
        for p in inspect.signature(function).parameters.values()
        if p.name != "self"
    ]


def check_equal(ours: list[Any], theirs: list[Any]) -> None:
    """Fail unless the arrays are the same, bit by bit."""
    assert [a.dtype for a in ours] == [a.dtype for a in theirs]
    assert [a.tobytes() for a in ours] == [a.tobytes() for a in theirs]

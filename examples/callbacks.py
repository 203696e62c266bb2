"""Promises in a script without an event loop: section 5 of the bridge paper, in Python.

A command's promise is there at once; its value comes later. This script says beforehand what is
to be done with values and errors, goes on with something else, and waits only where it must.

    python examples/callbacks.py
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import asyncbridge
from asyncbridge import models as keras

SPECIES = ("setosa", "versicolor", "virginica")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What an evaluation says, as this program speaks of it."""

    loss: float
    accuracy: float


def main(epochs: int = 100) -> Score:
    """Train on iris, with all that follows said in advance."""
    with (Path(__file__).parent / "data" / "iris.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    x = np.array([row[:4] for row in rows], dtype=np.float32)
    y = np.eye(3, dtype=np.float32)[[SPECIES.index(row[4]) for row in rows]]

    with asyncbridge.connect():
        keras.utils.set_random_seed(7)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="sigmoid")])
        model.add(keras.layers.Dense(3, activation="softmax"))
        model.compile(
            optimizer=keras.optimizers.Adam(0.02),
            loss="categorical_crossentropy",
            metrics=["accuracy"],
        )

        # A callback: it runs, in the bridge's thread, when the value is there.
        training = model.fit(x, y, epochs=epochs, verbose=0)
        training.then(lambda history: print(f"trained for {len(history.epochs)} epochs"))

        # A transform block: whoever uses this promise gets the domain object, never the raw list.
        score = model.evaluate(x, y).transform(lambda raw: Score(loss=raw[0], accuracy=raw[1]))

        # A chain. A handler that returns a promise, as the first one does, is waited for.
        named = (
            score.then(lambda _: model.predict(x[::50]))
            .then(lambda shares: [SPECIES[index] for index in np.argmax(shares, axis=1)])
            .then(lambda names: print("one flower in fifty:", ", ".join(names)))
        )

        # An error passes by every `then`, to the first `catch` that takes its type.
        refused = (
            model.predict(x[:, :3])
            .then(lambda _: print("this line is never printed"))
            .catch(asyncbridge.RemoteError, lambda error: print("refused:", error.type))
            .finally_(lambda: print("however it ended, this is printed"))
        )

        print("everything is sent; now the values are waited for")
        history = training.wait_for_value(timeout=300)  # the paper's waitForValue
        print("metrics:", ", ".join(history.metrics))
        for promise in named, refused:
            promise.wait_for_value(timeout=60)
        print(score.wait_for_value(timeout=60))
        return score.wait_for_value()


if __name__ == "__main__":
    main()

"""The paper's running example: iris, trained in another process while this one stays free.

Sections 2 and 5 of Infante & Bergel, *Experience in Bridging Keras for Python with Pharo*
(IWST 2018): the same network, the same 150 flowers, batch size 1, 100 epochs, and figure 1.

    python examples/iris.py            # in an event loop
    python examples/iris.py --wait     # in a plain script, by wait_for_value
"""

from __future__ import annotations

import asyncio
import csv
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import asyncbridge
from asyncbridge import models as keras

HERE = Path(__file__).parent
SPECIES = ("setosa", "versicolor", "virginica")
FIGURE = HERE.parent / "out" / "iris-history.png"

Array = np.ndarray[Any, np.dtype[np.float32]]


def load(seed: int = 1, test_share: float = 0.2) -> tuple[Array, Array, Array, Array]:
    """Read the flowers: properties and one-hot species, to train with and to test with."""
    with (HERE / "data" / "iris.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    x = np.array([row[:4] for row in rows], dtype=np.float32)
    y = np.eye(3, dtype=np.float32)[[SPECIES.index(row[4]) for row in rows]]
    order = np.random.default_rng(seed).permutation(len(x))
    test, train = np.split(order, [round(len(x) * test_share)])
    return x[train], y[train], x[test], y[test]


def build() -> keras.Sequential:
    """Describe the paper's network and compile it."""
    model = keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(16),
        keras.layers.Activation("sigmoid"),
        keras.layers.Dense(3),
        keras.layers.Activation("softmax"),
    ])  # fmt: skip
    model.compile(
        optimizer=keras.optimizers.Adam(),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


async def train(epochs: int = 100) -> float:
    """Train, evaluate and predict in an event loop, which keeps count of its turns."""
    train_x, train_y, test_x, test_y = load()
    async with asyncbridge.connect():
        ticker = asyncio.ensure_future(tick())
        keras.utils.set_random_seed(7)
        model = build()
        print(await model.summary())
        history = await model.fit(train_x, train_y, batch_size=1, epochs=epochs)
        loss, accuracy = await model.evaluate(test_x, test_y)
        prediction = await model.predict(test_x[:1])
        ticker.cancel()
        report(history, loss, accuracy, prediction[0])
    return float(accuracy)


def train_and_wait(epochs: int = 100) -> float:
    """Do the same in a script with no event loop: the paper's waitForValue."""
    train_x, train_y, test_x, test_y = load()
    with asyncbridge.connect():
        keras.utils.set_random_seed(7)
        model = build()
        fit = model.fit(train_x, train_y, batch_size=1, epochs=epochs)
        fit.then(lambda history: print("trained for", len(history.epochs), "epochs"))
        history = fit.wait_for_value()
        loss, accuracy = model.evaluate(test_x, test_y).wait_for_value()
        prediction = model.predict(test_x[:1]).wait_for_value()
        report(history, loss, accuracy, prediction[0])
    return float(accuracy)


async def tick(every: float = 5.0) -> None:
    """Tell, every few seconds, how late this event loop was for its 1 ms appointments."""
    late: list[float] = []
    told = time.perf_counter()
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        late.append((now - before - 0.001) * 1000)
        if now - told >= every:
            late.sort()
            usual, worst = late[len(late) // 2], late[-1]
            print(f"training there; this loop is free: {usual:.1f} ms late, {worst:.1f} at worst")
            late.clear()
            told = now


def report(history: keras.TrainingHistory, loss: float, accuracy: float, prediction: Array) -> None:
    """Print what came of it, and draw the paper's figure 1."""
    print("metrics", ", ".join(history.metrics))
    print(f"loss {loss:.2f}")
    print(f"the first test flower is {SPECIES[int(np.argmax(prediction))]}")
    FIGURE.parent.mkdir(exist_ok=True)
    print(f"accuracy {accuracy:.2f}")
    print(history.plot(FIGURE))


if __name__ == "__main__":
    if "--wait" in sys.argv[1:]:
        train_and_wait()
    else:
        asyncio.run(train())

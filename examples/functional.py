"""A model with two inputs, two outputs and a shared layer, by Keras's functional interface.

Two sensors each see one of five things, through noise. Do both see the same thing, and how far
are the two things apart? One encoder, with one set of weights, serves both sensors.

    python examples/functional.py
"""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

import asyncbridge
from asyncbridge import models as keras

FEATURES = 8
Array = np.ndarray[Any, np.dtype[np.float32]]
Named = dict[str, Array]


def make_data(rows: int, seed: int) -> tuple[Named, Named]:
    """Return inputs and targets by name; half of the pairs, or a few more, show the same thing."""
    things = np.random.default_rng(0).normal(size=(5, FEATURES)).astype(np.float32)
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 5, rows)
    right = np.where(rng.random(rows) < 0.5, left, rng.integers(0, 5, rows))
    noise = 0.2 * rng.normal(size=(2, rows, FEATURES)).astype(np.float32)
    distance = np.linalg.norm(things[left] - things[right], axis=1, keepdims=True)
    inputs = {"left": things[left] + noise[0], "right": things[right] + noise[1]}
    targets = {"same": (left == right)[:, np.newaxis].astype(np.float32), "distance": distance}
    return inputs, targets


def build() -> keras.Model:
    """Describe the network and compile it, with a loss and metrics for each output."""
    left = keras.Input((FEATURES,), name="left")
    right = keras.Input((FEATURES,), name="right")
    encoder = keras.layers.Dense(16, activation="tanh", name="encoder")
    # Arithmetic on symbolic tensors makes layers, as in Keras.
    apart = keras.ops.abs(encoder(left) - encoder(right))
    hidden = keras.layers.Dense(16, activation="relu", name="hidden")(apart)
    model = keras.Model(
        inputs={"left": left, "right": right},
        outputs={
            "same": keras.layers.Dense(1, activation="sigmoid", name="same")(hidden),
            "distance": keras.layers.Dense(1, name="distance")(hidden),
        },
        name="sensors",
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss={"same": "binary_crossentropy", "distance": "mse"},
        loss_weights={"same": 1.0, "distance": 0.1},
        metrics={"same": ["accuracy"], "distance": ["mae"]},
    )
    return model


async def main(epochs: int = 15) -> dict[str, float]:
    """Train, evaluate and predict; return what the evaluation gave, by name."""
    inputs, targets = make_data(rows=1000, seed=1)
    test_inputs, test_targets = make_data(rows=200, seed=2)
    async with asyncbridge.connect():
        keras.utils.set_random_seed(7)
        model = build()
        print(await model.summary())
        history = await model.fit(
            inputs, targets, epochs=epochs, validation_data=(test_inputs, test_targets), verbose=0
        )
        results = await model.evaluate(test_inputs, test_targets, return_dict=True)
        some = {name: values[:5] for name, values in test_inputs.items()}
        predicted: Named = await model.predict(some)
    report(history["val_loss"], results, predicted, test_targets)
    return {name: float(value) for name, value in results.items()}


def report(
    losses: list[float], results: dict[str, float], predicted: Named, targets: Named
) -> None:
    """Print what came of it."""
    print(f"validation loss: {losses[0]:.3f} after one epoch, {losses[-1]:.3f} in the end")
    for name, value in results.items():
        print(f"{name}: {value:.3f}")
    print("same thing?            how far apart?")
    for row in range(len(predicted["same"])):
        same, distance = predicted["same"][row, 0], predicted["distance"][row, 0]
        is_same = "yes" if targets["same"][row, 0] else "no"
        apart = targets["distance"][row, 0]
        print(f"{same:4.0%}, in truth {is_same:5} {distance:5.2f}, in truth {apart:.2f}")


if __name__ == "__main__":
    asyncio.run(main())

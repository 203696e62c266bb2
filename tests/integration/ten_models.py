"""Ten models of different shape, each written once, for the mirrors and for Keras itself.

``run`` takes either as ``keras``. As a program (``python -m tests.integration.ten_models FILE``)
this file runs all ten with Keras itself and pickles what came out.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SEED = 7
ROWS = 40  # more than a batch of predict, so that its long way is gone as well
FEW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One model and what it is trained with.

    Attributes:
        build: Makes and compiles the model, of the mirrors or of Keras itself.
        data: Makes ``x`` and ``y``.
        fit: Arguments of ``fit`` that are plain values.
        callbacks: Makes those of ``fit``.
    """

    build: Callable[[Any], Any]
    data: Callable[[np.random.Generator], tuple[Any, Any]]
    fit: Mapping[str, Any] = field(default_factory=dict)
    callbacks: Callable[[Any], list[Any]] = lambda keras: []


async def run(case: Case, keras: Any) -> dict[str, Any]:
    """Build and train a model from a fresh start; return all that comes out of it."""
    await value(keras.utils.clear_session())
    await value(keras.utils.set_random_seed(SEED))
    x, y = case.data(np.random.default_rng(SEED))
    model = case.build(keras)
    arguments = {"batch_size": 8, "epochs": 2, "verbose": 0, **case.fit}
    history = await value(model.fit(x, y, callbacks=case.callbacks(keras), **arguments))
    return {
        "weights": await value(model.get_weights()),
        "history": _as_floats(history.history),
        "evaluate": await value(model.evaluate(x, y, verbose=0)),
        "evaluate by name": await value(model.evaluate(x, y, verbose=0, return_dict=True)),
        "predict": await value(model.predict(x, verbose=0)),
        "predict a few": await value(model.predict(few(x), verbose=0)),
        "predict on batch": await value(model.predict_on_batch(few(x))),
    }


async def value(result: Any) -> Any:
    """Return what a mirror promises, and what Keras gives, alike."""
    return await result if inspect.isawaitable(result) else result


def few(x: Any) -> Any:
    """Return the first rows of each input."""
    if isinstance(x, dict):
        return {name: few(part) for name, part in x.items()}
    return [few(part) for part in x] if isinstance(x, list) else x[:FEW]


def _as_floats(history: Mapping[str, list[Any]]) -> dict[str, list[float]]:
    # A learning rate stands in Keras's own as a numpy scalar, and its float64 is exact.
    return {name: [float(number) for number in numbers] for name, numbers in history.items()}


def _rows(rng: np.random.Generator, *shape: int) -> Any:
    return rng.random((ROWS, *shape), dtype=np.float32)


def _classes(rng: np.random.Generator, count: int) -> Any:
    return rng.integers(0, count, ROWS)


# --- the ten -----------------------------------------------------------------------------


def _mlp(keras: Any) -> Any:
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((4,)),
        layers.Dense(8, kernel_regularizer="l2", use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.Dropout(0.3),
        layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.01), "categorical_crossentropy", metrics=["accuracy"])
    return model


def _cnn(keras: Any) -> Any:
    layers = keras.layers
    model = keras.Sequential()
    model.add(keras.Input((8, 8, 1)))
    model.add(layers.RandomFlip("horizontal"))
    model.add(layers.Conv2D(4, 3, padding="same", activation="relu"))
    model.add(layers.MaxPooling2D())
    model.add(layers.SpatialDropout2D(0.2))
    model.add(layers.Flatten())
    model.add(layers.Dense(3))
    rate = keras.optimizers.schedules.CosineDecay(0.05, decay_steps=20, warmup_steps=3)
    model.compile(
        optimizer=keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="right")],
    )
    return model


def _lstm(keras: Any) -> Any:
    layers = keras.layers
    words = keras.Input((6,), dtype="int32")
    embedded = layers.Embedding(12, 5, mask_zero=True)(words)
    both_ways = layers.Bidirectional(layers.LSTM(4, return_sequences=True, dropout=0.2))(embedded)
    output, state_h, state_c = layers.LSTM(3, return_state=True)(both_ways)
    joined = layers.concatenate([output, state_h, state_c])
    model = keras.Model(words, layers.Dense(1, activation="sigmoid")(joined))
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["AUC"])
    return model


def _two_inputs(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((6, 6, 1), name="image")
    facts = keras.Input((3,), name="facts")
    seen = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="swish")(image))
    known = layers.Dense(4, activation=keras.activations.gelu)(facts)
    joined = layers.Dropout(0.1, seed=3)(layers.Concatenate()([seen, known]))
    model = keras.Model({"image": image, "facts": facts}, layers.Dense(1)(joined))
    model.compile(optimizer=keras.optimizers.AdamW(0.01), loss=keras.losses.Huber())
    return model


def _two_outputs(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((5,))
    trunk = layers.Dense(8, activation="tanh")(inputs)
    kind = layers.Dense(3, activation="softmax", name="kind")(trunk)
    size = layers.Dense(1, name="size")(trunk)
    model = keras.Model(inputs, {"kind": kind, "size": size})
    model.compile(
        optimizer="nadam",
        loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
        loss_weights={"kind": 1.0, "size": 0.5},
        metrics={"kind": ["accuracy"], "size": ["mae"]},
    )
    return model


def _shared_layers(keras: Any) -> Any:
    layers = keras.layers
    left, right = keras.Input((4,)), keras.Input((4,))
    first, second = layers.Dense(6, activation="elu"), layers.Dense(3, kernel_constraint="max_norm")
    far = keras.ops.abs(second(first(left)) - second(first(right)))
    near = keras.ops.exp(-keras.ops.sum(far, axis=-1, keepdims=True)) * 0.98 + 0.01
    model = keras.Model([left, right], near)
    model.compile(optimizer=keras.optimizers.Adagrad(0.1), loss="binary_crossentropy")
    return model


def _model_in_a_model(keras: Any) -> Any:
    layers = keras.layers
    inner_input = keras.Input((4,))
    hidden = layers.Dense(5, activation="relu")(inner_input)
    inner = keras.Model(inner_input, [hidden, layers.Dense(2)(hidden)], name="inner")
    head = keras.Sequential([layers.Dense(4, activation="selu"), layers.Dense(1)], name="head")
    inputs = keras.Input((4,))
    wide, narrow = inner(inputs)
    again, _ = inner(inputs * 2.0)
    outputs = [head(layers.add([wide, again])), narrow[:, :1]]
    model = keras.Model(inputs, outputs)
    model.compile(optimizer="adam", loss=["mse", "mae"], metrics=[["mae"], ["mse"]])
    return model


def _transformer(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((6, 8))
    attended = layers.MultiHeadAttention(num_heads=2, key_dim=4, dropout=0.1)(
        inputs, inputs, use_causal_mask=True
    )
    x = layers.LayerNormalization(epsilon=1e-6)(inputs + attended)
    forward = layers.Dense(8)(layers.Dense(16, activation="gelu")(x))
    x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(0.1)(forward))
    outputs = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    model = keras.Model(inputs, outputs)
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=5, decay_rate=0.9)
    model.compile(
        optimizer=keras.optimizers.Adam(rate, clipnorm=1.0),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _autoencoder(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(image)
    code = layers.Dense(5, name="code")(layers.Flatten()(layers.GaussianNoise(0.1)(x)))
    encoder = keras.Model(image, code, name="encoder")
    small = keras.Input((5,))
    x = layers.Reshape((4, 4, 2))(layers.Dense(32, activation="relu")(small))
    x = layers.Conv2DTranspose(3, 3, strides=2, padding="same", activation="leaky_relu")(x)
    decoder = keras.Model(small, layers.Conv2D(1, 3, padding="same")(x), name="decoder")
    model = keras.Model(image, decoder(encoder(image)))
    model.compile(optimizer=keras.optimizers.Lion(0.001), loss=keras.losses.mean_squared_error)
    return model


def _with_callbacks(keras: Any) -> Any:
    layers = keras.layers
    stack = [layers.Dense(8, activation="relu"), layers.AlphaDropout(0.1), layers.Dense(1)]
    model = keras.Sequential(stack)  # built by its data
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse", metrics=["mae"])
    return model


def _callbacks(keras: Any) -> list[Any]:
    return [
        keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.5, cooldown=1),
        keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True),
        keras.callbacks.TerminateOnNaN(),
    ]


CASES = {
    "MLP": Case(
        build=_mlp,
        data=lambda rng: (_rows(rng, 4), np.eye(3, dtype=np.float32)[_classes(rng, 3)]),
        fit={"validation_split": 0.2, "class_weight": {0: 1.0, 1: 2.0, 2: 0.5}},
    ),
    "CNN": Case(
        build=_cnn,
        data=lambda rng: (_rows(rng, 8, 8, 1), _classes(rng, 3)),
        fit={"sample_weight": np.linspace(0.5, 1.5, ROWS)},
    ),
    "LSTM": Case(build=_lstm, data=lambda rng: (rng.integers(0, 12, (ROWS, 6)), _classes(rng, 2))),
    "two inputs": Case(
        build=_two_inputs,
        data=lambda rng: ({"facts": _rows(rng, 3), "image": _rows(rng, 6, 6, 1)}, _rows(rng, 1)),
        fit={"shuffle": False},
    ),
    "two outputs": Case(
        build=_two_outputs,
        data=lambda rng: (_rows(rng, 5), {"kind": _classes(rng, 3), "size": _rows(rng, 1)}),
        fit={"validation_split": 0.25},
    ),
    "shared layers": Case(
        build=_shared_layers,
        data=lambda rng: ([_rows(rng, 4), _rows(rng, 4)], _classes(rng, 2).astype(np.float32)),
    ),
    "model in a model": Case(
        build=_model_in_a_model,
        data=lambda rng: (_rows(rng, 4), [_rows(rng, 1), _rows(rng, 1)]),
        fit={"initial_epoch": 1, "epochs": 3},
    ),
    "transformer block": Case(
        build=_transformer, data=lambda rng: (_rows(rng, 6, 8), _classes(rng, 3))
    ),
    "autoencoder": Case(build=_autoencoder, data=lambda rng: (image := _rows(rng, 8, 8, 1), image)),
    "callbacks": Case(
        build=_with_callbacks,
        data=lambda rng: (_rows(rng, 4), _rows(rng, 1)),
        fit={"epochs": 20, "validation_split": 0.2},
        callbacks=_callbacks,
    ),
}


async def _run_all(keras: Any) -> dict[str, Any]:
    return {name: await run(case, keras) for name, case in CASES.items()}


if __name__ == "__main__":
    # Not by name: where this file is looked at without running, no Keras is needed.
    results = asyncio.run(_run_all(importlib.import_module("keras")))
    Path(sys.argv[1]).write_bytes(pickle.dumps(results))

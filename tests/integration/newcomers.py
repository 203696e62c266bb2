"""What newcomers do wrong, case by case, and what they are told of it, without what varies."""

from __future__ import annotations

import re
import traceback
from typing import Any

import numpy as np

from asyncbridge import models as keras

ROWS = 40
X = np.full((ROWS, 4), 31337.25, "float32")
Y = np.arange(ROWS) % 3
WORDS = ["topsecret 1", "topsecret 2"]
NUMBERS = [31337, 31338, 31339]
SECRETS = ("31337", "topsecret")
"""What stands in the data, and may stand in no message."""


def classifier(loss: str = "sparse_categorical_crossentropy", **options: Any) -> keras.Sequential:
    """Make a model that is right."""
    model = keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(3, activation="softmax", name="last"),
    ])  # fmt: skip
    model.compile("adam", loss, **options)
    return model


# --- shapes ------------------------------------------------------------------------------


async def wrong_shape_in_the_third_layer() -> object:
    """The error belongs to the third layer, and is seen when the model is used."""
    inputs = keras.Input((8,))
    first = keras.layers.Dense(6)(inputs)
    second = keras.layers.Reshape((2, 3))(first)
    third = keras.layers.Conv2D(4, 3, name="third")(second)
    model = keras.Model(inputs, keras.layers.Flatten()(third))
    model.compile("adam", "mse")
    return await model.fit(np.ones((2, 8)), np.ones((2, 4)))


async def wrong_features() -> object:
    """The data has one column less than the model was made for."""
    return await classifier().predict(X[:, :3])


async def unequal_lengths() -> object:
    """There are fewer labels than samples."""
    return await classifier().fit(X, Y[:30])


async def no_samples() -> object:
    """There is nothing to predict for."""
    return await classifier().predict(X[:0])


async def a_huge_list() -> object:
    """Lists become arrays, however long; these rows are one number too long."""
    rows = [[31337.25] * 5] * 100_000
    return await classifier().fit(rows, [1] * len(rows))


async def rows_of_unequal_length() -> object:
    """No array can be made of the list."""
    rows = [[31337.25, 2.0], [31337.25]]
    return await classifier().fit(rows, [0, 1])


# --- labels and dtypes -------------------------------------------------------------------


async def a_label_out_of_range() -> object:
    """The labels are counted from 1."""
    return await classifier().fit(X, np.full(ROWS, 3))


async def one_hot_with_a_sparse_loss() -> object:
    """The labels are one-hot rows, and the loss wants numbers."""
    return await classifier().fit(X, np.eye(3)[Y])


async def numbers_with_a_one_hot_loss() -> object:
    """The labels are numbers, and the loss wants one-hot rows."""
    return await classifier("categorical_crossentropy").fit(X, Y)


async def text_as_data() -> object:
    """The samples are words."""
    words = np.full((ROWS, 4), "topsecret")
    return await classifier().fit(words, Y)


async def text_for_a_layer() -> object:
    """The layer wants numbers."""
    return await keras.layers.Dense(2)(WORDS)


async def text_for_a_loss() -> object:
    """The loss wants numbers."""
    return await keras.losses.MeanSquaredError()(WORDS, [1.0, 2.0])


async def text_to_look_up() -> object:
    """The layer's words are numbers."""
    return await keras.layers.IntegerLookup(vocabulary=[1, 2])(WORDS)


async def a_shape_that_does_not_fit() -> object:
    """Three numbers fill no square."""
    return await keras.ops.reshape(NUMBERS, (2, 2))


# --- names -------------------------------------------------------------------------------


async def fit_before_compile() -> object:
    """There is no loss yet."""
    return await keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).fit(X, Y)


async def a_misspelt_loss() -> object:
    """Keras looks for the loss when it trains."""
    return await classifier("categorical_crosentropy").fit(X, Y)


async def a_misspelt_metric() -> object:
    """Keras looks for the metric when it trains."""
    return await classifier(metrics=["acuracy"]).fit(X, Y)


async def a_misspelt_optimizer() -> object:
    """Keras looks for the optimizer at once, and ``fit`` comes after it."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("adm", "mse")
    return await model.fit(X, Y)


async def a_misspelt_activation() -> object:
    """The layer is never made, and the model is of it."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="rellu")])
    model.compile("adam", "mse")
    return await model.fit(X, Y)


# --- bridges and workers -----------------------------------------------------------------


async def a_layer_of_another_bridge(layer: keras.layers.Layer) -> object:
    """The current bridge is not the layer's."""
    return await keras.Sequential([keras.layers.Flatten(), layer])


async def a_name_that_keras_lacks() -> object:
    """The worker's Keras has no Dense."""
    return await classifier().fit(X, Y)


CASES = (
    wrong_shape_in_the_third_layer,
    wrong_features,
    unequal_lengths,
    no_samples,
    a_huge_list,
    rows_of_unequal_length,
    a_label_out_of_range,
    one_hot_with_a_sparse_loss,
    numbers_with_a_one_hot_loss,
    text_as_data,
    text_for_a_layer,
    text_for_a_loss,
    text_to_look_up,
    a_shape_that_does_not_fit,
    fit_before_compile,
    a_misspelt_loss,
    a_misspelt_metric,
    a_misspelt_optimizer,
    a_misspelt_activation,
)


# --- the texts ---------------------------------------------------------------------------

_FRAME = re.compile(r'( *)File "(.*?)", line \d+, in ')
_VARYING = {
    r"<command \w+>": "<command>",
    r"\bcommand \d+": "command N",
    r"(?<=\.py:)\d+|(?<=\", line )\d+": "N",
    r"(?<!\w)/[^\s:\"']*/(?=\w+\.py)": "",
    r"\b(\w+?)_[A-Za-z]{25}\b": r"\1",
    r"(__inference_\w+?_)\d+": r"\1N",
    r"<Bridge local \[[^\]]*\] open>": "<Bridge local>",
    r"(?<=Keras )\d+\.\d+\.\d+": "X.Y.Z",
}
"""Random names, numbers that count, lines, folders and versions."""


def what_is_told(error: BaseException) -> str:
    """Return an error as Python prints it, frames of libraries left out, with what varies cut."""
    text = "\n".join(_kept("".join(traceback.format_exception(error)).splitlines()))
    for pattern, instead in _VARYING.items():
        text = re.sub(pattern, instead, text)
    return text.strip() + "\n"


def _kept(lines: list[str]) -> list[str]:
    """Leave the frames of libraries out, and the marks below the lines of the others."""
    kept: list[str] = []
    indent, is_ours = -1, True
    for line in lines:
        frame = _FRAME.match(line)
        if frame is not None:
            indent, is_ours = len(frame[1]), frame[2] == __file__ or frame[2][0] == "<"
        elif len(line) - len(line.lstrip()) <= indent or not line.strip():
            indent, is_ours = -1, True
        if is_ours and set(line) - set(" ~^") and not line.strip().startswith("... "):
            kept.append(line.rstrip())
    return kept

"""The texts of the errors that a newcomer meets, through a real worker.

They stand in ``snapshots/``. With ``UPDATE_SNAPSHOTS=1`` in the environment they are written
anew, to be read in review.
"""

from __future__ import annotations

import inspect
import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import pytest_asyncio

import asyncbridge
from asyncbridge import models as keras
from asyncbridge.models.mirrors.checks import KerasDataWarning
from tests.integration.newcomers import (
    CASES,
    SECRETS,
    X,
    Y,
    a_layer_of_another_bridge,
    a_name_that_keras_lacks,
    classifier,
    what_is_told,
    wrong_shape_in_the_third_layer,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.asyncio(loop_scope="module"),
]

SNAPSHOTS = Path(__file__).with_name("snapshots")
MAX_TEXT = 10_000
"""Characters of the longest error, Keras's own frames included."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bridge() -> AsyncIterator[asyncbridge.Bridge]:
    """One worker with TensorFlow for all tests of this file."""
    async with asyncbridge.connect() as opened:
        yield opened


async def error_of(case: Callable[[], Awaitable[object]]) -> BaseException:
    """Return the error that a case ends with."""
    with pytest.raises(Exception) as caught:
        await case()
    return caught.value


def compare(name: str, text: str) -> None:
    """Compare a text with its snapshot."""
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def line_of(function: Callable[..., object], text: str) -> int:
    """Return the number of the line of a function that holds a text."""
    lines, start = inspect.getsourcelines(function)
    return start + next(index for index, line in enumerate(lines) if text in line)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_texts(case: Callable[[], Awaitable[object]], bridge: asyncbridge.Bridge) -> None:
    """The text says what is wrong, where, and what to do; it is short, and holds no data."""
    error = await error_of(case)
    compare(case.__name__, what_is_told(error))
    whole = "".join(traceback.format_exception(error))
    assert [secret for secret in SECRETS if secret in whole] == []
    assert len(whole) < MAX_TEXT


async def test_the_third_layers_line(bridge: asyncbridge.Bridge) -> None:
    """A wrong shape in a functional model names the client's line of the layer."""
    case = wrong_shape_in_the_third_layer
    error = await error_of(case)
    path, line = inspect.getsourcefile(case), line_of(case, 'name="third"')
    notes = [note for note in error.__notes__ if "Conv2D" in note]
    assert notes
    assert all(note.endswith(f"{path}:{line}, in {case.__name__}") for note in notes)


async def test_the_calls_line(bridge: asyncbridge.Bridge) -> None:
    """An error of the data names the client's line of the call."""
    with pytest.raises(asyncbridge.RemoteError) as caught:
        await classifier().fit(X, Y[:30])
    line = line_of(test_the_calls_line, ".fit(")
    assert f"Sequential.fit was sent from {__file__}:{line}, in" in str(caught.value)


async def test_nan(bridge: asyncbridge.Bridge) -> None:
    """NaN in x is a warning that names the column, at the line of the call."""
    frame = pd.DataFrame(X, columns=["a", "b", "width", "d"])
    frame.loc[3, "width"] = np.nan
    with pytest.warns(KerasDataWarning) as warned:
        await classifier().fit(frame, Y)
    compare("nan_in_x", "".join(f"{told.message}\n" for told in warned))
    assert [(told.filename, told.lineno) for told in warned] == [
        (__file__, line_of(test_nan, ".fit("))
    ]


async def test_empty(bridge: asyncbridge.Bridge) -> None:
    """Training on no samples is a warning: Keras itself does nothing, and says nothing."""
    with pytest.warns(KerasDataWarning) as warned:
        history = await classifier().fit(X[:0], Y[:0])
    compare("fit_without_samples", "".join(f"{told.message}\n" for told in warned))
    assert dict(history).get("loss", []) == []


async def test_another_worker(bridge: asyncbridge.Bridge) -> None:
    """A layer of another bridge, and a name that the worker's Keras lacks, say so."""
    ours = keras.layers.Reshape((4,), name="ours")
    async with asyncbridge.connect() as other:
        mixed = await error_of(lambda: a_layer_of_another_bridge(ours))
        await other.send("import keras; del keras.layers.Dense; None")
        missing = await error_of(a_name_that_keras_lacks)
        has = await other.send("keras.__version__")
    compare("a_layer_of_another_bridge", what_is_told(mixed))
    compare("a_name_that_keras_lacks", what_is_told(missing))
    text = "".join(traceback.format_exception(missing))
    assert f"this worker has Keras {has}" in text
    assert f"the mirrors are those of Keras {keras.KERAS_VERSION}" in text

"""Keras on JAX and on torch behind a real bridge, where those are installed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio
from scipy import sparse

import asyncbridge
from asyncbridge import models as keras
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ROOT = Path(__file__).resolve().parents[2]
BACKENDS = [
    pytest.param(
        name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed")
    )
    for name in ("jax", "torch")
]
RNG = np.random.default_rng(7)
X = RNG.random((150, 4), dtype=np.float32)
Y = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 150)]

DIRECT = """
import hashlib, json
import keras, numpy as np
rng = np.random.default_rng(7)
x = rng.random((150, 4), dtype=np.float32)
y = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 150)]
keras.utils.set_random_seed(11)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="sigmoid"),
                          keras.layers.Dropout(0.2), keras.layers.Dense(3, activation="softmax")])
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, epochs=3, validation_split=0.2, verbose=0)
digest = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
print(json.dumps([digest, history.history, model.predict(x, verbose=0).tolist(),
                  model.evaluate(x, y, verbose=0)]))
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=BACKENDS)
async def bridge(request: pytest.FixtureRequest) -> AsyncIterator[asyncbridge.Bridge]:
    """One worker for each backend."""
    async with asyncbridge.connect(backend=request.param) as opened:
        yield opened


def classifier(*, dropout: bool = False) -> keras.Sequential:
    """Make the same model each time."""
    keras.utils.set_random_seed(11)
    model = keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(16, activation="sigmoid"),
        *([keras.layers.Dropout(0.2)] if dropout else []),
        keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the data in batches, the last one smaller."""
    for start in range(0, len(X), 32):
        yield X[start : start + 32], Y[start : start + 32]


async def digest(model: keras.Sequential) -> str:
    """Return what tells a model's weights from any others."""
    weights = await model.get_weights()
    return hashlib.sha256(b"".join(each.tobytes() for each in weights)).hexdigest()


def run_directly(backend: str) -> list[Any]:
    """Return what Keras gives without a bridge."""
    done = subprocess.run(
        [sys.executable, "-c", DIRECT],
        capture_output=True, text=True, check=True, timeout=HANG_S,
        env={**os.environ, "KERAS_BACKEND": backend},
    )  # fmt: skip
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


async def test_bits(bridge: asyncbridge.Bridge) -> None:
    """The same seed gives the same weights, history and predictions as Keras directly."""
    model = classifier(dropout=True)
    history = await model.fit(X, Y, epochs=3, validation_split=0.2, verbose=0)
    info = await bridge.info()
    assert info.backend is not None
    expected = await asyncio.to_thread(run_directly, info.backend)
    assert await digest(model) == expected[0]
    assert dict(history) == expected[1]
    assert (await model.predict(X)).tolist() == expected[2]
    assert list(await model.evaluate(X, Y)) == expected[3]
    assert info.devices == ("cpu:0",)


async def test_streams(bridge: asyncbridge.Bridge) -> None:
    """A stream trains and predicts what the same arrays do, whether its length is known or not."""
    model = classifier()
    expected = await model.fit(X, Y, epochs=3, shuffle=False, verbose=0)
    for stream in (asyncbridge.stream(batches, steps=5), asyncbridge.stream(batches)):
        other = classifier()
        history = await other.fit(stream, epochs=3, verbose=0)
        assert dict(history) == dict(expected)
        assert await digest(other) == await digest(model)
    whole = await model.predict(X)
    assert np.array_equal(await model.predict(x for x, _ in batches()), whole)
    parts = [part async for part in model.predict(x for x, _ in batches())]
    assert [len(part) for part in parts] == [32] * 4 + [22]
    assert np.allclose(np.concatenate(parts), whole)


async def test_a_training_that_is_stopped(bridge: asyncbridge.Bridge) -> None:
    """It ends after a batch, and its model is of use afterwards."""
    for _ in range(5):
        model = classifier()
        training = model.fit(X, Y, epochs=100_000, verbose=0)
        async for event in training.progress():
            if event.epoch >= 2:
                break
        training.cancel()
        assert len(await model.predict(X)) == 150
        assert training.history.state == "stopped"
        again = await model.fit(X, Y, epochs=1, verbose=0)
        assert np.isfinite(again["loss"]).all()


async def test_predictions_that_are_left(bridge: asyncbridge.Bridge) -> None:
    """The model is of use afterwards."""

    def for_ever() -> Iterator[np.ndarray]:
        while True:
            yield X[:32]

    model = classifier()
    for _ in range(5):
        async for part in model.predict(for_ever()):
            assert part.shape == (32, 3)
            break
        assert len(await model.predict(X)) == 150


async def test_tensors(bridge: asyncbridge.Bridge) -> None:
    """What Keras's functions, variables and layers give comes as arrays."""
    assert await keras.ops.sum([1.0, 2.0]) == 3
    half: Any = await keras.ops.cast([0.5, 2], "bfloat16")
    assert (half.dtype.name, half.tolist()) == ("bfloat16", [0.5, 2])
    back: Any = await bridge.send("""
import keras
[keras.Variable([1.5]), keras.ops.top_k(keras.ops.array([1, 3, 2]), 2)[1], {"a": keras.ops.ones((2, 1))}]
""")
    assert [back[0].tolist(), back[1].tolist(), back[2]["a"].shape] == [[1.5], [1, 2], (2, 1)]
    named = await classifier().named_weights()
    assert [part.shape for part in named.values()] == [(4, 16), (16,), (16, 3), (3,)]


async def test_a_variable_leaves_by_one_copy(bridge: asyncbridge.Bridge) -> None:
    """What is copied out is the memory of the tensor that Keras keeps for it."""
    assert await bridge.send("""
import keras, numpy as np
from asyncbridge.serialization import encode
from asyncbridge.worker.models import plain
variable = keras.Variable(np.ones(70_000, "float32"))
value = variable.value
expected = value.data_ptr() if hasattr(value, "data_ptr") else value.unsafe_buffer_pointer()
address = lambda made: np.frombuffer(encode(made).buffers[0], np.uint8).ctypes.data
[address(variable) == expected, address(plain({"v": variable})) == expected]
""") == [True, True]


async def test_sparse_results(bridge: asyncbridge.Bridge) -> None:
    """A function of the backend that gives a sparse matrix has scipy's come back."""
    info = await bridge.info()
    back: Any = await bridge.send(
        """
import torch
from asyncbridge.worker.models import plain
plain([torch.tensor([[0.0, 1.0]]).to_sparse(), torch.ones(1)])
"""
        if info.backend == "torch"
        else """
import jax.numpy as jnp
from jax.experimental.sparse import BCOO
from asyncbridge.worker.models import plain
plain([BCOO.fromdense(jnp.array([[0.0, 1.0]])), jnp.ones(1)])
"""
    )
    assert type(back[0]) is sparse.coo_array
    assert back[0].toarray().tolist() == [[0, 1]]
    assert back[1].tolist() == [1]


async def test_references_to_tensors(bridge: asyncbridge.Bridge) -> None:
    """They tell their dtype, shape, bytes and device, and are computed with there."""
    tensor = await bridge.send("import keras\nkeras.ops.ones((3, 4))", keep=True)
    assert isinstance(tensor, asyncbridge.Ref)
    about = tensor.about
    assert (about.text, about.size, about.device) == ("float32 (3, 4)", 48, "cpu:0")
    assert np.array_equal(await (tensor * 2 + 1)[0], np.full(4, 3, np.float32))
    model = classifier()
    named = await bridge.put(model, name="of_weights")
    (row,) = [each for each in await bridge.bindings() if each.name == named.name]
    assert row.size == 4 * await model.count_params() + 2 * 4  # of Adam, not built: steps and rate
    assert row.device == "cpu:0"


async def test_what_moves_to_the_next_worker(bridge: asyncbridge.Bridge) -> None:
    """Models with their optimizers, tensors and variables: the same bits as without the move."""

    async def trained(*, moved: bool) -> tuple[list[float], str, list[Any]]:
        model = classifier()
        await model.fit(X, Y, epochs=2, shuffle=False, verbose=0)
        await bridge.send(
            "import keras\nvariable = keras.Variable([1.5, 2])\ntensor = keras.ops.ones((2, 3))"
        )
        tensor = await bridge.send("tensor", keep=True)
        if moved:
            lost = (await bridge.recycle()).lost
            assert set(lost) <= {"address"}  # a function that another test has made
        history = await model.fit(X, Y, epochs=2, shuffle=False, verbose=0)
        assert await bridge.send("t is tensor", {"t": tensor})
        kinds = await bridge.send("[type(each).__name__ for each in (variable, tensor)]")
        return history["loss"], await digest(model), [kinds, await bridge.send("variable, tensor")]

    stayed, moved = await trained(moved=False), await trained(moved=True)
    assert moved[:2] == stayed[:2]
    assert repr(moved[2]) == repr(stayed[2])

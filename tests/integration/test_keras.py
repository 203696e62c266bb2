"""A real worker with TensorFlow, over a real socket: what the bridge promises of Keras."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio

import asyncbridge
from asyncbridge import models as keras
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.tensorflow, pytest.mark.asyncio(loop_scope="module")]

ROOT = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(7)
X = RNG.random((40, 4), dtype=np.float32)
Y = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 40)]

DIRECT = """
import hashlib, json, sys
import keras, numpy as np
rng = np.random.default_rng(7)
x = rng.random((40, 4), dtype=np.float32)
y = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 40)]
keras.utils.set_random_seed(11)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="sigmoid"),
                          keras.layers.Dropout(0.2), keras.layers.Dense(3, activation="softmax")])
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, epochs=3, batch_size=4, validation_split=0.2, verbose=0)
digest = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
print(json.dumps([digest, history.history, model.predict(x[:2], verbose=0).tolist()]))
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bridge() -> AsyncIterator[asyncbridge.Bridge]:
    """One worker with TensorFlow for all tests of this file."""
    async with asyncbridge.connect() as opened:
        yield opened


def iris_model() -> keras.Sequential:
    """Describe, and make, the network of these tests."""
    model = keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(16, activation="sigmoid"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with the repository importable."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, env=env, check=False, timeout=HANG_S, cwd=ROOT,
    )  # fmt: skip


async def test_bits(bridge: asyncbridge.Bridge) -> None:
    """The same seed gives the same weights, history and predictions as Keras directly."""
    keras.utils.set_random_seed(11)
    model = iris_model()
    history = await model.fit(X, Y, epochs=3, batch_size=4, validation_split=0.2)
    weights = await model.get_weights()
    digest = hashlib.sha256(b"".join(w.tobytes() for w in weights)).hexdigest()
    done = await asyncio.to_thread(run_python, DIRECT)
    assert done.returncode == 0, done.stderr
    expected = json.loads(done.stdout.splitlines()[-1])
    assert digest == expected[0]
    assert dict(history) == expected[1]
    assert (await model.predict(X[:2])).tolist() == expected[2]


async def test_evaluate_and_weights(bridge: asyncbridge.Bridge) -> None:
    """Weights that were read, set in another model of the same shape, evaluate the same."""
    first, second = iris_model(), iris_model()
    await first.fit(X, Y, epochs=1)
    second.set_weights(await first.get_weights())
    assert await first.evaluate(X, Y) == await second.evaluate(X, Y)


async def test_lists_and_summary(bridge: asyncbridge.Bridge) -> None:
    """Nested lists become arrays; the summary is text."""
    model = iris_model()
    await model.fit(X.tolist(), Y.tolist(), epochs=1)
    assert (await model.predict(X[:1].tolist())).shape == (1, 3)
    assert "Total params" in await model.summary()


async def test_another_context(bridge: asyncbridge.Bridge) -> None:
    """A handler in a context where no bridge was entered uses a model all the same."""
    model = iris_model()
    empty = contextvars.Context()
    promise = empty.run(lambda: model.fit(X, Y, epochs=1))
    assert (await promise).model is model


async def test_wrong_shape_names_the_line(bridge: asyncbridge.Bridge) -> None:
    """What only the worker can know rejects the promise, with the line that made the layer."""
    bad = keras.layers.Dense(-4)
    model = keras.Sequential([keras.Input((4,)), bad])
    with pytest.raises(asyncbridge.RemoteError, match="units=-4") as caught:
        await model.get_weights()
    line = test_wrong_shape_names_the_line.__code__.co_firstlineno + 2
    assert any(f"test_keras.py:{line}" in note for note in caught.value.__notes__)


async def test_error_after_layers(bridge: asyncbridge.Bridge) -> None:
    """An error of shapes inside a model names the layer's line, and later calls fail with it."""
    layers = [keras.layers.Dense(3), keras.layers.Dense(3, kernel_constraint="no such thing")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    compiled = model.compile(loss="mse")
    with pytest.raises(asyncbridge.DependencyError) as caught:
        await model.fit(X, Y)
    assert isinstance(caught.value.__cause__, asyncbridge.RemoteError)
    with pytest.raises(asyncbridge.DependencyError):
        await compiled


async def test_after_a_failed_fit(bridge: asyncbridge.Bridge) -> None:
    """A fit that failed, and was seen to, leaves a model that can be used again.

    Compiled anew, as Keras itself wants it: TensorFlow keeps the half-traced function.
    """
    model = iris_model()
    with pytest.raises(asyncbridge.RemoteError) as caught:
        await model.fit(X[:, :3], Y, epochs=1)
    assert len(str(caught.value)) < 100_000
    assert len(caught.value.message) < 10_000
    model.compile(loss="categorical_crossentropy")
    await model.fit(X, Y, epochs=1)


async def test_data_is_cut_from_messages(bridge: asyncbridge.Bridge) -> None:
    """Keras puts all of its input into some messages; the worker cuts them."""
    model = iris_model()
    big = np.zeros((200_000, 4), dtype=np.float32)
    with pytest.raises(asyncbridge.RemoteError) as caught:
        await model.fit({"x": big.astype("U8")}, Y)
    assert len(caught.value.message) < 10_000


async def test_logs_are_output(bridge: asyncbridge.Bridge) -> None:
    """TensorFlow's own log lines, of C++ too, come as output of the worker."""
    lines = bridge.output()
    await bridge.send(
        "import tensorflow as tf; tf.get_logger().warning('from python'); "
        "import os; os.write(2, b'from below\\n')"
    )
    texts = []
    async for line in lines:
        texts.append(line.text)
        if "from below" in line.text:
            break
    lines.close()
    assert any("from python" in text for text in texts)


async def test_info_while_it_trains(bridge: asyncbridge.Bridge) -> None:
    """The worker tells of its state while the GPU thread works."""
    model = iris_model()
    await model.fit(X, Y, epochs=1)
    fit = model.fit(X, Y, epochs=30, batch_size=1)
    while fit.state != "running":
        await asyncio.sleep(0)
    info = await bridge.info()
    assert info.running is not None
    assert info.running["label"] == "Sequential.fit"
    assert info.backend == "tensorflow"
    assert info.devices
    assert "keras" in info.versions
    await fit


CLEAN = """
import asyncio, json, sys
sys.path.insert(0, "examples")
import iris
accuracy = asyncio.run(iris.train(epochs=3)) if sys.argv[1] == "async" else iris.train_and_wait(epochs=3)
heavy = {"keras", "tensorflow", "jax", "torch", "pandas", "scipy"} & set(sys.modules)
print(json.dumps(sorted(heavy)))
"""


@pytest.mark.parametrize("form", ["async", "wait"])
async def test_example(form: str) -> None:
    """The example runs in both forms, on a clean terminal, and imports nothing of Keras."""
    done = await asyncio.to_thread(run_python, CLEAN, form)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert any(line.startswith("accuracy 0.") for line in done.stdout.splitlines())
    assert done.stderr == ""
    assert (ROOT / "out" / "iris-history.png").read_bytes().startswith(b"\x89PNG")


async def test_plot_is_the_only_matplotlib() -> None:
    """Matplotlib is imported by ``plot`` alone."""
    code = "import asyncbridge.models.mirrors.history, sys; print('matplotlib' in sys.modules)"
    done = await asyncio.to_thread(run_python, code)
    assert done.stdout.strip() == "False"


async def test_sync_form() -> None:
    """The same objects serve a script without a loop."""

    def script() -> Any:
        with asyncbridge.connect():
            model = iris_model()
            history = model.fit(X, Y, epochs=2).wait_for_value(timeout=HANG_S)
            return history.epochs

    assert await asyncio.to_thread(script) == [0, 1]


async def test_data_that_is_there_already(bridge: asyncbridge.Bridge, tmp_path: Path) -> None:
    """Handles and files are data as arrays are: the same weights come of them, and the same values."""
    np.save(tmp_path / "x.npy", X)
    mapped = asyncbridge.by_path(np.load(tmp_path / "x.npy", mmap_mode="r"))
    kept, labels = await bridge.put(X), await bridge.put(Y)
    results = []
    for x, y in [(X, Y), (kept, labels), (mapped, labels), (X, Y)]:
        keras.utils.set_random_seed(11)
        model = iris_model()
        history = await model.fit(x, y, epochs=2, batch_size=8, verbose=0)
        scores = await model.evaluate(x, y, verbose=0)
        results.append((history.history, scores, (await model.predict(x, verbose=0)).tolist()))
    assert all(result == results[0] for result in results[1:])

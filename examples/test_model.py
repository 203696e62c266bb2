"""Tests of an app that predicts, as its author writes them: copy, and put your own app in.

    pytest examples/test_model.py

One worker with Keras serves all tests, each of which finds it empty. What goes wrong here goes
wrong for real: the worker raises, or its process is killed, and the next test has a new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import asyncbridge
from asyncbridge import models as keras
from asyncbridge.protocol.limits import Bound
from asyncbridge.testing import kill_worker

if TYPE_CHECKING:
    from asyncbridge.testing import FakeWorker, RealWorker

pytest_plugins = ["asyncbridge.testing"]  # a suite has this line in its topmost conftest.py
pytestmark = pytest.mark.asyncio  # needless with asyncio_mode = auto

X = np.random.default_rng(7).random((32, 4), dtype=np.float32)
Y = np.eye(3, dtype=np.float32)[np.argmax(X[:, :3], axis=1)]


# --- the app: what the tests are about -------------------------------------------------------


def build(seed: int = 7) -> keras.Sequential:
    """Make the app's model."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="categorical_crossentropy")
    return model


async def answer(work: asyncbridge.Promise[Any]) -> tuple[int, str]:
    """Answer a request, as the app's handlers do: an HTTP status, and what it says."""
    try:
        return 200, str(await work)
    except asyncbridge.WorkerLost as lost:
        return 503, f"try again in a minute ({lost.phase})"
    except asyncbridge.RemoteError as error:
        return 500, error.type


# --- a real worker: what the model does ------------------------------------------------------


async def test_it_learns(bridge: asyncbridge.Bridge) -> None:
    """``bridge`` is open and current: mirrors find it by themselves."""
    history = await build().fit(X, Y, epochs=5, verbose=0)
    assert history["loss"][-1] < history["loss"][0]


async def test_a_seed_gives_the_same_bits(bridge: asyncbridge.Bridge) -> None:
    """Nothing of another test is left, and two models of one seed are one."""
    assert await bridge.send("[name for name in dir() if name[:2] != '__']") == []
    one, two = [await build(seed=11).predict(X) for _ in range(2)]
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one.sum(axis=1), 1, rtol=1e-5)


# --- a real worker: what the app does when things go wrong -----------------------------------


async def test_a_prediction_that_fails(bridge: asyncbridge.Bridge, real_worker: RealWorker) -> None:
    """The next command whose name has ``predict`` in it raises, in the worker; then all is well."""
    model = build()
    real_worker.fail("tensorflow.errors.ResourceExhaustedError", "OOM", match="predict")
    assert await answer(model.predict(X)) == (500, "tensorflow.errors.ResourceExhaustedError")
    assert (await answer(model.predict(X)))[0] == 200


async def test_a_worker_that_dies_in_a_fit(
    bridge: asyncbridge.Bridge, real_worker: RealWorker
) -> None:
    """It is killed as the kernel kills when memory runs out; what had not begun never will."""
    model = build()
    real_worker.crash(match="fit")
    training, prediction = model.fit(X, Y, verbose=0), model.predict(X)
    assert await answer(training) == (503, "try again in a minute (started)")
    assert await answer(prediction) == (503, "try again in a minute (not_started)")


# --- a fake worker: in milliseconds, and in the order that the test wants --------------------


async def test_a_worker_that_is_killed_while_requests_wait(fake_worker: FakeWorker) -> None:
    """It has no Keras, and takes raw commands; ``pause`` makes it busy without any sleep."""
    fake_worker.pause()
    async with fake_worker.connect() as bridge:
        requests = [bridge.send("n * n", {"n": n}) for n in range(3)]
        await bridge.info()  # they have arrived
        fake_worker.step()
        await kill_worker(bridge)
        answers = [await answer(request) for request in requests]
    assert [status for status, _ in answers] == [200, 503, 503]


async def test_a_queue_that_is_full(fake_worker: FakeWorker) -> None:
    """The app says so at once; once the worker goes on, there is room again."""
    one = Bound(count=1, size=1024)
    fake_worker.window = one
    fake_worker.pause()
    async with fake_worker.connect(backlog=one) as bridge:
        first = bridge.send("1")
        await bridge.info()  # the first one has arrived: it fills the worker's window
        second = bridge.send("2")
        with pytest.raises(asyncbridge.QueueFull):
            bridge.send("3")
        fake_worker.resume()
        assert (await first, await second) == (1, 2)
        assert await bridge.send("3") == 3

"""Data that streams into a real worker with TensorFlow, and predictions that stream out."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

import asyncbridge
from asyncbridge import models as keras
from asyncbridge.tasks import spawn
from tests.limits import HANG_S

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]

RNG = np.random.default_rng(7)
X = RNG.random((200, 4), dtype=np.float32)
Y = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 200)]
SIZE = 32


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bridge() -> AsyncIterator[asyncbridge.Bridge]:
    """One worker with TensorFlow for most tests of this file."""
    async with asyncbridge.connect() as opened:
        yield opened


def seeded() -> keras.Sequential:
    """Make the same model each time."""
    keras.utils.set_random_seed(11)
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


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the data in batches, the last one smaller."""
    for start in range(0, len(X), SIZE):
        yield X[start : start + SIZE], Y[start : start + SIZE]


async def batches_later() -> AsyncIterator[tuple[np.ndarray, np.ndarray]]:
    """Give the same, asynchronously."""
    for batch in batches():
        await asyncio.sleep(0)
        yield batch


def for_ever() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the same over and over."""
    while True:
        yield from batches()


async def digest(model: keras.Sequential) -> str:
    """Return what tells a model's weights from any others."""
    weights = await model.get_weights()
    return hashlib.sha256(b"".join(each.tobytes() for each in weights)).hexdigest()


def counted() -> asyncbridge.Stream:
    """Return the data as a stream that says how long it is."""
    return asyncbridge.stream(batches, steps=7)


STREAMS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "function": (counted, {}),
    "asynchronous function": (lambda: asyncbridge.stream(batches_later, steps=7), {}),
    "list": (lambda: asyncbridge.stream(list(batches())), {}),
    "chunks": (
        lambda: asyncbridge.stream([(X[:90], Y[:90]), (X[90:], Y[90:])], batch_size=32, steps=7),
        {},
    ),
    "without end": (for_ever, {"steps_per_epoch": 7}),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_the_same_bits(bridge: asyncbridge.Bridge, name: str) -> None:
    """The same batches train the same weights, streamed or as arrays, and validate the same."""
    make, options = STREAMS[name]
    model = seeded()
    expected = await model.fit(
        X, Y, epochs=3, shuffle=False, verbose=0, validation_data=(X[:64], Y[:64])
    )
    held_out = asyncbridge.stream([(X[:32], Y[:32]), (X[32:64], Y[32:64])])
    other = seeded()
    history = await other.fit(make(), epochs=3, verbose=0, validation_data=held_out, **options)
    assert dict(history) == dict(expected)
    assert await digest(other) == await digest(model)


@pytest.mark.parametrize("source", [batches, batches_later])
async def test_a_length_that_nobody_knows(
    bridge: asyncbridge.Bridge, source: Callable[[], Iterator[Any]]
) -> None:
    """An epoch ends with its stream: no step too many, and no warning."""
    model = seeded()
    expected = await model.fit(X, Y, epochs=3, shuffle=False, verbose=0)
    other = seeded()
    first = other.fit(source(), verbose=0)
    second = other.fit(asyncbridge.stream(source), epochs=2, verbose=0)
    assert [*(await first)["loss"], *(await second)["loss"]] == expected["loss"]
    assert await digest(other) == await digest(model)
    assert [line.text async for line in second.output()] == []


COUNTING = """
import keras
traced = []
def counting(y_true, y_pred):
    traced.append(1)
    return keras.losses.categorical_crossentropy(y_true, y_pred)
"""


async def test_a_smaller_last_batch(bridge: asyncbridge.Bridge) -> None:
    """It is not traced anew, nor are the epochs behind it."""
    bridge.send(COUNTING)
    model = seeded()
    model.compile(loss=bridge.binding("counting"))
    await model.fit(asyncbridge.stream([(X[:32], Y[:32]), (X[32:64], Y[32:64])]), verbose=0)
    traced = await bridge.send("len(traced)")
    await model.fit(asyncbridge.stream(batches), epochs=3, verbose=0)
    assert await bridge.send("len(traced)") == traced


async def test_an_array_on_disk(bridge: asyncbridge.Bridge, tmp_path: Path) -> None:
    """It is read by rows, and trains what an array of the same kind trains."""
    on_disk = np.memmap(tmp_path / "x", dtype=np.float64, mode="w+", shape=X.shape)
    on_disk[:] = X
    model = seeded()
    options: dict[str, Any] = {"epochs": 2, "shuffle": False, "validation_split": 0.2}
    expected = await model.fit(np.asarray(on_disk), Y, verbose=0, **options)
    other = seeded()
    history = await other.fit(on_disk, Y, verbose=0, **options)
    assert dict(history) == dict(expected)
    assert await digest(other) == await digest(model)
    assert await other.evaluate(on_disk, Y) == await other.evaluate(np.asarray(on_disk), Y)
    shuffled = await other.fit(on_disk, Y, verbose=0)
    assert len(shuffled["loss"]) == 1


async def test_evaluating_and_predicting(bridge: asyncbridge.Bridge) -> None:
    """The whole result is that of the same arrays."""
    model = seeded()
    whole = await model.predict(X)
    assert await model.evaluate(batches()) == await model.evaluate(X, Y)
    assert np.array_equal(await model.predict(x for x, _ in batches()), whole)
    assert np.array_equal(await model.predict(batches_later()), whole)
    assert np.array_equal(await model.predict(for_ever(), steps=2), whole[:64])


async def test_predictions_in_parts(bridge: asyncbridge.Bridge) -> None:
    """``async for`` gives those of each batch, of a stream and of an array."""
    model = seeded()
    whole = await model.predict(X)
    for data in (batches(), X):
        promise = model.predict(data)
        parts = [part async for part in promise]
        assert [len(part) for part in parts] == [32] * 6 + [8]
        assert np.array_equal(np.concatenate(parts), whole)
        assert await promise is None
    sizes = [len(part) async for part in model.predict(X, batch_size=150)]
    assert sizes == [150, 50]


async def test_predictions_that_have_come_whole(bridge: asyncbridge.Bridge) -> None:
    """They are cut; and whoever goes through twice is told."""
    promise = seeded().predict(X)
    whole = await promise
    parts = [part async for part in promise]
    assert [len(part) for part in parts] == [32] * 6 + [8]
    assert np.array_equal(np.concatenate(parts), whole)
    with pytest.raises(RuntimeError, match="predict again"):
        await anext(aiter(promise))


async def test_a_reader_that_has_failed_holds_up_nothing(bridge: asyncbridge.Bridge) -> None:
    """Its task is garbage with all that it held, and the prediction ends."""
    model = seeded()

    async def read() -> None:
        parts = aiter(model.predict(for_ever()))
        await anext(parts)
        raise KeyError("x")

    task = spawn(read(), name="read", on_error=lambda error: None)
    with pytest.raises(KeyError):
        await task
    del task
    gc.collect()
    async with asyncio.timeout(HANG_S):
        assert await bridge.send("1 + 1") == 2


async def test_several_outputs_in_parts(bridge: asyncbridge.Bridge) -> None:
    """They keep their structure."""
    inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((4,), name="b")}
    both = inputs["a"] + inputs["b"]
    outputs = {"one": keras.layers.Dense(1)(both), "two": keras.layers.Dense(2)(both)}
    model = keras.Model(inputs, outputs)
    whole = await model.predict({"a": X, "b": X})
    parts = [part async for part in model.predict({"a": x, "b": x} for x, _ in batches())]
    for name in ("one", "two"):
        assert np.array_equal(np.concatenate([part[name] for part in parts]), whole[name])


async def test_leaving_the_loop_ends_the_prediction(bridge: asyncbridge.Bridge) -> None:
    """The source is closed, and the model is free for the next call."""
    closed = asyncio.Event()

    async def watched() -> AsyncIterator[np.ndarray]:
        try:
            while True:
                yield X[:32]
        finally:
            closed.set()

    model = seeded()
    promise = model.predict(watched())
    async for part in promise:
        assert part.shape == (32, 3)
        break
    async with asyncio.timeout(HANG_S):
        await closed.wait()
        assert len(await model.predict(X)) == 200
    assert promise.cancelled()


# --- ends ----------------------------------------------------------------------------------


class Stuck:
    """A source that gives some batches, and then nothing."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        self.closed = asyncio.Event()

    async def batches(self) -> AsyncIterator[tuple[np.ndarray, np.ndarray]]:
        """Give three, and wait."""
        try:
            for start in range(0, 96, 32):
                yield X[start : start + 32], Y[start : start + 32]
            self.waits.set()
            await asyncio.get_running_loop().create_future()
        finally:
            self.closed.set()


@pytest.mark.parametrize("mode", [None, "graceful"])
@pytest.mark.parametrize("options", [{}, {"steps_per_epoch": 9}, {"steps_per_epoch": 2}])
async def test_stopping_a_training_that_waits(
    bridge: asyncbridge.Bridge, mode: None, options: dict[str, Any]
) -> None:
    """It ends with the history so far, and the source is closed."""
    model, source = seeded(), Stuck()
    stream = source.batches() if options else asyncbridge.stream(source.batches)
    training = model.fit(stream, epochs=5, verbose=0, **options)
    reports = training.progress()
    epochs = 2 if options == {"steps_per_epoch": 2} else 1
    async with asyncio.timeout(HANG_S):
        known = asyncbridge.EpochEnd if epochs == 2 else asyncbridge.BatchEnd
        while not isinstance(await anext(reports), known):
            pass
        await source.waits.wait()
        training.cancel(mode=mode)
        history = await training
        await source.closed.wait()
    assert (history.state, history.epochs) == ("stopped", [*range(epochs)])
    assert len((await model.fit(batches(), verbose=0))["loss"]) == 1


@pytest.mark.parametrize(("steps", "epochs", "begun"), [(7, 4, 1), (5, 2, 2)])
async def test_a_generator_that_runs_out(
    bridge: asyncbridge.Bridge, steps: int, epochs: int, begun: int
) -> None:
    """The training ends with it, warns with numbers, and records no epoch without batches."""
    training = seeded().fit(batches(), steps_per_epoch=steps, epochs=epochs, verbose=0)
    told = f"the source ended after 7 of {steps * epochs} batches"
    with pytest.warns(keras.KerasDataWarning, match=told):
        history = await training
    assert (history.epochs, len(history["loss"])) == ([*range(begun)], begun)
    assert min(history["loss"]) > 0


async def test_interrupting_a_training_that_waits(bridge: asyncbridge.Bridge) -> None:
    """It is cancelled, and the model trains again."""
    model, source = seeded(), Stuck()
    training = model.fit(source.batches(), verbose=0)
    async with asyncio.timeout(HANG_S):
        await source.waits.wait()
        training.cancel(mode="interrupt")
        with pytest.raises(asyncio.CancelledError):
            await training
        await source.closed.wait()
    assert len((await model.fit(batches(), verbose=0))["loss"]) == 1


async def test_stopping_before_a_batch_has_come(bridge: asyncbridge.Bridge) -> None:
    """There is no result: the promise is cancelled."""
    waits = asyncio.Event()

    async def nothing() -> AsyncIterator[tuple[np.ndarray, np.ndarray]]:
        waits.set()
        await asyncio.get_running_loop().create_future()
        yield X, Y

    training = seeded().fit(nothing(), verbose=0)
    async with asyncio.timeout(HANG_S):
        await waits.wait()
        training.cancel(mode="graceful")
        with pytest.raises(asyncio.CancelledError):
            await training


async def test_early_stopping_closes_the_source(bridge: asyncbridge.Bridge) -> None:
    """A training that ends before its data does lets go of that."""
    closed = threading.Event()

    def watched() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        try:
            yield from for_ever()
        finally:
            closed.set()

    stopping = keras.callbacks.EarlyStopping(monitor="loss", patience=0, min_delta=100.0)
    training = seeded().fit(
        watched(), epochs=50, steps_per_epoch=3, callbacks=[stopping], verbose=0
    )
    assert len((await training)["loss"]) == 2
    assert await asyncio.to_thread(closed.wait, HANG_S)


async def test_a_source_that_fails(bridge: asyncbridge.Bridge) -> None:
    """The very exception is the cause; the training stops, and the model stays usable."""
    error = ValueError("the disk is gone")

    def failing() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield from list(batches())[:3]
        raise error

    model = seeded()
    with pytest.raises(asyncbridge.SourceError, match="source of x raised ValueError") as caught:
        await model.fit(asyncbridge.stream(failing), epochs=2, verbose=0)
    assert caught.value.__cause__ is error
    assert len((await model.fit(batches(), verbose=0))["loss"]) == 1


async def test_batches_that_differ(bridge: asyncbridge.Bridge) -> None:
    """The batch is named that is unlike the first."""

    def odd() -> Iterator[object]:
        yield X[:32], Y[:32]
        yield X[:32], Y[:32]
        yield X[:32]

    with pytest.raises(asyncbridge.SourceError, match="batch 2 of x is float32 array"):
        await seeded().fit(odd(), verbose=0)


async def test_a_batch_of_another_shape(bridge: asyncbridge.Bridge) -> None:
    """It is named with its shape, not as TensorFlow does."""

    def odd() -> Iterator[object]:
        yield from list(batches())[:2]
        yield np.ones((32, 5), "float32"), Y[:32]

    told = r"ValueError: batch 2 of the stream: x has the shape \(32, 5\), .* told \(any, 4\)"
    with pytest.raises(asyncbridge.RemoteError, match=told):
        await seeded().fit(odd(), verbose=0)


async def test_nan_in_batches(bridge: asyncbridge.Bridge, tmp_path: Path) -> None:
    """It is warned of, of a stream and of an array on disk."""
    bad = np.memmap(tmp_path / "x", dtype="float32", mode="w+", shape=X.shape)
    bad[:] = X
    bad[40, 2] = np.nan
    streamed = asyncbridge.stream([(bad[32:64], Y[32:64])])
    told = r"batch .: x has NaN in column 2: 1 of 32"
    training = seeded().fit(streamed, verbose=0)
    with pytest.warns(keras.KerasDataWarning, match=told):
        await training
    training = seeded().fit(bad, Y, shuffle=False, verbose=0)
    with pytest.warns(keras.KerasDataWarning, match=told):
        await training


async def test_a_validation_that_runs_out(bridge: asyncbridge.Bridge) -> None:
    """It is told with the numbers of batches."""
    data: Any = {"x": X, "y": Y, "validation_data": batches(), "validation_steps": 5}
    training = seeded().fit(**data, epochs=2, verbose=0)
    with pytest.warns(keras.KerasDataWarning, match="validation_data ended after 7 of 10 batches"):
        await training


async def test_targets_on_disk(bridge: asyncbridge.Bridge, tmp_path: Path) -> None:
    """They train what those in memory do."""
    on_disk = np.memmap(tmp_path / "y", dtype="float32", mode="w+", shape=Y.shape)
    on_disk[:] = Y
    known, other = seeded(), seeded()
    first = await known.fit(asyncbridge.stream(list(batches())), verbose=0)
    second = await other.fit(X, on_disk, shuffle=False, verbose=0)
    assert first["loss"] == second["loss"]


async def test_a_call_on_the_model_inside_of_its_loop(bridge: asyncbridge.Bridge) -> None:
    """It can never come, and says so; the loop may go on."""
    model, large = seeded(), np.tile(X, (40, 1))
    parts = 0
    async for _ in model.predict(large):
        if parts == 0:
            with pytest.raises(
                asyncbridge.DeadlockError, match="get_weights.* runs after .*predict"
            ):
                await model.get_weights()
        parts += 1
    assert parts == 250


@pytest.mark.parametrize("steps", [None, 7])
async def test_a_call_on_the_model_inside_of_its_source(
    bridge: asyncbridge.Bridge, steps: int | None
) -> None:
    """As above, also where a thread of TensorFlow's waits for the batch."""
    model = seeded()

    async def source() -> AsyncIterator[object]:
        for number, batch in enumerate(batches()):
            yield batch
            if number == 3:
                await model.get_weights()

    with pytest.raises(asyncbridge.SourceError, match="DeadlockError after 4 items: .*get_weights"):
        await model.fit(asyncbridge.stream(source, steps=steps), verbose=0)
    assert len((await model.fit(batches(), verbose=0))["loss"]) == 1


async def test_a_stream_without_a_batch(bridge: asyncbridge.Bridge) -> None:
    """There is nothing to train on."""
    with pytest.raises(asyncbridge.RemoteError, match="ended without a batch"):
        await seeded().fit(asyncbridge.stream([]), verbose=0)


async def test_a_slow_source_does_not_block_the_loop(bridge: asyncbridge.Bridge) -> None:
    """It blocks its own thread: the loop turns meanwhile, many times for each batch."""
    turns = 0

    def slow() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for batch in list(batches())[:3]:
            time.sleep(0.1)  # what a slow disk does
            yield batch

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    turning = asyncio.get_running_loop().create_task(turn())
    await seeded().fit(slow(), verbose=0)
    turning.cancel()
    assert turns > 30


async def test_a_worker_that_is_killed() -> None:
    """The promise says so, and the source is closed."""
    source = Stuck()
    async with asyncbridge.connect() as own:
        training = seeded().fit(source.batches(), verbose=0)
        async with asyncio.timeout(HANG_S):
            await source.waits.wait()
            pid = (await own.info()).pid
            killed = await asyncio.to_thread(_kill, pid)
            with pytest.raises(asyncbridge.WorkerLost):
                await training
            await source.closed.wait()
    assert killed


def _kill(pid: int) -> bool:
    import os  # noqa: PLC0415
    import signal  # noqa: PLC0415

    os.kill(pid, signal.SIGKILL)
    return True

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncbridge import models as keras
from asyncbridge.models.mirrors.streaming import as_stream, streamed
from asyncbridge.serialization.files import FileArray, by_path
from asyncbridge.streams import Stream, stream

X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10.0)


def batches() -> Iterator[Any]:
    """Give one batch."""
    yield X, Y


async def batches_later() -> AsyncIterator[Any]:
    """Give one, asynchronously."""
    yield X, Y


def on_disk(folder: Path) -> np.memmap:
    """Return the samples in a file."""
    array = np.memmap(folder / "x", dtype=X.dtype, mode="w+", shape=X.shape)
    array[:] = X
    return array


def items_of(made: object) -> list[Any]:
    """Return what a stream would send."""
    assert isinstance(made, Stream)
    assert made.convert is not None
    return [made.convert(item, number) for number, item in enumerate(made.begin())]  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [X, [X], (X, Y), {"a": X}, None, keras.Input, "text"])
def test_what_is_no_stream(value: object) -> None:
    """It goes as it did."""
    assert as_stream(value, "x") is None


def test_generators_are_streams() -> None:
    """Plain and asynchronous ones, iterators, and streams themselves."""
    mine = stream([X])
    assert as_stream(mine, "x") is mine
    for value in (batches(), batches_later(), iter([X])):
        made = as_stream(value, "x")
        assert made is not None
        assert (made.label, made.restarts) == ("x", False)


def test_a_generator_that_is_used_up() -> None:
    """It is told at once."""
    used = batches()
    list(used)
    with pytest.raises(ValueError, match="x: this generator is used up"):
        as_stream(used, "x")


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"y": Y}, "'y': a stream brings it along"),
        ({"sample_weight": Y}, "'sample_weight': a stream brings it along"),
        ({"class_weight": {0: 1.0}}, "'class_weight': a stream brings weights along"),
        ({"validation_split": 0.2}, "'validation_split': a stream has no end"),
        ({"epochs": 3}, "'x': this generator is used up after one epoch, and there are 3"),
    ],
)
def test_what_does_not_go_together(values: dict[str, Any], error: str) -> None:
    """Each is named, with what to do."""
    with pytest.raises(ValueError, match=error):
        streamed("fit", {"x": batches(), **values})


@pytest.mark.parametrize(
    "values",
    [{"epochs": 1}, {"epochs": 3, "steps_per_epoch": 2}, {"epochs": 3, "initial_epoch": 2}],
)
def test_a_generator_that_lasts(values: dict[str, Any]) -> None:
    """One epoch, or a number of steps for each."""
    assert isinstance(streamed("fit", {"x": batches(), **values})["x"], Stream)


def test_a_validation_streams_as_well() -> None:
    """One that is used up after the first is told."""
    values: dict[str, Any] = {"x": X, "epochs": 2, "validation_data": batches()}
    with pytest.raises(ValueError, match=r"'validation_data': .* or validation_steps="):
        streamed("fit", values)
    values["validation_data"] = stream(batches)
    assert streamed("fit", values)["validation_data"].label == "validation_data"


def test_an_array_on_disk(tmp_path: Path) -> None:
    """Its rows stream, with the targets; what was made of it is not said twice."""
    values = {"x": on_disk(tmp_path), "y": Y, "batch_size": 4, "shuffle": False}
    made = streamed("fit", values)
    assert (made["y"], made["batch_size"], made["x"].steps) == (None, None, 3)
    assert made["x"].floats
    sent = items_of(made["x"])
    assert all(type(x) is np.ndarray for x, _ in sent)
    assert np.array_equal(np.concatenate([x for x, _ in sent]), X)


def test_an_array_on_disk_is_split(tmp_path: Path) -> None:
    """The last rows are held out, as Keras does it."""
    values = {"x": on_disk(tmp_path), "y": Y, "shuffle": True, "validation_split": 0.25}
    made = streamed("fit", {**values, "validation_data": None})
    ((x, y),) = items_of(made["validation_data"])
    assert (x.tolist(), y.tolist(), made["validation_split"]) == (X[7:].tolist(), [7, 8, 9], 0.0)
    with pytest.raises(ValueError, match="validation_split=0.99 leaves one side"):
        streamed("fit", {**values, "validation_split": 0.99})


def test_a_validation_on_disk(tmp_path: Path) -> None:
    """A pair whose samples are in a file streams by rows."""
    values = {"x": X, "validation_data": (on_disk(tmp_path), Y), "validation_batch_size": 6}
    made = streamed("fit", values)
    assert [len(x) for x, _ in items_of(made["validation_data"])] == [6, 4]


def test_batches_become_arrays_and_are_alike() -> None:
    """Rows and data frames are taken as elsewhere; one that differs is named by its number."""
    made = as_stream(iter([([[1.0, 2.0]], Y[:1]), ([[3.0, 4.0]], X[:1])]), "x")
    with pytest.raises(ValueError, match=r"batch 1 of x is \(float64 array of 2 dimensions, "):
        items_of(made)
    made = as_stream(iter([([[1.0, 2.0]], Y[:1])]), "x")
    assert items_of(made)[0][0].tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("value", [batches, batches_later, [(X, Y), (X, Y)]])
def test_what_should_be_wrapped(value: object) -> None:
    """A function, or a list of batches, is told of ``stream``."""
    with pytest.raises(TypeError, match="asyncbridge.stream"):
        as_stream(value, "x")


async def _closed() -> AsyncIterator[Any]:
    """Give a generator that is used up."""
    made = batches_later()
    async for _ in made:
        pass
    return made


@pytest.mark.asyncio
async def test_an_asynchronous_generator_is_used_once() -> None:
    """As a plain one is."""
    with pytest.raises(ValueError, match="this generator is used up"):
        as_stream(await _closed(), "x")


def test_rows_of_a_batch_that_differ() -> None:
    """They are told with the batch's number."""
    made = as_stream(iter([(X, Y), (X, Y[:5])]), "x")
    with pytest.raises(ValueError, match="batch 1 of x: x has 10 rows, y has 5 rows"):
        items_of(made)


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        ([X, Y], "batch 0 of x is a list, which is several inputs without targets: give a tuple"),
        ((X[0], 1.0), r"batch 0 of x: y is one number, not samples; .* x\[None\], y\[None\]"),
        (np.float32(1), "batch 0 of x: x is one number"),
        ((X[0], X[0][:1]), "x has 2 rows, y has 1 rows; a batch holds several samples"),
    ],
)
def test_what_is_no_batch(batch: object, error: str) -> None:
    """It is told what it was taken for, and how a batch is written."""
    made = streamed("fit", {"x": stream([batch])})["x"]
    with pytest.raises((TypeError, ValueError), match=error):
        items_of(made)


def test_several_inputs() -> None:
    """A list is that in a prediction, and in a tuple."""
    assert len(items_of(streamed("predict", {"x": stream([[X, X]])})["x"])[0]) == 2
    (((first, second),),) = items_of(streamed("fit", {"x": stream([([X, X],)])})["x"])
    assert first is second is X


def test_rows_as_lists() -> None:
    """Each part of a batch becomes an array; they are not joined to one."""
    ((x, y),) = items_of(streamed("fit", {"x": stream([(X.tolist(), Y.tolist())])})["x"])
    assert np.array_equal(x, X)
    assert np.array_equal(y, Y)


def test_targets_on_disk(tmp_path: Path) -> None:
    """They are read by rows as well, beside samples in memory."""
    made = streamed("fit", {"x": X.tolist(), "y": on_disk(tmp_path), "batch_size": 4})
    sent = items_of(made["x"])
    assert [len(x) for x, _ in sent] == [4, 4, 2]
    assert np.array_equal(np.concatenate([y for _, y in sent]), X)
    held_out = streamed("fit", {"x": X, "validation_data": (X, on_disk(tmp_path))})
    assert isinstance(held_out["validation_data"], Stream)


def test_arrays_by_path_beside_those_on_disk(tmp_path: Path) -> None:
    """The worker reads all of them; or the client does."""
    array = on_disk(tmp_path)
    array.flush()
    made = streamed("fit", {"x": by_path(array), "y": array})
    assert isinstance(made["y"], FileArray)
    both = streamed("fit", {"x": X, "validation_data": (by_path(array), array)})
    assert [type(part) for part in both["validation_data"]] == [FileArray, FileArray]
    with pytest.raises(TypeError, match="y: an array by path is the worker's to read"):
        streamed("fit", {"x": array, "y": by_path(array)})

"""Arrays by the path of their file: what says where they are, and who may take it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.serialization.files import FileArray, by_path
from asyncbridge.worker.files import open_array

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "files.json"
SAMPLES = {
    "an array in a file": FileArray(
        path="/data/x.npy", device=66305, inode=4711, size=1088, offset=128,
        dtype=np.dtype("<f8"), shape=(4, 30), strides=(240, 8),
    ),
    "one that is turned round, big-endian, and may be written": FileArray(
        path="/data/caf\u00e9", device=0, inode=0, size=12, offset=10,
        dtype=np.dtype(">i2"), shape=(6,), strides=(-2,), writable=True,
    ),
    "one whose path is no UTF-8": FileArray(
        path="/data/\udcff", device=1, inode=2, size=3, offset=0,
        dtype=np.dtype("u1"), shape=(3,), strides=(1,),
    ),
}  # fmt: skip


def tree_of(value: object) -> tuple[Any, tuple[Any, ...]]:
    """Return a value's header as a reader gets it, and its buffers."""
    payload = encode(value)
    return orjson.loads(orjson.dumps(payload.header)), payload.buffers


def through(value: object, **options: Any) -> Any:
    """Return what a worker makes of a value."""
    header, buffers = tree_of(value)
    return decode(Payload(header=header, buffers=buffers), files=open_array, **options)


@pytest.fixture
def mapped(tmp_path: Path) -> np.memmap[Any, Any]:
    """An array of 300 rows in a file."""
    path = tmp_path / "x.npy"
    np.save(path, np.arange(12_000.0).reshape(300, 40))
    made = np.load(path, mmap_mode="r+")
    assert isinstance(made, np.memmap)
    return made


@pytest.mark.parametrize("view", [
    lambda x: x, lambda x: x[7:], lambda x: x[3:9, 5:], lambda x: x[::-2, ::3], lambda x: x.T,
    lambda x: np.asarray(x)[11], lambda x: x[299:, 39:], lambda x: x.reshape(-1)[5:],
    lambda x: x[0, 0:1].reshape(()), lambda x: x.view("u1")[1:, 3:],
])  # fmt: skip
def test_views_of_a_map(mapped: np.memmap[Any, Any], view: Any) -> None:
    """Each is where it lies in the file: rows, columns, turned round, without dimensions."""
    array = view(mapped)
    described = by_path(array)
    made = through(described)
    assert type(made) is np.ndarray
    assert np.array_equal(made, array)
    assert (made.dtype, made.shape) == (array.dtype, array.shape)
    assert made.strides == array.strides
    assert not made.flags.writeable
    assert (described.ndim, described.shape) == (array.ndim, array.shape)


@pytest.mark.parametrize("offset", [0, 8, 4096, 5000])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">i8", "S3", "M8[s]", "?", [("a", "<i2"), ("b", "<f8")]])
def test_maps_of_all_kinds(tmp_path: Path, offset: int, order: Any, dtype: Any) -> None:
    """With any offset, order and dtype; the bytes are as the file has them."""
    made: Any = np.memmap(tmp_path / "x", dtype, "w+", offset, (20, 30), order)
    made.reshape(-1, order=order)[:] = np.arange(600).astype("u1").astype(made.dtype)
    back = through(by_path(made[2:]))
    assert np.array_equal(back, made[2:])
    assert back.dtype == made.dtype


def test_what_is_written_here_is_seen(mapped: np.memmap[Any, Any]) -> None:
    """It is the file's memory, not a copy."""
    made = through(by_path(mapped))
    mapped[5, 5] = -1
    assert made[5, 5] == -1


def test_what_is_written_there_stays_there(mapped: np.memmap[Any, Any]) -> None:
    """A writable one is a copy of the pages that are written."""
    made = through(by_path(mapped, writable=True))
    made[5, 5] = -1
    assert mapped[5, 5] == 205
    assert through(by_path(mapped))[5, 5] == 205


def test_the_same_one_twice(mapped: np.memmap[Any, Any]) -> None:
    """It is mapped once."""
    described, other = by_path(mapped), np.arange(3)
    one, two, three, four = through([described, other, {"x": described}, other])
    assert one is three["x"]
    assert two is four


def test_what_has_no_path(tmp_path: Path, mapped: np.memmap[Any, Any]) -> None:
    """Each error says why, and what to do."""
    with pytest.raises(TypeError, match="not this ndarray: write the array with numpy.save"):
        by_path(np.arange(3))
    with pytest.raises(TypeError, match="np.memmap"):
        by_path(mapped + 1)
    with pytest.raises(TypeError, match="not this list"):
        by_path([1, 2])  # type: ignore[arg-type] # the test's subject
    with pytest.raises(ValueError, match="empty"):
        by_path(mapped[:0])
    private = np.load(str(mapped.filename), mmap_mode="c")
    with pytest.raises(ValueError, match="copy-on-write"):
        by_path(private)
    with (tmp_path / "other").open("w+b", buffering=0) as file:
        os.truncate(file.fileno(), 100)
        objects: Any = np.memmap(file, "u1")
    assert len(through(by_path(objects))) == 100
    (tmp_path / "other").write_bytes(b"short")
    with pytest.raises(ValueError, match="cut short"):
        by_path(objects)
    (tmp_path / "other").unlink()
    with pytest.raises(FileNotFoundError):
        by_path(objects)


def test_a_memmap_itself_is_refused(mapped: np.memmap[Any, Any]) -> None:
    """It is no plain array; the error names both ways to send it."""
    with pytest.raises(SerializationError, match=r"x\[1\].*numpy.asarray.*by_path"):
        encode([1, mapped], path="x")
    assert np.array_equal(through(np.asarray(mapped)), mapped)


def test_to_elsewhere(mapped: np.memmap[Any, Any]) -> None:
    """The error says where in the value it stands."""
    with pytest.raises(SerializationError, match=r'bindings\["x"\]: .*on this machine'):
        encode({"x": by_path(mapped)}, path="bindings", files=False)


def test_an_app_opens_no_path(mapped: np.memmap[Any, Any]) -> None:
    """Whatever a worker sends: the decoder has nothing to open it with."""
    header, buffers = tree_of({"x": by_path(mapped)})
    with pytest.raises(DecodeError, match="only a worker takes those"):
        decode(Payload(header=header, buffers=buffers))


@pytest.mark.parametrize(
    "lie",
    [
        {"p": "relative"}, {"p": ""}, {"p": "/a\0b"}, {"p": 1}, {"p": {"$": "bytes", "b": 0}},
        {"i": [1, 2]}, {"i": [1, 2, 3.0]}, {"i": [1, 2, True]}, {"i": None},
        {"n": -1}, {"n": "0"}, {"n": 129}, {"n": 2**63},
        {"t": "|O"}, {"t": "x"}, {"t": None},
        {"s": [4, 31]}, {"s": [5, 30]}, {"s": [0, 30]}, {"s": [-4, 30]}, {"s": [4] * 65},
        {"r": [240]}, {"r": [240, -9]}, {"r": [2**62, 8]}, {"r": [240, 8, 8]}, {"r": "x"},
    ],
)  # fmt: skip
def test_lies(lie: dict[str, object]) -> None:
    """Nothing is opened for what cannot be."""
    header, _ = tree_of(SAMPLES["an array in a file"])
    opened: list[FileArray] = []
    with pytest.raises(DecodeError):
        decode(Payload(header={**header, **lie}), files=opened.append)
    assert opened == []


@pytest.mark.parametrize("row", json.loads(VECTORS.read_text("utf-8")), ids=lambda r: r["name"])
def test_vectors(row: Any) -> None:
    """What is published is what is written, and is read as it was."""
    sample = SAMPLES[row["name"]]
    header, buffers = tree_of(sample)
    assert (header, [bytes(b).hex() for b in buffers]) == (row["header"], row["buffers"])
    raw = tuple(map(bytes.fromhex, row["buffers"]))
    read = decode(Payload(header=row["header"], buffers=raw), files=lambda described: described)
    assert isinstance(read, FileArray)
    for name in FileArray.__slots__:
        assert getattr(read, name) == getattr(sample, name)


def test_every_sample_has_a_vector() -> None:
    """The file and the samples here are the same list."""
    assert [row["name"] for row in json.loads(VECTORS.read_text("utf-8"))] == list(SAMPLES)


def test_a_file_that_was_written_anew(mapped: np.memmap[Any, Any]) -> None:
    """Under the old name, as programs do that never leave half a file: it is another one."""
    path = Path(str(mapped.filename))
    path.rename(path.with_suffix(".old"))
    np.save(path, np.zeros((300, 40)))
    with pytest.raises(ValueError, match="is not the file that the array was mapped from"):
        by_path(mapped)
    assert mapped.sum() > 0

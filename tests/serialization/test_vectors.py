"""The wire format's published vectors, in both directions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import ml_dtypes
import numpy as np
import orjson
import pandas as pd
import pytest
from scipy import sparse

import asyncbridge
from asyncbridge.protocol import messages as m
from asyncbridge.protocol.keeping import Told
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode, pack, unpack
from asyncbridge.serialization.frames import ORIGIN, Place, place_of
from asyncbridge.serialization.handles import ref, there
from asyncbridge.serialization.rows import TAGS

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).resolve().parents[1] / "vectors"


@asyncbridge.serializable(name="vectors.Point", version=3)
@dataclass
class Point:
    x: object
    y: object


SHARED = np.arange(2, dtype="<i2")
VALUES: dict[str, object] = {
    "None": None,
    "True": True,
    "2**64 - 1": 2**64 - 1,
    "2**64": 2**64,
    "-(2**63) - 1": -(2**63) - 1,
    "-0.0": -0.0,
    "inf": float("inf"),
    "nan": float("nan"),
    "complex(1.5, -0.0)": complex(1.5, -0.0),
    "text with NUL, an accent and an emoji": "a\0\u00e9\U0001f600",
    "lone surrogate U+D800": "\ud800",
    "bytes": b"\0\xff",
    "bytearray": bytearray(b"ab"),
    "memoryview, read-only": memoryview(b"ab"),
    "memoryview, writable": memoryview(bytearray(b"ab")),
    "tuple in a list": [(1, "a"), []],
    "list of 1,024 floats": [0.5, -0.0] * 512,
    "list of 1,024 integers": list(range(-512, 512)),
    "list in slices": [()] * 700,
    "set": {1},
    "frozenset": frozenset({(1,)}),
    "dict, text keys": {"b": 1, "a": {"c": None}},
    "dict, other keys": {1: "a", (2,): "b"},
    'dict, a key "$"': {"$": "int", "v": "ff"},
    "range": range(0, 2**70, 2),
    "slice": slice(None, -1, None),
    "Ellipsis": ...,
    "array, float32": np.array([[1, 2, 3], [4, 5, 6]], "<f4"),
    "array, float32, Fortran order": np.array([[1, 2, 3], [4, 5, 6]], "<f4", order="F"),
    "array, big-endian int16": np.array([1, 258], ">i2"),
    "array, bool, 0-d": np.array(True),
    "array, uint8, empty": np.empty((0, 3), np.uint8),
    "array, complex64": np.array([1 + 2j], "<c8"),
    "array, datetime64[25s]": np.array([0, 1], "<M8[25s]"),
    "array, fixed-width text": np.array(["a", "\u00e9t"], "<U2"),
    "array, fixed-width bytes": np.array([b"a", b"bc"], "S2"),
    "scalar, float32": np.float32(1),
    "scalar, timedelta64[ms]": np.timedelta64(-1, "ms"),
    "scalar, text": np.str_("a"),
    "scalar, bytes": np.bytes_(b"a"),
    "date": date(2024, 2, 29),
    "datetime, zone by key": datetime(2024, 10, 27, 2, 30, 0, 7, ZoneInfo("Europe/Berlin"), fold=1),
    "datetime, without zone": datetime(2024, 1, 1),  # noqa: DTZ001 - that is the case
    "time, UTC": time(1, 2, 3, 4, UTC),
    "timedelta": timedelta(microseconds=-1),
    "timezone with a name": timezone(timedelta(hours=-3), "here"),
    "Decimal": Decimal("-1.50E+7"),
    "Decimal, signalling NaN": Decimal("sNaN12"),
    "Fraction": Fraction(-1, 2**64),
    "UUID": UUID(int=258),
    "PurePosixPath": PurePosixPath("/a/b"),
    "PureWindowsPath": PureWindowsPath("c:/a"),
    "array, structured": np.array(
        [(1, [2, 3], "a")],
        np.dtype([("x", "<i2"), ("y", ">f4", (2,)), (("title", "z"), "<U1")], align=True),
    ),
    "array, void": np.array([b"\1\2", b"\0\3"], "V2"),
    "array, bfloat16": np.array([1, -2], ml_dtypes.bfloat16),
    "scalar, float8_e5m2": ml_dtypes.float8_e5m2(1),
    "scalar, structured": np.array([(1, True)], [("a", "<i4"), ("b", "?")])[0],
    "masked array": np.ma.array([1, 2], mask=[True, False], fill_value=9, dtype="<i2"),
    "masked constant": np.ma.masked,
    "one-hot, float32": np.tile(np.eye(64, dtype="<f4"), (4, 1)),
    "one-hot, big-endian int16, Fortran order": np.asfortranarray(np.eye(300, dtype=">i2")[::-1]),
    "sparse, csr_matrix": sparse.csr_matrix(np.array([[0, 1.5], [0, 0]], "<f4")),
    "sparse, coo_array": sparse.coo_array(np.array([[0, 1], [2, 0]], "<i2")),
    "sparse, dia_array": sparse.dia_array(np.eye(2)),
    "sparse, bsr_array": sparse.bsr_array(np.eye(2, dtype="?"), blocksize=(1, 2)),
    "an array in three places": [SHARED, {"a": SHARED}, np.ma.array([1], mask=[True]), SHARED],
    "series, float64": pd.Series([0.5], index=pd.RangeIndex(1), name="s"),
    "series, nullable Int64": pd.Series([1, None], dtype="Int64"),
    "frame, one dtype": pd.DataFrame([[1, 2]], columns=pd.Index(["a", "b"], dtype="object")),
    "frame, several dtypes": pd.DataFrame(
        {1: [1.5], 2: pd.Series(["x"], dtype="string[python]"), 3: pd.Categorical(["y"])}
    ).astype({3: pd.CategoricalDtype(pd.Index(["y"], dtype="object"), ordered=True)}),
    "index, zone and frequency": pd.date_range(
        "2024-01-01", periods=2, freq="h", tz=UTC, unit="ms", name=("a", 1)
    ),
    "multi-index": pd.MultiIndex.from_product([[1], [2, 3]], names=["k", None]),
    "column of periods": pd.Series(pd.period_range("2024-01", periods=1, freq="M")),
    "column of intervals": pd.Series(pd.interval_range(0, 1)),
    "column of objects": pd.Series([1, pd.NA, pd.NaT], dtype=object),
    "registered, version 3": Point(1, (2,)),
}

PLACES = {"a stream": Place(first=258, received=2**32)}
FRAMES: dict[str, list[m.Message]] = {
    "no message": [],
    "the client's messages": [
        m.Hello(oldest=1, newest=1, session="s-1", client="app 1.0"),
        m.Command(id=1, code="a + 1", bindings=encode({"a": 1})),
        m.Command(id=2, code="b", lifetime="eternal", after=(1,), label="second"),
        m.Cancel(id=2),
        m.Acknowledge(ids=(1, 2)),
        m.Release(names=("a",)),
        m.InfoRequest(id=3),
        m.Ping(nonce=4),
        m.Join(session="s-1", incarnation="w-1", received=7),
        m.Goodbye(),
    ],
    "the worker's messages": [
        m.Welcome(
            version=1,
            incarnation="w-1",
            window=1024,
            window_bytes=268435456,
            frame_bytes=67108864,
            state="importing",
        ),
        m.Refused(code="version", message="no common version"),
        m.StateChanged(state="ready"),
        m.Accepted(ids=(1, 2)),
        m.Started(id=1),
        m.Output(id=1, stream="stdout", text="epoch 1\n"),
        m.Output(id=None, stream="stderr", text="w", dropped=10),
        m.Completed(id=1, value=encode(2)),
        m.Failed(
            id=2,
            fault=m.Fault(
                type="ValueError",
                message="no",
                frames=(("<command 2>", 1, "<module>", "b"),),
                cause=m.Fault(type="KeyError", message="'b'"),
            ),
            because=1,
        ),
        m.Cancelled(id=3),
        m.Cancelled(id=2, began=True),
        m.Info(id=3, info={"queued": 0}),
        m.Pong(nonce=4),
        m.Joined(incarnation="w-1", received=5, lease_ms=30_000),
        m.Progress(id=1, value=encode({"loss": 0.5}), transient=True),
        m.Goodbye(reason="done"),
    ],
    "an error in full": [
        m.Hello(oldest=1, newest=1, session="s-1", locals=True),
        m.Failed(
            id=2,
            fault=m.Fault(
                type="own.Gone",
                message="[Errno 2] gone",
                frames=(("<command 2>", 1, "<module>", "f()"), ("k.py", 3, "f", "g()")),
                text="Traceback:\n  f()\n  g()\nown.Gone: [Errno 2] gone",
                base="OSError",
                details=(("errno", "2"),),
                folds=((1, 2, "  ... 2 frames in keras"),),
                locals=((("x", "1"),), ()),
            ),
        ),
    ],
    "in shared memory": [
        m.Placed(id="1-0", segment="0123456789abcdef0123456789abcdef", offset=0, size=65536),
        m.Returned(ids=("1-0",)),
    ],
    "what the worker has kept": [
        m.Recall(id="2-0", kept="1-0"),
        m.Digest(
            id="2-0", digest="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        ),
        m.Reuse(id="2-0"),
        m.Recall(id="", kept="1-0"),
    ],
    "the queue": [
        m.Command(id=3, code="c", priority=1, overtakes=2),
        m.Prioritize(id=2, priority=-1),
        m.QueueRequest(id=4),
        m.QueueReport(id=4, ahead=(0, 2), others=2),
    ],
    "inline and bulk buffers": [
        m.Completed(
            id=1,
            value=Payload(
                header=[{"$": "bytes", "b": 0}, {"$": "bytes", "b": 1}],
                buffers=(b"abc", m.BulkRef(id="1-1", size=65536)),
            ),
        ),
        m.Completed(id=2, value=encode(np.array([1.0], "<f8"))),
    ],
    "a stream": [
        m.Command(
            id=3,
            code="list(x)",
            bindings=encode({"x": {"steps": 2, "restarts": True, "floats": False}}),
            streams=("x",),
            parts=True,
        ),
        m.StreamTaken(id=3, stream=0, turn=0, count=0),
        m.StreamItem(id=3, stream=0, turn=0, number=0, value=encode(np.array([1], "|u1"))),
        m.StreamEnd(id=3, stream=0, turn=0),
        m.StreamEnd(id=3, stream=1, turn=2, fault=m.Fault(type="OSError", message="gone")),
        m.StreamTaken(id=3, stream=0, turn=0, count=1, waits="item"),
    ],
    "a command that does not come whole": [m.Cancel(id=4, lacking=True)],
    "a session with a name": [
        m.Join(session="s-2", name="nightly"),
        m.Holding(
            newest=8,
            commands=((7, "fit", "running", 20), (8, "", "completed", 0)),
            standing=((7, 1, 60_000, (6,)),),
        ),
        m.Claim(id=8),
        m.Withheld(id=6, code="delivered", message="it is told once"),
        m.Detach(),
    ],
    "what stays in the worker": [
        m.Hello(oldest=1, newest=1, session="s-1", references=True),
        m.Command(id=2, code="Model()", keep=2, sets=("model",)),
        m.Completed(
            id=2,
            value=Payload(header=ref(Told(1, "app.Model", "<Model>", 4096, "gpu:0"))),
            objects=(1,),
        ),
        m.Keep(id=3),
        m.Kept(id=3, kept=True),
        m.Command(
            id=4,
            code="f(a, b, c)",
            bindings=Payload(
                header={"a": there("object", 1), "b": there("command", 0), "c": there("name", "x")}
            ),
            after=(3,),
            uses=(3,),
        ),
        m.Tie(object=1, lease_ms=300_000),
        m.Tie(name="x"),
        m.Release(names=("x",), objects=((1, 2),), commands=(3,)),
        m.InfoRequest(id=5, about="bindings"),
        m.Completed(id=6, value=encode(None), holders=("x is held by y[0]",)),
        m.Advice(kind="memory", text="the worker holds much of the machine's memory"),
    ],
    "an error that halts": [
        m.Halting(on=True, timeout_ms=300_000),
        m.Halted(id=5, error="0a1b2c3d-1", epoch=1, fault=m.Fault(type="OSError", message="gone")),
        m.Decide(
            number=1,
            error="0a1b2c3d-1",
            kind="retry",
            epoch=1,
            values=encode({"a": 1}),
            newest=7,
        ),
        m.Decided(number=1),
        m.Resumed(id=5, error="0a1b2c3d-1", epoch=1),
        m.Decide(number=2, error="0a1b2c3d-1", kind="drop", newest=7),
        m.Decided(number=2, refusal="nothing is halted"),
        m.Dropped(ids=(6, 7), because=5, error="0a1b2c3d-1"),
        m.Dropped(ids=(6, 7), because=5, error="0a1b2c3d-1", asks=True),
    ],
}


def value_vectors() -> list[dict[str, Any]]:
    """Return the value vectors as this code makes them."""
    return [{"name": name, **value_vector(value)} for name, value in VALUES.items()]


def value_vector(value: object) -> dict[str, Any]:
    """Return one value's header and buffers."""
    payload = encode(value)
    buffers = [bytes(buffer).hex() for buffer in payload.buffers]  # type: ignore[arg-type]  # encode makes no BulkRef
    return {"header": orjson.loads(orjson.dumps(payload.header)), "buffers": buffers}


def frame_vectors() -> list[dict[str, str]]:
    """Return the frame vectors as this code makes them."""
    return [
        {"name": name, "frame": pack(frame, place=PLACES.get(name, ORIGIN)).hex()}
        for name, frame in FRAMES.items()
    ]


def published(name: str) -> list[Any]:
    """Read a file of vectors."""
    rows: list[Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return rows


def test_every_value_has_a_vector() -> None:
    """The file and the values here are the same list."""
    assert [row["name"] for row in published("values.json")] == list(VALUES)


@pytest.mark.parametrize("row", published("values.json"), ids=lambda row: row["name"])
def test_values_both_ways(row: Any, same: Callable[[object, object], bool]) -> None:
    """A value is written as its vector says, and the vector is read as that value."""
    value = VALUES[row["name"]]
    written = value_vector(value)
    assert json.dumps(written["header"]) == json.dumps(row["header"])
    assert written["buffers"] == row["buffers"]
    buffers = tuple(map(bytes.fromhex, row["buffers"]))
    assert same(decode(Payload(header=row["header"], buffers=buffers)), value)


@pytest.mark.parametrize("row", published("frames.json"), ids=lambda row: row["name"])
def test_frames_both_ways(row: Any) -> None:
    """Messages are packed to their vector's bytes, and those are read as the messages."""
    frame = bytes.fromhex(row["frame"])
    messages = FRAMES[row["name"]]
    place = PLACES.get(row["name"], ORIGIN)
    assert pack(messages, place=place) == frame
    read = unpack(frame)
    assert place_of(frame) == place
    assert pack(read, place=place) == frame
    assert list(map(bare, read)) == list(map(bare, messages))


def bare(message: m.Message) -> object:
    """Return a message without its payload, which the bytes have shown to be equal."""
    if isinstance(message, m.Completed | m.Progress | m.StreamItem):
        return message.id
    if isinstance(message, m.Command):
        return message.id, message.code, message.lifetime, message.after, message.label
    if isinstance(message, m.Decide):
        return message.number, message.error, message.kind, message.epoch, message.newest
    return message


def test_every_message_class_stands_in_a_frame() -> None:
    """The frames show every row of the message table, and are all published."""
    shown = {type(message) for frame in FRAMES.values() for message in frame}
    assert shown == set(TAGS)
    assert [row["name"] for row in published("frames.json")] == list(FRAMES)

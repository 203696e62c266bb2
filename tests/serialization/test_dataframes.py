from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta, timezone
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_index_equal, assert_series_equal

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode

ZONED = pd.date_range("2024-10-27", periods=3, freq="h", tz="Europe/Berlin", unit="s")
COLUMNS: dict[str, Any] = {
    "bool": np.array([True, False, True]),
    "int": np.array([1, 2, 3], np.int16),
    "float": np.array([0.5, np.nan, -0.0], np.float32),
    "complex": np.array([1j, 2, 3]),
    "moment": np.array(["2024-01-01", "NaT", "1999-01-01"], "M8[ms]"),
    "span": np.array([1, 2, 3], "m8[us]"),
    "object": pd.Series([1, "a", (2, None)], dtype=object),
    "text as objects": pd.Series(["a", "\u00e9\ud83d", "\ude00"], dtype=object),
    "missing": pd.Series([None, np.nan, pd.NA], dtype=object),
    "not a time": pd.Series([pd.NaT, None, 1], dtype=object),
    "str": pd.Series(["a", None, ""], dtype="str"),
    "string": pd.Series(["a", None, "b\0"], dtype="string[python]"),
    "Int64": pd.array([1, None, 3], dtype="Int64"),
    "UInt8": pd.array([1, None, 3], dtype="UInt8"),
    "Float32": pd.array([1.5, None, 3], dtype="Float32"),
    "boolean": pd.array([True, None, False], dtype="boolean"),
    "category": pd.Categorical(["b", None, "a"], categories=["b", "a", "c"], ordered=True),
    "category of numbers": pd.Categorical([3, 1, 3]),
    "zone": ZONED,
    "offset": ZONED.tz_convert(timezone(timedelta(hours=3))),
    "utc": ZONED.tz_convert("UTC").as_unit("ns"),
    "period": pd.period_range("2024-01", periods=3, freq="M"),
    "interval": pd.interval_range(0, 3, closed="left"),
    "interval of times": pd.IntervalIndex.from_breaks(pd.date_range("2024", periods=4)),
}


def identical(one: Any, other: Any) -> None:
    """Compare two objects of pandas in every detail that its own comparison sees, and some more."""
    assert type(one) is type(other)
    compare: Any
    if isinstance(one, pd.Index):
        compare = assert_index_equal
        assert getattr(one, "freq", None) == getattr(other, "freq", None)
        compare(one, other, exact=True, check_categorical=True)
        return
    compare = assert_series_equal if isinstance(one, pd.Series) else assert_frame_equal
    compare(one, other, check_freq=True, check_flags=True, check_categorical=True, check_exact=True)
    assert one.attrs == other.attrs
    identical(one.index, other.index)


@pytest.mark.parametrize("name", COLUMNS)
def test_every_dtype_comes_back_exact(name: str, wire: Callable[[object], Any]) -> None:
    """As a series, as a column among others, and as an index."""
    series = pd.Series(COLUMNS[name], name=name)
    back = wire(series)
    identical(back, series)
    assert [*map(type, back.array)] == [*map(type, series.array)]
    frame = pd.DataFrame({"first": [1, 2, 3], name: COLUMNS[name]})
    identical(wire(frame), frame)
    if name not in ("object", "missing", "not a time"):
        index = pd.Index(COLUMNS[name], name=name)
        identical(wire(index), index)
        identical(wire(pd.Series(1, index=index)), pd.Series(1, index=index))


FRAMES: list[Any] = [
    pd.DataFrame(),
    pd.DataFrame(index=[1, 2]),
    pd.DataFrame(columns=["a", "b"]),
    pd.DataFrame(np.arange(6.0).reshape(2, 3)),
    pd.DataFrame(np.arange(6).reshape(2, 3), columns=["a", "a", "b"]),
    pd.DataFrame({"a": [1, 2], ("b", 1): ["x", "y"], 3: [1.5, None]}),
    pd.DataFrame([[1, "a"]], columns=["same", "same"]),
    pd.DataFrame({"a": [1]}, index=pd.Index(["x"], name=("a", 1))),
    pd.DataFrame({"a": [1, 2]}, index=[7, 7]),
    pd.DataFrame({"a": [1, 2]}).set_flags(allows_duplicate_labels=False),
    pd.DataFrame(
        [[1, 2], [3, 4]],
        index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", None]),
        columns=pd.MultiIndex.from_product([["x"], pd.Categorical(["p", "q"])]),
    ),
    pd.DataFrame({"a": [1, 2, 3]}, index=pd.date_range("2024", periods=3, freq="MS")),
    pd.DataFrame({"a": [1, 2, 3]}, index=pd.timedelta_range("1h", periods=3)),
    pd.RangeIndex(2, 20, 3, name="r"),
    pd.Index([], dtype="int32"),
    pd.Index(["a", None]),
    pd.MultiIndex.from_arrays([[1, None], ["a", "b"]]),
    pd.Series([], dtype="str"),
    pd.Series([1], name=("a", 2.5)),
]


@pytest.mark.parametrize("value", FRAMES, ids=lambda value: type(value).__name__)
def test_frames_and_indexes_come_back_exact(value: Any, wire: Callable[[object], Any]) -> None:
    """Names of any kind, several levels, frequencies, labels that are there twice."""
    identical(wire([value])[0], value)


def test_attributes_and_names_are_kept(wire: Callable[[object], Any]) -> None:
    """What hangs on a frame travels with it."""
    frame = pd.DataFrame({"a": [1]})
    frame.attrs["source"] = {"path": (1, 2)}
    frame.columns.name = "c"
    identical(wire(frame), frame)


def test_a_frame_of_one_dtype_is_not_copied() -> None:
    """Its matrix is the payload's buffer."""
    matrix = np.asfortranarray(np.arange(12.0).reshape(4, 3))
    frame = pd.DataFrame(matrix, copy=False)
    (buffer, *_) = encode(frame).buffers
    assert np.shares_memory(np.frombuffer(buffer, np.uint8), matrix)  # type: ignore[arg-type]  # encode makes no BulkRef


@given(
    st.lists(st.sampled_from(sorted(COLUMNS)), max_size=6),
    st.permutations(range(3)),
    st.sampled_from([None, "n", ("a", 1)]),
)
def test_any_frame_comes_back(
    wire: Callable[[object], Any], names: list[str], rows: list[int], label: object
) -> None:
    """Whatever columns stand side by side, in whatever order the rows are."""
    frame = pd.DataFrame({name: COLUMNS[name] for name in names}, index=range(3)).take(rows)
    frame.index.name = label
    identical(wire(frame), frame)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (pd.Series([1, 0], dtype="Sparse[int]"), r"column of dtype Sparse.* convert it"),
        (pd.Timestamp("2024-01-01"), r"type Timestamp .*to_pydatetime"),
        (pd.Timedelta("1h"), r"type Timedelta .*to_pytimedelta"),
        (pd.Series([object()], dtype=object), r"^value\[0\]: object of type"),
        (
            type("Mine", (pd.DataFrame,), {})({"a": [1]}),
            r"type Mine has no wire form; .*serializes",
        ),
    ],
)
def test_what_does_not_come_back_exact_is_refused(value: object, text: str) -> None:
    """The text names the dtype or the place, and what to do."""
    with pytest.raises(SerializationError, match=text):
        encode(value)


def tampered(value: object, *steps: Any, to: object) -> Payload:
    """Return the payload of a value with one part of its tree replaced."""
    payload = encode(value)
    tree = orjson.loads(orjson.dumps(payload.header))
    place = tree
    for step in steps[:-1]:
        place = place[step]
    place[steps[-1]] = to
    return Payload(header=tree, buffers=payload.buffers)


NUMBERS = pd.Series([1, 2])
TEXT = pd.Series(["a", "b"], dtype="str")
FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
CATEGORY = pd.Series(["a"], dtype="category")


@pytest.mark.parametrize(
    "payload",
    [
        tampered(NUMBERS, "v", to=[]),
        tampered(NUMBERS, "v", "index", to=[0, 1]),
        tampered(NUMBERS, "v", "index", "v", "stop", to=3),
        tampered(NUMBERS, "v", "index", "v", "step", to=0),
        tampered(NUMBERS, "v", "index", "v", "step", to=1.5),
        tampered(NUMBERS, "v", "name", to=[]),
        tampered(NUMBERS, "v", "attrs", to=1),
        tampered(NUMBERS, "v", "duplicates", to=1),
        tampered(NUMBERS, "v", "values", "s", to=[2, 1]),
        tampered(TEXT, "v", "values", 0, to="os.system"),
        tampered(TEXT, "v", "values", 1, to="pickle"),
        tampered(TEXT, "v", "values", 2, to=1),
        tampered(TEXT, "v", "values", 3, to=["a", "b"]),
        tampered(TEXT, "v", "values", 3, "text", to="ab"),
        tampered(TEXT, "v", "values", to=["string"]),
        tampered(FRAME, "v", "columns", "v", "kind", to="os.system"),
        tampered(FRAME, "v", "columns", "v", "kind", to="DatetimeIndex"),
        tampered(FRAME, "v", "columns", "v", "freq", to=5),
        tampered(FRAME, "v", "values", to=[]),
        tampered(FRAME, "v", "values", to={"a": 1}),
        tampered(FRAME, "v", "index", to=None),
        tampered(CATEGORY, "v", "values", 1, "t", to="|u1"),
        tampered(CATEGORY, "v", "values", 2, to=["a"]),
        tampered(CATEGORY, "v", "values", 3, to=None),
        tampered(pd.Series(ZONED), "v", "values", 1, to="weeks"),
        tampered(pd.Series(ZONED), "v", "values", 2, to="os.system"),
        tampered(pd.Series(COLUMNS["period"]), "v", "values", 1, to="os.system"),
        tampered(pd.Series(COLUMNS["interval"]), "v", "values", 1, to="ajar"),
        tampered(pd.Series(COLUMNS["Int64"]), "v", "values", 1, to="Int8"),
        tampered(FRAMES[10].index, "v", "codes", 0, "s", to=[1, 2]),
        tampered(FRAMES[10].index, "v", "levels", to=[[1], [2]]),
        tampered(FRAMES[10].index, "v", "sortorder", to="x"),
    ],
    ids=lambda payload: f"{payload.header['$']}",
)
def test_a_lie_is_a_decode_error(payload: Payload) -> None:
    """Parts that do not fit one another, and names that lead elsewhere, are refused."""
    with pytest.raises(DecodeError, match="^value"):
        decode(payload)


@pytest.mark.parametrize("lengths", [[1, 2], [1, 0], [-2, 1], [2**62, 1]])
def test_lengths_of_texts_are_checked(lengths: list[int]) -> None:
    """They are of exactly the text that is there."""
    payload = tampered(TEXT, "v", "name", to=None)
    buffers = (payload.buffers[0], np.array(lengths).tobytes(), *payload.buffers[2:])
    with pytest.raises(DecodeError, match="lengths of"):
        decode(Payload(header=payload.header, buffers=buffers))


def test_codes_are_checked() -> None:
    """A code beyond its categories or its level never reaches pandas's loops."""
    payload = encode(CATEGORY)
    with pytest.raises(DecodeError, match="codes need to be"):
        decode(
            Payload(
                header=orjson.loads(orjson.dumps(payload.header)),
                buffers=(b"\5", *payload.buffers[1:]),
            )
        )


@pytest.mark.parametrize(
    "freq",
    [
        pd.offsets.BusinessHour(start="10:00", end="16:00"),
        pd.offsets.CustomBusinessDay(holidays=["2026-01-02"]),
        pd.offsets.CustomBusinessDay(weekmask="Mon Tue"),
        pd.offsets.BDay(normalize=True),
        pd.DateOffset(days=2),
    ],
    ids=lambda freq: type(freq).__name__,
)
def test_a_frequency_whose_name_does_not_say_all(freq: Any) -> None:
    """It is refused, with what to do; so done, the index goes."""
    index = pd.date_range("2026-01-01", periods=3, freq=freq)
    with pytest.raises(SerializationError, match=r"has no wire form.*index.freq = None"):
        encode(index)
    index.freq = None
    encode(index)


@pytest.mark.parametrize(
    "freq", ["D", "B", "2h", "ME", "QS-FEB", "W-TUE", "bh", "C", "5min", "YE-MAR"]
)
def test_a_frequency_with_a_name(freq: str, wire: Callable[[object], Any]) -> None:
    """It comes back."""
    index = pd.date_range("2026-01-01", periods=3, freq=freq)
    assert wire(index).freq == index.freq

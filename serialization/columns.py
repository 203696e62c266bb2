"""The columns of data frames and indexes, by their dtype."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from asyncbridge.serialization.registry import Unfit
from asyncbridge.serialization.slices import decoded, in_parts
from asyncbridge.serialization.walk import malformed, shown

if TYPE_CHECKING:
    from collections.abc import Callable

_MASKED: Final = {
    dtype.name: dtype
    for dtype in (
        pd.BooleanDtype(),
        pd.Int8Dtype(),
        pd.Int16Dtype(),
        pd.Int32Dtype(),
        pd.Int64Dtype(),
        pd.UInt8Dtype(),
        pd.UInt16Dtype(),
        pd.UInt32Dtype(),
        pd.UInt64Dtype(),
        pd.Float32Dtype(),
        pd.Float64Dtype(),
    )
}
MAX_RANGE: Final = 2**22
"""Labels of a range that stands for categories, levels or columns: pandas writes those out."""
_AT_ONCE: Final = 2**13
"""Items that are packed or read at once, with the GIL held: about a millisecond's work."""
_MISSING: Final = -1
"""The length of a text that is missing."""


# --- to data -----------------------------------------------------------------------------


def pack_column(array: Any) -> object:
    """Return a column as a numpy array, or a kind and its parts.

    Raises:
        Unfit: Its dtype has no wire form.
    """
    dtype = array.dtype
    # By exact type: pandas's own texts are a subclass of its numpy arrays.
    if isinstance(dtype, np.dtype) or type(array) is pd.arrays.NumpyExtensionArray:
        values = np.asarray(array)
        return _pack_objects(values) if values.dtype.kind == "O" else values
    pack = _PACKERS.get(type(dtype))
    if pack is None:
        if dtype.name in _MASKED:
            return [
                "masked",
                dtype.name,
                array.to_numpy(dtype.numpy_dtype, na_value=0),
                array.isna(),
            ]
        raise Unfit(f"a column of dtype {dtype} has no wire form; convert it with astype()")
    return pack(array)


def weight_of(array: Any) -> int:
    """Return what it takes to pack a column, as ``walk.LONG`` counts: some go item by item."""
    plain = isinstance(array.dtype, np.dtype) and array.dtype.kind != "O"
    return 0 if plain or array.dtype.name in _MASKED else len(array)


def _pack_objects(values: Any) -> object:
    items = _listed(values)
    if _kinds(items) == {str}:
        return ["objects", _pack_texts(items)]
    return ["objects", items]


def _listed(values: Any) -> list[Any]:
    items: list[Any] = []
    for part in in_parts(values, _AT_ONCE):
        items += part.tolist()
    return items


def _kinds(items: list[Any]) -> set[type]:
    return set().union(*({*map(type, part)} for part in in_parts(items, _AT_ONCE)))


def _pack_texts(items: list[Any]) -> object:
    """Return texts as the bytes of all, and the characters of each: lists are slow to write."""
    lengths = np.empty(len(items), np.int64)
    texts, start = list[bytes](), 0
    for part in in_parts(items, _AT_ONCE):
        present = [text for text in part if type(text) is str]
        sizes = [len(text) if type(text) is str else _MISSING for text in part]
        lengths[start : start + len(part)] = sizes
        texts.append("".join(present).encode("utf-8", "surrogatepass"))
        start += len(part)
    return {"text": b"".join(texts), "lengths": lengths}


def _pack_strings(array: Any) -> object:
    dtype = array.dtype
    texts = _pack_texts(_listed(array.to_numpy(object)))
    return ["string", dtype.storage, dtype.na_value is pd.NA, texts]


def _pack_categorical(array: Any) -> object:
    return ["category", array.codes, array.categories, bool(array.ordered)]


def _pack_zoned(array: Any) -> object:
    return ["zoned", array.dtype.unit, array.dtype.tz, np.asarray(array.view("i8"))]


def _pack_period(array: Any) -> object:
    # As the dtype is called: a frequency of the same name may mean another thing.
    return [
        "period",
        array.dtype.name.removeprefix("period[").removesuffix("]"),
        np.asarray(array.astype("int64")),
    ]


def _pack_interval(array: Any) -> object:
    return ["interval", array.closed, pd.Index(array.left), pd.Index(array.right)]


_PACKERS: Final[dict[type, Callable[[Any], object]]] = {
    pd.StringDtype: _pack_strings,
    pd.CategoricalDtype: _pack_categorical,
    pd.DatetimeTZDtype: _pack_zoned,
    pd.PeriodDtype: _pack_period,
    pd.IntervalDtype: _pack_interval,
}

# --- from data ---------------------------------------------------------------------------


def read_column(data: Any) -> Any:
    """Return the array of pandas, or numpy's, for what ``pack_column`` made of one.

    Raises:
        DecodeError: The parts do not fit one another.
    """
    if type(data) is np.ndarray:
        if data.ndim != 1:
            malformed("column", "one dimension")
        return data
    if type(data) is not list or not data or type(data[0]) is not str:
        malformed("column", "an array, or a kind and its parts")
    reader = _READERS.get(data[0])
    if reader is None or len(data) != reader[0]:
        malformed("column", f"a known kind and its parts, got {shown(data[0])}")
    return reader[1](*data[1:])


def _read_objects(items: object) -> Any:
    if type(items) is dict:
        items = _read_texts(items)
    if type(items) is not list:
        malformed("column", "a list of objects")
    values = np.empty(len(items), object)
    values[:] = items
    return values


def _read_texts(parts: Any) -> list[str | None]:
    if parts.keys() != {"text", "lengths"}:
        malformed("column", "texts and their lengths")
    raw, lengths = parts["text"], parts["lengths"]
    if type(raw) is not bytes or not _is_plain(lengths, "int64"):
        malformed("column", "bytes of texts, and 64-bit lengths")
    try:
        text = decoded(raw)
    except UnicodeDecodeError:
        malformed("column", "texts in UTF-8")
    items: list[str | None] = []
    place = 0
    for part in in_parts(lengths, _AT_ONCE):
        for length in part.tolist():
            if length < _MISSING or place + length > len(text):
                malformed("column", "lengths of the texts that are there")
            items.append(None if length == _MISSING else text[place : place + length])
            place += max(length, 0)
    if place != len(text):
        malformed("column", "lengths of all the texts that are there")
    return items


def _is_plain(part: Any, dtype: str | np.dtype[Any]) -> bool:
    return type(part) is np.ndarray and part.ndim == 1 and part.dtype == dtype


def _read_strings(storage: object, is_na: object, parts: object) -> Any:
    if storage not in ("python", "pyarrow") or type(is_na) is not bool or type(parts) is not dict:
        malformed("column", "a storage of texts, and what is missing")
    dtype: Any = pd.StringDtype(str(storage), na_value=pd.NA if is_na else np.nan)
    return pd.array(_read_texts(parts), dtype=dtype)


def _read_masked(name: object, values: Any, mask: Any) -> Any:
    dtype = _MASKED.get(name) if type(name) is str else None
    if dtype is None or not _is_plain(mask, "bool"):
        malformed("column", "a dtype that can miss values, and which it misses")
    if not _is_plain(values, dtype.numpy_dtype) or len(values) != len(mask):
        malformed("column", "as many values as say whether they are missing")
    kind: Any = dtype.construct_array_type()
    return kind(values, mask, copy=not (values.flags.writeable and mask.flags.writeable))


def _read_categorical(codes: Any, categories: object, ordered: object) -> Any:
    if type(codes) is not np.ndarray or codes.ndim != 1 or codes.dtype.kind != "i":
        malformed("column", "integers for its codes")
    if not isinstance(categories, pd.Index) or type(ordered) is not bool:
        malformed("column", "an index of its categories, and whether they are ordered")
    check_range(categories)
    # It checks the codes against the categories.
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(categories, ordered))


def check_range(index: object) -> None:
    """Refuse a range that takes a few bytes on the wire, and any amount of memory in use."""
    if isinstance(index, pd.RangeIndex) and len(index) > MAX_RANGE:
        malformed("range-index", f"at most {MAX_RANGE} labels here, got {len(index)}")


def _read_zoned(unit: object, zone: Any, values: Any) -> Any:
    if unit not in ("s", "ms", "us", "ns") or not _is_plain(values, "int64"):
        malformed("column", "64-bit moments, and their unit")
    if not isinstance(zone, tzinfo):
        malformed("column", "a time zone")
    moments: Any = pd.DatetimeIndex(values.view(f"M8[{unit}]"), copy=False)
    return moments.tz_localize("UTC").tz_convert(zone).array


def _read_period(freq: object, values: Any) -> Any:
    if type(freq) is not str or not _is_plain(values, "int64"):
        malformed("column", "64-bit ordinals, and their frequency")
    return pd.PeriodIndex.from_ordinals(values, freq=freq).array


def _read_interval(closed: Any, left: Any, right: Any) -> Any:
    if not isinstance(left, pd.Index) or not isinstance(right, pd.Index):
        malformed("column", "an index for each side of its intervals")
    check_range(left)
    check_range(right)
    return pd.arrays.IntervalArray.from_arrays(left, right, closed=closed)


_READERS: Final[dict[str, tuple[int, Callable[..., Any]]]] = {
    "objects": (2, _read_objects),
    "string": (4, _read_strings),
    "masked": (4, _read_masked),
    "category": (4, _read_categorical),
    "zoned": (4, _read_zoned),
    "period": (3, _read_period),
    "interval": (4, _read_interval),
}

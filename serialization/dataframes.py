"""Data frames, series and indexes of pandas, as the arrays that they are made of.

Not through Arrow: most columns are numpy's, and travel so without a copy or another package.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from asyncbridge.serialization.cells import column_step, spell, spell_frame
from asyncbridge.serialization.columns import check_range, pack_column, read_column, weight_of
from asyncbridge.serialization.registry import Entry, Unfit, own
from asyncbridge.serialization.walk import malformed

_INDEXES: Final = {
    kind.__name__: kind
    for kind in (
        pd.Index,
        pd.DatetimeIndex,
        pd.TimedeltaIndex,
        pd.PeriodIndex,
        pd.IntervalIndex,
        pd.CategoricalIndex,
    )
}
_WITH_FREQUENCY: Final = (pd.DatetimeIndex, pd.TimedeltaIndex)


def _parts(tag: str, data: object, names: tuple[str, ...]) -> list[Any]:
    if type(data) is not dict or tuple(data) != names:
        malformed(tag, f"the parts {', '.join(names)}")
    return list(data.values())


# --- indexes -----------------------------------------------------------------------------

_INDEX: Final = ("kind", "values", "name", "freq")
_RANGE: Final = ("start", "stop", "step", "name")
_MULTI: Final = ("levels", "codes", "names", "sortorder")


def _take_index(value: Any) -> object:
    freq = _text_of_frequency(value) if isinstance(value, _WITH_FREQUENCY) else None
    parts = (type(value).__name__, pack_column(value.array), value.name, freq)
    return dict(zip(_INDEX, parts, strict=True))


def _text_of_frequency(value: Any) -> str | None:
    """Return an index's frequency by its name, if that says all of it."""
    text: str | None = value.freqstr
    if text is None:
        return None
    try:
        named = to_offset(text)
    except ValueError:
        named = None
    if named != value.freq or vars_of(named) != vars_of(value.freq):
        raise Unfit(
            f"a {type(value).__name__} of frequency {value.freq!r} has no wire form: its name "
            f"{text!r} does not say all of it; set index.freq = None"
        )
    return text


def vars_of(offset: Any) -> tuple[object, ...]:
    """Return what a frequency's equality leaves out."""
    names = ("n", "normalize", "holidays", "weekmask", "start", "end", "offset")
    return tuple(str(getattr(offset, name, None)) for name in names)


def _put_index(data: object) -> pd.Index:
    name, column, label, freq = _parts("index", data, _INDEX)
    kind = _INDEXES.get(name) if type(name) is str else None
    if kind is None or (freq is not None and type(freq) is not str):
        malformed("index", "a kind of index, and the text of its frequency or null")
    values = read_column(column)
    options: Any = {"freq": freq} if kind in _WITH_FREQUENCY else {}
    index: Any = kind(values, dtype=values.dtype, name=label, copy=False, **options)
    if type(index) is not kind:
        malformed("index", f"values of a {name}")
    return index


def _take_range(value: pd.RangeIndex) -> object:
    return dict(zip(_RANGE, (value.start, value.stop, value.step, value.name), strict=True))


def _put_range(data: object) -> pd.RangeIndex:
    *bounds, name = _parts("range-index", data, _RANGE)
    if {*map(type, bounds)} != {int}:
        malformed("range-index", "integers for its bounds and its step")
    return pd.RangeIndex(*bounds, name=name)


def _take_multi(value: pd.MultiIndex) -> object:
    codes = [np.asarray(code) for code in value.codes]
    parts = (list(value.levels), codes, list(value.names), value.sortorder)
    return dict(zip(_MULTI, parts, strict=True))


def _put_multi(data: object) -> pd.MultiIndex:
    levels, codes, names, sortorder = _parts("multi-index", data, _MULTI)
    for level in levels if type(levels) is list else ():
        check_range(level)
    if not type(levels) is type(codes) is type(names) is list:
        malformed("multi-index", "lists of levels, codes and names")
    if not all(isinstance(level, pd.Index) for level in levels):
        malformed("multi-index", "an index for each level")
    if not all(type(code) is np.ndarray and code.dtype.kind == "i" for code in codes):
        malformed("multi-index", "integers for its codes")
    if sortorder is not None and type(sortorder) is not int:
        malformed("multi-index", "an integer for its sort order, or null")
    # It checks the codes against the levels.
    return pd.MultiIndex(levels=levels, codes=codes, names=names, sortorder=sortorder)


# --- series and frames -------------------------------------------------------------------

_SERIES: Final = ("values", "index", "name", "attrs", "duplicates")
_FRAME: Final = ("values", "index", "columns", "attrs", "duplicates")


def _take_series(value: pd.Series) -> object:
    parts = (pack_column(value.array), value.index, value.name, *_marks(value))
    return dict(zip(_SERIES, parts, strict=True))


def _marks(value: Any) -> tuple[object, bool]:
    return dict(value.attrs), bool(value.flags.allows_duplicate_labels)


def _set_marks(value: Any, attrs: object, duplicates: object) -> Any:
    if type(attrs) is not dict or type(duplicates) is not bool:
        malformed("frame", "a dict of attributes, and whether labels may be there twice")
    value.attrs.update(attrs)
    # Told apart, because allowing it checks nothing and costs nothing.
    return value if duplicates else value.set_flags(allows_duplicate_labels=False)


def _weigh_series(value: pd.Series | pd.Index) -> int:
    return weight_of(value.array)


def _weigh_frame(value: pd.DataFrame) -> int:
    return sum(weight_of(value.iloc[:, place].array) for place in range(value.shape[1]))


def _put_series(data: object) -> pd.Series:
    column, index, name, attrs, duplicates = _parts("series", data, _SERIES)
    return _set_marks(_series(read_column(column), index, name), attrs, duplicates)


def _series(values: Any, index: object, name: Any) -> pd.Series:
    if not isinstance(index, pd.Index) or len(index) != len(values):
        malformed("series", "an index as long as its values")
    return pd.Series(values, index=index, dtype=values.dtype, name=name, copy=False)


def _take_frame(value: pd.DataFrame) -> object:
    parts = (_pack_columns(value), value.index, value.columns, *_marks(value))
    return dict(zip(_FRAME, parts, strict=True))


def _pack_columns(value: pd.DataFrame) -> object:
    """Return one matrix where all columns are numpy's and alike, else column by column."""
    kinds = set(value.dtypes)
    dtype = kinds.pop() if len(kinds) == 1 else None
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return value.to_numpy()
    return [_pack_column_of(value, place) for place in range(value.shape[1])]


def _pack_column_of(frame: pd.DataFrame, place: int) -> object:
    try:
        return pack_column(frame.iloc[:, place].array)
    except Unfit as unfit:
        raise Unfit(str(unfit), step=column_step(frame, place)) from None


def _put_frame(data: object) -> pd.DataFrame:
    values, index, columns, attrs, duplicates = _parts("frame", data, _FRAME)
    if not isinstance(index, pd.Index) or not isinstance(columns, pd.Index):
        malformed("frame", "an index for its rows, and one for its columns")
    check_range(columns)
    if type(values) is np.ndarray:
        if values.shape != (len(index), len(columns)):
            malformed("frame", "a matrix as large as its indexes")
        frame = pd.DataFrame(values, index=index, columns=columns, copy=False)
    else:
        frame = _from_columns(values, index, columns)
    return _set_marks(frame, attrs, duplicates)


def _from_columns(values: object, index: Any, columns: Any) -> pd.DataFrame:
    if type(values) is not list or len(values) != len(columns):
        malformed("frame", "a column for each of its names")
    # By number first: names may be there twice.
    series = {place: _series(read_column(v), index, None) for place, v in enumerate(values)}
    frame = pd.DataFrame(series, index=index, copy=False)
    frame.columns = columns
    return frame


# --- what stands for a missing value -----------------------------------------------------


def _missing(value: Any, tag: str) -> Entry:
    def put(data: object) -> object:
        if data is not None:
            malformed(tag, "null")
        return value

    return own(type(value), tag, lambda value: None, put)


ENTRIES: Final[tuple[Entry, ...]] = (
    own(pd.DataFrame, "frame", _take_frame, _put_frame, spell_frame, weigh=_weigh_frame),
    own(pd.Series, "series", _take_series, _put_series, spell, weigh=_weigh_series),
    *(
        own(kind, "index", _take_index, _put_index, spell, weigh=_weigh_series)
        for kind in _INDEXES.values()
    ),
    own(pd.RangeIndex, "range-index", _take_range, _put_range, spell),
    own(pd.MultiIndex, "multi-index", _take_multi, _put_multi, spell),
    _missing(pd.NA, "pd.NA"),
    _missing(pd.NaT, "pd.NaT"),
)

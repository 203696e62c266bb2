"""Data for ``fit`` and its kin: rows and data frames become arrays, structures stay.

Data frames are told by what they have, so that neither pandas nor anything else is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeGuard, cast

from asyncbridge.models.mirrors.wire import is_handle, keras_name_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Data", "DataTuple", "as_data", "as_data_tuple", "column_names"]

_NUMBERS = frozenset({bool, int, float, complex, str})


class _Column(Protocol):
    """What a pandas ``Series`` has; a column of a ``DataFrame`` is one."""

    name: object
    dtype: Any
    iloc: Any

    def to_numpy(self, dtype: object = ..., *, na_value: object = ...) -> Array: ...
    def isna(self) -> Any: ...


class _Frame(Protocol):
    """What a pandas ``DataFrame`` has."""

    columns: Iterable[object]
    iloc: Any

    def to_numpy(self) -> Array: ...
    def items(self) -> Iterable[tuple[object, _Column]]: ...


# --- what is passed, as arrays -----------------------------------------------------------


def as_data(value: object) -> object:
    """Return data as it travels, and as Keras takes it: it refuses rows that are lists.

    Lists and tuples of numbers, or of rows of them, become one array. Those that hold arrays,
    dicts or what is in the worker are structures (several inputs), as they are for Keras, and
    so is a dict; their parts are converted. A ``DataFrame`` becomes an array ``(rows,
    columns)`` and a ``Series`` one of ``(rows, 1)``, as in Keras; NA becomes NaN. What else
    has ``__array__`` becomes the array that it says. The rest stays: numbers, mirrors, what is
    in the worker or will be, what only the codec can judge.

    Raises:
        ValueError: The rows are not equally long, or hold what is no number or text; a column
            holds no numbers; an array is masked.
    """
    if is_handle(value) or keras_name_of(value) is not None:
        return value
    if isinstance(value, Mapping):
        return {key: as_data(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        if _are_rows(value):
            return _to_array(value)
        parts = [as_data(part) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    if _is_frame(value):
        return _frame_array(value)
    if _is_column(value):
        # Keras makes one column of a Series: (rows, 1), where an array keeps its (rows,).
        return _column_array(value).reshape(-1, 1)
    return _plain_array(value) if hasattr(value, "__array__") else value


def as_data_tuple(value: object) -> object:
    """Return ``(x, y)`` or ``(x, y, sample_weight)`` with each part as ``as_data`` gives it."""
    if isinstance(value, (list, tuple)):
        return tuple(as_data(part) for part in value)
    return value


def _are_rows(value: Iterable[object]) -> bool:
    """Tell rows from a structure, by the types alone: all in C loops for long rows."""
    from numpy import generic  # noqa: PLC0415 - a description needs no numpy

    kinds = set(map(type, value))
    if kinds <= {list, tuple}:
        return all(_are_rows(row) for row in value if isinstance(row, (list, tuple)))
    return all(kind in _NUMBERS or issubclass(kind, generic) for kind in kinds)


def _to_array(rows: list[object] | tuple[object, ...]) -> object:
    from numpy import asarray  # noqa: PLC0415 - as above

    try:
        return asarray(rows)
    except ValueError as error:
        raise ValueError(f"the rows make no array, they must be equally long ({error})") from None


def _plain_array(value: object) -> object:
    """Return a plain array of one of a subclass, or of what says that it is like one."""
    import numpy as np  # noqa: PLC0415 - as above

    if isinstance(value, np.generic) or type(value) is np.ndarray:
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(  # noqa: TRY004 - "expected an array" would be said of a TypeError
            "Keras knows no masks of arrays: give the array without, by filled()"
        )
    return np.asarray(value)


# --- data frames -------------------------------------------------------------------------


def _is_frame(value: object) -> TypeGuard[_Frame]:
    return hasattr(value, "iloc") and hasattr(value, "columns")


def _is_column(value: object) -> TypeGuard[_Column]:
    return hasattr(value, "iloc") and hasattr(value, "dtype")


def _frame_array(frame: _Frame) -> Array:
    whole = frame.to_numpy()
    if whole.dtype.kind in "biufc":
        return whole  # no copy, where the columns are of one dtype
    from numpy import column_stack  # noqa: PLC0415 - as above

    # Columns that have NA, or truth values beside numbers, make an array of objects.
    return column_stack([_column_array(column) for _, column in frame.items()])


def _column_array(column: _Column) -> Array:
    """Return a column's numbers, ``(rows,)``."""
    # Those of pandas's own and of pyarrow say by it which dtype of numpy they are.
    dtype = getattr(column.dtype, "numpy_dtype", column.dtype)
    if getattr(dtype, "kind", "O") not in "biufc":
        raise ValueError(_refusal(column))
    if dtype is column.dtype:
        return column.to_numpy()
    if not column.isna().any():
        return column.to_numpy(dtype)
    return column.to_numpy(dtype if dtype.kind in "fc" else "float64", na_value=float("nan"))


def _refusal(column: _Column) -> str:
    # A category's kind is "O" too, and its name says more.
    kind = getattr(column.dtype, "name", str(column.dtype))
    here = "the Series" if column.name is None else f"column {column.name!r:.60}"
    get = "series" if column.name is None else f"df[{column.name!r:.60}]"
    numbers = f"pandas.to_numeric({get})"
    if kind == "category":
        advice = f"{get}.cat.codes gives the categories' numbers"
    elif "datetime" in kind or "timedelta" in kind or "timestamp" in kind:
        advice = f"{get}.astype('int64') gives times as numbers; drop it if it tells nothing"
    else:
        advice = (
            f"{numbers} reads text that is numbers, {get}.astype('category').cat.codes numbers "
            "the values, pandas.get_dummies() makes a column of each"
        )
    return f"{here} is of dtype {kind}, and Keras trains on numbers: {advice}"


# --- names, for messages -----------------------------------------------------------------


def column_names(value: object) -> tuple[str, ...]:
    """Return the columns' names of data as it was passed; none, if it has no names.

    Args:
        value: A data frame of pandas, polars or another library, a ``Series``, or anything.
    """
    if is_handle(value):  # its attributes are code
        return ()
    if _is_column(value):
        return () if value.name is None else (str(value.name),)
    named = hasattr(value, "columns") and hasattr(value, "__array__")
    return tuple(map(str, cast(Any, value).columns)) if named else ()


Data = Annotated[object, as_data]
"""An array, a data frame, a list of rows, a dict or list of such (several inputs), or what is
in the worker."""
DataTuple = Annotated[object, as_data_tuple]
"""A tuple ``(x, y)`` or ``(x, y, sample_weight)`` of data, or what is in the worker."""

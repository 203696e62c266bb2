from __future__ import annotations

import asyncio
from typing import Any
from weakref import ref

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.models import layers
from asyncbridge.models.mirrors.data import as_data, as_data_tuple, column_names
from asyncbridge.promise import Promise
from asyncbridge.protocol.keeping import Told
from asyncbridge.references import Binding, Ref, Residence


def array(value: object) -> np.ndarray[Any, Any]:
    """Convert data that is to be one array."""
    result = as_data(value)
    assert type(result) is np.ndarray
    return result


@given(st.lists(st.tuples(st.floats(allow_nan=False), st.integers(-9, 9)), min_size=1))
def test_rows_become_one_array(rows: list[tuple[float, int]]) -> None:
    """A list or tuple of rows is the array that numpy makes of it."""
    for given_rows in (rows, tuple(rows), [list(row) for row in rows]):
        assert np.array_equal(array(given_rows), np.asarray(rows))


@pytest.mark.parametrize("labels", [[0, 1], [True, False], ["a", "b"], [np.int8(1), np.int8(2)]])
def test_labels_become_one_array(labels: list[object]) -> None:
    """A list of plain values is an array of the dtype that numpy gives it."""
    result = array(labels)
    assert result.dtype == np.asarray(labels).dtype
    assert result.tolist() == labels


def test_arrays_and_bindings_stay() -> None:
    """What Keras takes as it is, goes as it is: no copy is made."""
    dense, half = layers.Dense(2), np.float16(0.5)
    for value in (np.zeros(2), Binding("x", "eternal"), None, dense, layers.Dense, 1.5, half):
        assert as_data(value) is value


def test_structures_stay_structures() -> None:
    """Dicts, and lists of arrays, are several inputs; rows inside them become arrays."""
    first = np.zeros(2)
    match as_data([first, [[1], [2]]]):
        case [same, rows]:
            assert same is first
            assert array(rows).tolist() == [[1], [2]]
    match as_data({"a": [1, 2]}):
        case {"a": labels}:
            assert array(labels).tolist() == [1, 2]
    assert type(as_data((first, first))) is tuple
    assert type(as_data([first, first])) is list


def test_a_tuple_of_data_keeps_its_parts_apart() -> None:
    """Validation data are x and y, never rows of one array."""
    parts = as_data_tuple([[[1, 2], [3, 4]], [0, 1]])
    assert isinstance(parts, tuple)
    assert [array(part).shape for part in parts] == [(2, 2), (2,)]
    assert as_data_tuple(None) is None


def test_ragged_rows_are_refused() -> None:
    """Rows that make no array are a ValueError which says so."""
    with pytest.raises(ValueError, match="equally long"):
        as_data([[1], [1, 2]])


class Measured:
    """An array of another library: all that is known of it is ``__array__``."""

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array([[1.0, 2.0]])


def test_what_is_like_an_array_becomes_one() -> None:
    """``__array__`` says what a value is; a subclass of arrays becomes a plain array."""
    assert array(Measured()).tolist() == [[1.0, 2.0]]
    assert array(np.zeros(2).view(np.recarray)).tolist() == [0.0, 0.0]


def test_masked_arrays_are_refused() -> None:
    """A mask would be lost on the way, so it is for the user to fill."""
    with pytest.raises(ValueError, match=r"filled\(\)"):
        as_data(np.ma.masked_equal([1, 2], 2))


@pytest.mark.asyncio
async def test_handles_stay_as_they_are() -> None:
    """The value of a promise, or of a reference, is in the worker, or will be: none is asked of it."""
    promise: Promise[Any] = Promise(loop=asyncio.get_running_loop())
    binding = Binding("x", "eternal")
    reference = Ref(Told(1, "app.Data", "<Data>", 0, ""), ref(binding), Residence("i"))
    for handle in (promise, binding, reference, reference.train[:10]):
        assert as_data(handle) is handle
        pair = as_data([handle, {"a": handle}])
        assert isinstance(pair, list)
        assert pair[0] is pair[1]["a"] is handle


# --- data frames -------------------------------------------------------------------------


def test_a_frame_is_an_array_without_a_copy() -> None:
    """Columns of one dtype are an array as they lie."""
    frame = pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=["a", "b"])
    assert np.shares_memory(array(frame), frame.to_numpy())
    assert array(frame).tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


def test_a_series_is_one_column() -> None:
    """As for Keras: ``(rows, 1)``, alone and in a dict; rows of a list keep ``(rows,)``."""
    series = pd.Series([1, 2, 3])
    assert array(series).shape == (3, 1)
    match as_data({"a": series, "b": [1, 2, 3]}):
        case {"a": a, "b": b}:
            assert (array(a).shape, array(b).shape) == ((3, 1), (3,))


@pytest.mark.parametrize(
    ("columns", "dtype", "rows"),
    [
        ([[1, 2], [0.5, 1.5]], "float64", [[1, 0.5], [2, 1.5]]),
        ([[True, False], [1, 2]], "int64", [[1, 1], [0, 2]]),
        ([pd.array([1, 2], dtype="Int8")], "int8", [[1], [2]]),
        ([pd.array([1, 2], dtype="Float32"), [1, 2]], "float64", [[1, 1], [2, 2]]),
        ([pd.array([True, False], dtype="boolean")], "bool", [[True], [False]]),
    ],
)
def test_columns_of_several_dtypes(columns: list[Any], dtype: str, rows: object) -> None:
    """Numbers of several dtypes, nullable ones too, have the dtype that numpy finds for all."""
    result = array(pd.DataFrame(dict(enumerate(columns))))
    assert (result.dtype, result.tolist()) == (dtype, rows)


@pytest.mark.parametrize(("kind", "dtype"), [("Int64", "float64"), ("Float32", "float32")])
def test_missing_values_are_nan(kind: Any, dtype: str) -> None:
    """NA, for which an array of numbers has no value, is NaN; integers become floats for it."""
    column = pd.array([1, None, 3], dtype=kind)
    for value in (pd.DataFrame({"a": column}), pd.Series(column)):
        result = array(value)
        assert (result.dtype, result.shape) == (dtype, (3, 1))
        assert np.array_equal(result, np.array([[1], [np.nan], [3]]), equal_nan=True)


@pytest.mark.parametrize(
    ("column", "kind", "advice"),
    [
        (["setosa", "virginica"], "", "pandas.get_dummies"),
        (pd.Series([1, "b"], dtype=object), "object", r"pandas.to_numeric\(df\['species'\]\)"),
        (pd.Categorical(["a", "b"]), "category", r"df\['species'\].cat.codes"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "datetime64", "astype"),
    ],
)
def test_columns_without_numbers_are_refused(column: Any, kind: str, advice: str) -> None:
    """The error names the column, says its dtype and what makes numbers of it, and no data."""
    frame = pd.DataFrame({"length": [1.0, 2.0], "species": column})
    with pytest.raises(
        ValueError, match=f"column 'species' is of dtype {kind}.*{advice}"
    ) as caught:
        as_data(frame)
    assert "virginica" not in str(caught.value)
    with pytest.raises(ValueError, match="the Series is of dtype"):
        as_data(pd.Series(column))


def test_column_names() -> None:
    """Frames have names for all columns, a Series may have one, arrays have none."""
    frame = pd.DataFrame([[1, 2]], columns=["a", 7])
    assert column_names(frame) == ("a", "7")
    assert column_names(frame["a"]) == ("a",)
    for value in (pd.Series([1]), np.zeros(2), [[1]], {"a": frame}, None):
        assert column_names(value) == ()
    binding = Binding("x", "eternal")
    for handle in (binding, binding.attr("frame")):
        assert column_names(handle) == ()

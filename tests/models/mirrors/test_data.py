from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.lifetime.binding import Binding
from asyncbridge.models.mirrors.data import Data, DataTuple

as_data = get_args(Data)[1]
as_data_tuple = get_args(DataTuple)[1]


@given(st.lists(st.tuples(st.floats(allow_nan=False), st.integers(-9, 9)), min_size=1))
def test_rows_become_one_array(rows: list[tuple[float, int]]) -> None:
    """A list or tuple of rows is the array that numpy makes of it."""
    for given_rows in (rows, tuple(rows), [list(row) for row in rows]):
        assert np.array_equal(as_data(given_rows), np.asarray(rows))


@pytest.mark.parametrize("labels", [[0, 1], [True, False], ["a", "b"], [np.int8(1), np.int8(2)]])
def test_labels_become_one_array(labels: list[object]) -> None:
    """A list of plain values is an array of the dtype that numpy gives it."""
    result = as_data(labels)
    assert result.dtype == np.asarray(labels).dtype
    assert result.tolist() == labels


def test_arrays_and_bindings_stay() -> None:
    """What Keras takes as it is, goes as it is: no copy is made."""
    array, binding = np.zeros(2), Binding("x", "eternal")
    assert as_data(array) is array
    assert as_data(binding) is binding
    assert as_data(None) is None


def test_structures_stay_structures() -> None:
    """Dicts, and lists of arrays, are several inputs; rows inside them become arrays."""
    first = np.zeros(2)
    listed = as_data([first, [[1], [2]]])
    assert listed[0] is first
    assert np.array_equal(listed[1], [[1], [2]])
    assert np.array_equal(as_data({"a": [1, 2]})["a"], [1, 2])
    assert type(as_data((first, first))) is tuple


def test_a_tuple_of_data_keeps_its_parts_apart() -> None:
    """Validation data are x and y, never rows of one array."""
    x, y = as_data_tuple([[[1, 2], [3, 4]], [0, 1]])
    assert (x.shape, y.shape) == ((2, 2), (2,))
    assert as_data_tuple(None) is None


def test_ragged_rows_are_refused() -> None:
    """Rows that make no array are a ValueError which says so."""
    with pytest.raises(ValueError, match="equally long"):
        as_data([[1], [1, 2]])

"""Sparse tensors as scipy's arrays, of the arrays that any framework has them in."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from scipy import sparse

from asyncbridge.protocol.messages import Completed
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.serialization.frames import pack, unpack
from asyncbridge.serialization.registry import Unfit
from asyncbridge.worker.sparse_tensors import compressed, coordinates

ROWS, COLUMNS = np.array([0, 2, 2]), np.array([1, 0, 0])
VALUES = np.array([1.0, 2.0, 3.0])


def sent(value: object) -> Any:
    """Return what a value comes out as on the other side."""
    (message,) = unpack(pack([Completed(id=1, value=encode(value))]))
    assert isinstance(message, Completed)
    return decode(message.value)


def test_coordinates() -> None:
    """The matrix is made of the very arrays, indices of 64 bits too; what stands twice adds up."""
    made: Any = coordinates(VALUES, (ROWS, COLUMNS), (3, 2))
    assert type(made) is sparse.coo_array
    assert (made.data is VALUES, made.coords[0] is ROWS, made.coords[1] is COLUMNS) == (True,) * 3
    assert made.toarray().tolist() == [[0, 1], [0, 0], [5, 0]]
    back = sent(made)
    assert back.coords[0].dtype == np.int64
    assert back.toarray().tolist() == made.toarray().tolist()


@pytest.mark.parametrize("form", ["csr", "csc", "bsr"])
def test_compressed(form: Literal["csr", "csc", "bsr"]) -> None:
    """So it is by rows, by columns and by blocks."""
    expected: Any = sparse.coo_array((VALUES, (ROWS, COLUMNS)), shape=(4, 2)).asformat(form)
    indices, starts = expected.indices.astype(np.int64), expected.indptr.astype(np.int64)
    made: Any = compressed(form, expected.data, indices, starts, (4, 2))
    assert type(made) is type(expected)
    assert (made.data is expected.data, made.indices is indices, made.indptr is starts) == (
        (True,) * 3
    )
    assert made.toarray().tolist() == expected.toarray().tolist()
    back = sent(made)
    assert back.toarray().tolist() == expected.toarray().tolist()


def test_empty() -> None:
    """A matrix may have no values, and no rows."""
    none = np.zeros(0, np.int64)
    made: Any = coordinates(np.zeros(0), (none, none), (0, 4))
    assert (made.shape, made.nnz) == ((0, 4), 0)
    made = compressed("csr", np.zeros(0), none, np.zeros(1, np.int64), (0, 4))
    assert (made.shape, made.nnz) == ((0, 4), 0)


@pytest.mark.parametrize(
    ("values", "shape", "text"),
    [
        (VALUES, (3,), "a sparse tensor of 1 dimensions goes as scipy's only in two"),
        (VALUES, (3, 2, 1), "a sparse tensor of 3 dimensions"),
        (np.array(["a", "b", "c"], "O"), (3, 2), "of object has no wire form; convert it"),
        (VALUES.astype(np.float16), (3, 2), "of float16 has no form of scipy's"),
    ],
)
def test_what_scipy_has_not(values: Any, shape: tuple[int, ...], text: str) -> None:
    """What is no matrix, or not of numbers that scipy knows, says what to do."""
    with pytest.raises(Unfit, match=text):
        coordinates(values, (ROWS, COLUMNS), shape)

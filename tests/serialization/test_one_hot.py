from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Buffer, Payload
from asyncbridge.serialization import decode, encode
from asyncbridge.serialization.one_hot import SMALLEST
from asyncbridge.serialization.walk import ONE_HOT_TOTAL

Order = Literal["C", "F"]
DTYPES = ["float32", "float64", "float16", "bool", "int8", "uint16", "int64", ">f4", ">i8"]


def one_hot(rows: int, columns: int, dtype: str = "float32", order: Order = "C") -> Any:
    """Make a one-hot matrix with its ones in columns of no order."""
    matrix = np.zeros((rows, columns), dtype, order=order)
    matrix[np.arange(rows), np.arange(rows) * 7919 % columns] = 1
    return matrix


def sent(value: object, *, one_hot: bool = True) -> int:
    """Return how many bytes of buffers a value has on the wire."""
    payload = encode(value, one_hot=one_hot)
    return payload.size - len(orjson.dumps(payload.header))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(3000, 80), (700, 300), (300, 700)])
def test_a_one_hot_matrix_comes_back_dense(
    dtype: str, order: Order, shape: tuple[int, int], exact: Callable[..., None]
) -> None:
    """Dtype, order and shape are those that were sent, in a fraction of the bytes."""
    matrix = one_hot(*shape, dtype, order)
    assert matrix.nbytes >= SMALLEST
    exact(matrix)
    assert sent(matrix) == shape[0] * (1 if shape[1] <= 256 else 2)


def test_it_may_be_switched_off(wire: Callable[[object], Any]) -> None:
    """With the option off the matrix goes as any other."""
    matrix = one_hot(3000, 80)
    assert sent(matrix, one_hot=False) == matrix.nbytes
    assert wire(matrix).flags.writeable


def changed(row: int, column: int, value: float) -> Callable[[Any], None]:
    """Return what sets an item."""
    return lambda matrix: matrix.__setitem__((row, column), value)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "spoil",
    [
        changed(2999, 79, 2),
        changed(1700, 3, -0.0),
        changed(1700, 3, float("nan")),
        changed(0, 1, 1e-45),
        lambda matrix: matrix.__setitem__(2999, 0),
        lambda matrix: matrix.__setitem__(1500, 0.5),
        lambda matrix: matrix.__setitem__((2000, slice(0, 2)), 1),
        lambda matrix: (matrix.__setitem__(5, 0), matrix.__setitem__((6, slice(0, 2)), 1)),
        lambda matrix: matrix.__setitem__(..., 0),
        lambda matrix: matrix.__imul__(-1),
    ],
)
def test_what_is_almost_one_hot_goes_as_it_is(
    spoil: Callable[[Any], object], order: Order, exact: Callable[..., None]
) -> None:
    """A single other bit anywhere counts: a sign of zero, a second one, a row without."""
    matrix = one_hot(3000, 80, "float32", order)
    spoil(matrix)
    assert sent(matrix) == matrix.nbytes
    exact(matrix)


def test_small_narrow_and_strided_matrices_go_as_they_are() -> None:
    """Where the gain is small nothing is looked at."""
    assert sent(one_hot(100, 80)) == 100 * 80 * 4
    assert sent(np.ones((70_000, 1), np.float32)) == 280_000
    strided = one_hot(3000, 160)[:, ::2]
    assert sent(strided) == strided.nbytes


@given(st.integers(300, 2000), st.integers(30, 400), st.integers(0, 2**32 - 1))
def test_any_one_hot_matrix_comes_back(
    exact: Callable[..., None], rows: int, columns: int, seed: int
) -> None:
    """Wherever the ones are."""
    matrix = np.zeros((rows, columns), np.float64)
    matrix[np.arange(rows), np.random.default_rng(seed).integers(0, columns, rows)] = 1
    exact(matrix)


def test_a_value_has_at_most_so_many_dense_bytes() -> None:
    """Beyond the limit a writer sends the matrix as it is; a reader refuses."""
    # Never touched, so it takes no memory.
    wide = np.zeros((2, ONE_HOT_TOTAL // 8 + 1), np.float32)
    wide[:, 0] = 1
    assert sent(wide) == wide.nbytes
    header = form([2, ONE_HOT_TOTAL // 8 + 1], "<f4")
    with pytest.raises(DecodeError, match="at most 1073741824 more bytes"):
        decode(Payload(header=header, buffers=(bytes(8),)))
    half = ONE_HOT_TOTAL // 2 // 4
    both = [form([1, half + 1], "<f4"), {**form([1, half], "<f4"), "b": 1}]
    with pytest.raises(DecodeError, match="more bytes of them in one value"):
        decode(Payload(header=both, buffers=(bytes(4), bytes(4))))


def form(shape: object, dtype: object = "<f4", order: object = "C") -> dict[str, object]:
    """Return a one-hot form."""
    return {"$": "one-hot", "t": dtype, "s": shape, "o": order, "b": 0}


@pytest.mark.parametrize(
    ("tree", "raw"),
    [
        (form([2, 3]), b"\0"),
        (form([2, 3]), b"\0\0\0"),
        (form([2, 3]), b"\0\3"),
        (form([2, 300]), b"\0\0"),
        (form([1, 300]), b"\x2c\1"),
        (form([1, 0]), b"\0"),
        (form([2]), b"\0\0"),
        (form([2, 3, 1]), b"\0\0"),
        (form([-1, 3]), b""),
        (form([2, 3], "<U1"), b"\0\0"),
        (form([2, 3], "<M8[s]"), b"\0\0"),
        (form([2, 3], "<x16"), b"\0\0"),
        (form([2, 3], "O"), b"\0\0"),
        (form([2, 3], order="K"), b"\0\0"),
        (form([2**62, 2**62]), b""),
        (form([0, 2**62]), b""),
    ],
)
def test_a_malformed_one_is_a_decode_error(tree: dict[str, object], raw: Buffer) -> None:
    """Columns past the end, and as many as there are no rows, are refused."""
    with pytest.raises(DecodeError):
        decode(Payload(header=tree, buffers=(raw,)))

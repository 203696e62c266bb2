from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import ml_dtypes
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol.limits import BULK_THRESHOLD
from asyncbridge.protocol.messages import Buffer, Payload
from asyncbridge.serialization import decode, encode
from asyncbridge.serialization.codec import draft
from asyncbridge.serialization.deferred import whole
from asyncbridge.serialization.drafts import Draft

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = ["?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "e", "f", "d", "g", "F", "D", "G"]
MOMENTS = ["M8", "m8", "M8[ns]", "m8[25s]", "M8[Y]", "M8[as]", "M8[2147483647s]"]
TEXTS = ["S1", "S7", "U1", "U5"]
ORDERS: tuple[Literal["<", ">"], ...] = ("<", ">")
ORDERED: list[np.dtype[Any]] = [
    np.dtype(code).newbyteorder(order) for code in NUMBERS + MOMENTS + TEXTS for order in ORDERS
]


def filled(dtype: np.dtype[Any], shape: tuple[int, ...], **layout: Any) -> np.ndarray[Any, Any]:
    """Make an array with a value of its own in each place."""
    count = int(np.prod(shape))
    values = np.arange(count) % 2 if dtype.kind == "b" else np.arange(count)
    if dtype.kind in "mM":
        values = values.astype(np.int64)
    return values.reshape(shape).astype(dtype, **layout)


@pytest.mark.parametrize("dtype", ORDERED, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 4)])
def test_every_dtype_and_shape_comes_back_exact(
    dtype: np.dtype[Any], shape: tuple[int, ...], exact: Callable[..., None]
) -> None:
    """Dtype, byte order, shape and elements are those that were sent."""
    exact(filled(dtype, shape))


@pytest.mark.parametrize("dtype", [np.dtype("<f4"), np.dtype(">f4"), np.dtype("M8[s]")], ids=str)
def test_layouts_keep_their_order(dtype: np.dtype[Any], wire: Callable[[object], Any]) -> None:
    """Fortran order stays; a strided array comes back in C order with the same elements."""
    fortran = filled(dtype, (3, 4), order="F")
    assert wire(fortran).flags.f_contiguous
    assert (wire(fortran) == fortran).all()
    for strided in (
        filled(dtype, (4, 6))[::2, ::-3],
        filled(dtype, (2, 3, 4)).transpose(1, 0, 2),
        np.broadcast_to(filled(dtype, (3,)), (2, 3)),
    ):
        back = wire(strided)
        assert back.flags.c_contiguous
        assert (back == strided).all()
        assert back.dtype == strided.dtype


@given(
    npst.arrays(
        dtype=st.one_of(
            npst.boolean_dtypes(),
            npst.integer_dtypes(endianness="?"),
            npst.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
            npst.complex_number_dtypes(endianness="?", sizes=(64, 128)),
            npst.datetime64_dtypes(endianness="?"),
            npst.byte_string_dtypes(endianness="?"),
            npst.unicode_string_dtypes(endianness="?"),
        ),
        shape=npst.array_shapes(min_dims=0, min_side=0, max_side=4),
    )
)
def test_any_array_comes_back_exact(exact: Callable[..., None], value: object) -> None:
    """No content, such as a NaN with a payload or NaT, changes on the way."""
    exact(value)


SCALARS: list[np.generic] = [
    *(np.dtype(code).type(1) for code in NUMBERS),
    np.float64("nan"),
    np.float32(-0.0),
    np.longdouble(1) / 3,
    np.complex64(complex(-0.0, 2)),
    np.datetime64("NaT", "ns"),
    np.datetime64("2024-01-01T00:00:01", ("s", 25)),
    np.timedelta64(5, "h"),
    np.timedelta64(-3, "Y"),
    np.str_(""),
    np.str_("a\x00\u00e9"),
    np.str_("\ud800"),
    np.bytes_(b""),
    np.bytes_(b"a\xff"),
]


@pytest.mark.parametrize("value", SCALARS, ids=lambda value: f"{type(value).__name__}-{value!r}")
def test_scalars_keep_their_type(value: object, exact: Callable[..., None]) -> None:
    """A numpy scalar is never a Python number after the wire, nor another numpy one."""
    exact(value)
    exact({"in": [value]})


def test_the_wire_is_little_endian() -> None:
    """A big-endian array has the same bytes on the wire as the little-endian one."""
    values = [1.5, -2.0, 3.25]
    little, big = (encode(np.array(values, dtype)) for dtype in ("<f4", ">f4"))
    assert little.buffers == big.buffers == (np.array(values, "<f4").tobytes(),)


def test_a_contiguous_array_is_not_copied() -> None:
    """The payload's buffer is the array's own memory, in C or Fortran order, and keeps it."""
    for array in (np.zeros((3, 4)), np.zeros((3, 4), order="F"), np.zeros(3, "M8[s]")):
        (buffer,) = encode(array).buffers
        assert isinstance(buffer, memoryview)
        assert np.shares_memory(np.frombuffer(buffer, np.uint8), array)


def test_a_writable_buffer_becomes_a_writable_view() -> None:
    """A bytearray is the array's memory, with no copy."""
    raw = bytearray(8)
    array = decode_array("<i4", [2], raw)
    array[:] = [1, 2]
    assert raw == b"\x01\0\0\0\x02\0\0\0"


def test_a_small_read_only_buffer_is_copied() -> None:
    """A small result is a writable array of its own, however its bytes came."""
    array = decode_array("|u1", [3], memoryview(b"abc"))
    array += 1
    assert array.tobytes() == b"bcd"


def test_a_large_read_only_buffer_is_a_read_only_view() -> None:
    """From the inline limit up nothing is copied, so what may not be written stays so."""
    raw = bytes(BULK_THRESHOLD)
    array = decode_array("|u1", [BULK_THRESHOLD], raw)
    assert not array.flags.writeable
    assert np.shares_memory(array, np.frombuffer(raw, np.uint8))


def test_padding_of_extended_floats_is_zero() -> None:
    """Six unused bytes of every x87 float hold nothing of the sender's memory."""
    raw = np.frombuffer(bytes(range(128)) * 2, np.uint8).copy()
    (buffer,) = encode(raw.view(np.longdouble)).buffers
    assert not isinstance(buffer, str)
    sent = np.frombuffer(memoryview(buffer), np.uint8).reshape(-1, 16)  # type: ignore[arg-type]  # encode makes no BulkRef
    assert not sent[:, 10:].any()
    assert (sent[:, :10] == raw.reshape(-1, 16)[:, :10]).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array([1, "a"], object), r"dtype object has no wire form; .*astype"),
        (np.zeros(2, "i4,O"), r"has no wire form; send its fields"),
        (np.zeros(2, [((1, "a"), "i4")]), r"has no wire form; send its fields"),
        (np.zeros(2, [("\ud800", "i4")]), r"has no wire form; send its fields"),
        (np.zeros(2, "V0"), r"has no wire form; convert"),
        (np.zeros(2, ml_dtypes.int4), "dtype int4 has no wire form"),
        (ml_dtypes.int4(1), "type int4 has no wire form"),
        (np.array(["a"], np.dtypes.StringDType()), "has no wire form"),
        (np.zeros(2, [("a", "S0")])["a"], "has no wire form"),
        (np.array([(1, "a")], "i4,O")[0], "scalar of dtype .* has no wire form"),
        (np.zeros(2).view(np.recarray), r"type recarray has .*numpy\.array\(value\)"),
    ],
)
def test_other_arrays_are_refused(value: object, text: str) -> None:
    """What is no plain array of plain elements is refused where it stands, with a way out."""
    with pytest.raises(SerializationError, match=text) as caught:
        encode({"x": [value]}, path="data")
    assert caught.value.path == 'data["x"][0]'


def decode_array(name: object, shape: object, raw: Buffer, order: object = "C") -> Any:
    """Decode one array from its parts."""
    header = {"$": "array", "t": name, "s": shape, "o": order, "b": 0}
    return decode(Payload(header=header, buffers=(raw,)))


@pytest.mark.parametrize(
    ("name", "shape", "raw", "order"),
    [
        ("<f4", [2], b"1234567", "C"),
        ("<f4", [2], b"123456789", "C"),
        ("<f4", [], b"", "C"),
        ("<f4", [2**62, 4], b"", "C"),
        ("<f4", [0, 2**63], b"", "C"),
        ("<f4", [0, 2**62, 2**62], b"", "C"),
        ("<f4", [-1], b"", "C"),
        ("<f4", [-1, -1], b"1234", "C"),
        ("<f4", [True], b"1234", "C"),
        ("<f4", [1.0], b"1234", "C"),
        ("<f4", "1", b"1234", "C"),
        ("<f4", [1] * 65, b"1234", "C"),
        ("<f4", [1], b"1234", "K"),
        ("<f4", [1], b"1234", None),
        ("<f4", [1], b"1234", ["C"]),
        (["<f4"], [1], b"1234", "C"),
        ("|b1", [2], b"\x00\x02", "C"),
        ("<U1", [1], b"\x00\x00\x11\x00", "C"),
        (">U1", [1], b"\xff\xff\xff\xff", "C"),
        ("<U0", [1], b"", "C"),
    ],
)
def test_a_malformed_array_is_a_decode_error(
    name: object, shape: object, raw: bytes, order: object
) -> None:
    """Sizes that do not fit, odd sides and bytes that are no bool or text are refused."""
    with pytest.raises(DecodeError):
        decode_array(name, shape, raw, order)


@pytest.mark.parametrize(
    "header",
    [
        {"$": "scalar", "t": "<f4", "v": "0000"},
        {"$": "scalar", "t": ">f4", "v": "00000000"},
        {"$": "scalar", "t": "|b1", "v": "02"},
        {"$": "scalar", "t": "<U1", "v": "61000000"},
        {"$": "scalar", "t": "<f4", "v": 1},
        {"$": "scalar", "t": None, "v": "00000000"},
        {"$": "np.str", "v": 1},
        {"$": "np.str", "v": {"$": "bytes", "b": 0}},
        {"$": "np.bytes", "b": 0},
    ],
)
def test_a_malformed_scalar_is_a_decode_error(header: object) -> None:
    """A scalar's dtype and hex digits must fit each other."""
    with pytest.raises(DecodeError):
        decode(Payload(header=header))


@pytest.mark.parametrize("kind", ["m8", "M8", "m8[s]", "M8[25us]"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("count", [3, 100_000])
def test_dates_in_any_byte_order(kind: str, order: str, count: int) -> None:
    """Also those without a unit, whose bytes numpy's ``astype`` leaves in their order."""
    value = np.arange(count).astype(f"{order}i8").view(f"{order}{kind}")
    masked = np.ma.MaskedArray(value, mask=value == value[1])
    for sent in (value, value[::2], value[0], masked):
        payload = encode(sent)
        header = orjson.loads(orjson.dumps(payload.header))
        back: Any = decode(Payload(header=header, buffers=payload.buffers))
        assert numbers_of(back) == numbers_of(sent)
        made = draft(sent)
        if isinstance(made, Draft):
            buffers = tuple(whole(part) for part in made.buffers)  # type: ignore[arg-type]
            later: Any = decode(Payload(header=orjson.loads(made.header), buffers=buffers))
            assert numbers_of(later) == numbers_of(sent)


def numbers_of(value: Any) -> tuple[Any, bytes]:
    """Return the dtype of dates, and what they are counted by."""
    data = np.asarray(value.data if isinstance(value, np.ma.MaskedArray) else value)
    return value.dtype, data.view(f"{value.dtype.str[0]}i8").astype("<i8").tobytes()

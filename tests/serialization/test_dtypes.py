from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode
from asyncbridge.serialization.dtypes import (
    MACHINE_LEARNING,
    describe,
    has_holes,
    named_dtype,
    read_dtype,
    without_holes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = ["?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "e", "f", "d", "g", "F", "D", "G"]
MOMENTS = ["M8", "m8", "M8[ns]", "m8[25s]", "M8[Y]", "M8[as]", "M8[2147483647s]"]
OTHERS = ["S1", "S7", "U1", "U5", "V1", "V9"]
NAMED: list[np.dtype[Any]] = [
    *(np.dtype(code).newbyteorder("<") for code in NUMBERS + MOMENTS + OTHERS),
    *(np.dtype(code).newbyteorder(">") for code in NUMBERS + MOMENTS + OTHERS),
    *(np.dtype(getattr(ml_dtypes, name)) for name in MACHINE_LEARNING),
]
STRUCTURED: list[np.dtype[Any]] = [
    np.dtype("i4,f8"),
    np.dtype([("a", "<i2"), ("b", ">f4"), ("c", "U3"), ("d", "S2"), ("e", "?")]),
    np.dtype([("a", "i1"), ("b", "f8")], align=True),
    np.dtype({"names": ["b", "a"], "formats": ["i4", "u1"], "offsets": [8, 1], "itemsize": 20}),
    np.dtype({"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [0, 2]}),
    np.dtype([("in", [("x", "f4", (2, 3)), ("y", "M8[s]")]), ("z", "V3")]),
    np.dtype([("g", "g"), ("G", ">G"), ("h", ml_dtypes.bfloat16)]),
    np.dtype([("", "i4"), (("a title", "\u00e9 $"), "i4")]),
]


@pytest.mark.parametrize("dtype", NAMED, ids=str)
def test_names_and_dtypes_are_inverse(dtype: np.dtype[Any]) -> None:
    """A dtype's name stands for that dtype, of the same scalar type."""
    name = describe(dtype)
    assert isinstance(name, str)
    assert named_dtype(name) == dtype
    assert named_dtype(name).type is dtype.type


@pytest.mark.parametrize("dtype", STRUCTURED, ids=str)
def test_fields_and_dtypes_are_inverse(dtype: np.dtype[Any]) -> None:
    """Names, order, offsets, size and alignment of fields are kept, at any nesting."""
    back = read_dtype(describe(dtype), "array")
    assert back == dtype
    assert (back.itemsize, back.isalignedstruct) == (dtype.itemsize, dtype.isalignedstruct)


@pytest.mark.parametrize("dtype", STRUCTURED, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 2)])
def test_structured_arrays_come_back_exact(
    dtype: np.dtype[Any], shape: tuple[int, ...], wire: Callable[[object], Any]
) -> None:
    """Each field has its values, and so has a single item."""
    array = np.zeros(shape, dtype)
    for index, name in enumerate(array.dtype.names or ()):
        if array[name].dtype.kind != "V":
            array[name] = index + 1
    back = wire(array)
    assert back.dtype == dtype
    assert back.shape == shape
    assert without_holes(back).tobytes() == without_holes(array).tobytes()
    assert repr(wire(array.reshape(-1)[:1])) == repr(array.reshape(-1)[:1])
    if array.size:
        item = array.reshape(-1)[0]
        assert type(wire(item)) is np.void
        assert wire(item).dtype == dtype
        assert repr(wire(item)) == repr(item)


@given(
    npst.arrays(
        dtype=npst.array_dtypes(
            subtype_strategy=st.one_of(
                npst.boolean_dtypes(),
                npst.integer_dtypes(endianness="?"),
                npst.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
                npst.unicode_string_dtypes(endianness="?"),
            ),
            allow_subarrays=True,
        ),
        shape=npst.array_shapes(min_dims=0, min_side=0, max_side=3),
    )
)
def test_any_structured_array_comes_back_exact(exact: Callable[..., None], value: object) -> None:
    """No content of a field, such as a NaN with a payload, changes on the way."""
    exact(value)


@pytest.mark.parametrize("name", MACHINE_LEARNING)
def test_every_bit_of_machine_learning_floats_is_kept(
    name: str, wire: Callable[[object], Any]
) -> None:
    """All bit patterns of bfloat16 and of the float8 kinds come back, as their own dtype."""
    kind = getattr(ml_dtypes, name)
    words = np.arange(2**16, dtype=np.uint16) if name == "bfloat16" else np.arange(256, dtype="u1")
    array = words.view(kind)
    back = wire(array)
    assert back.dtype == array.dtype
    assert (back.view(words.dtype) == words).all()
    scalar = wire(array[3])
    assert type(scalar) is kind
    assert scalar.tobytes() == array[3].tobytes()


def test_holes_carry_nothing_of_the_senders_memory() -> None:
    """Bytes between fields, and the padding of x87 floats inside of them, are zero."""
    for dtype in STRUCTURED:
        raw = np.frombuffer(b"\xff" * dtype.itemsize * 2, np.uint8)
        if not has_holes(dtype):
            continue
        (buffer,) = encode(raw.view(dtype)).buffers
        assert bytes(buffer).count(b"\xff") < len(raw)  # type: ignore[arg-type]  # encode makes no BulkRef


def test_an_array_without_holes_is_not_copied() -> None:
    """Structured items without gaps ride as they are, in the order of bytes of each field."""
    array = np.zeros(3, [("a", "<i4"), ("b", ">i4")])
    (buffer,) = encode(array).buffers
    assert np.shares_memory(np.frombuffer(buffer, np.uint8), array)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    "name",
    [
        "f4",
        "O",
        "|O8",
        "<f3",
        "V4",
        "|V0",
        "i4,i4",
        "(2,3)f4",
        "float32",
        "int4",
        "ml_dtypes.bfloat16",
        "",
        "os.system",
        "<f4\n",
        "=f4",
        "<M8[s]\n",
        "<M8[s",
        "<M8[xs]",
        "<M8[0s]",
        "<M8[2147483648s]",
        "<M8[9999999999999s]",
        "<U536870912",
        "|S99999999999999",
        "|S\u0661",
    ],
)
def test_only_names_of_the_table_are_dtypes(name: str) -> None:
    """Any other text is refused before numpy sees it."""
    with pytest.raises(DecodeError, match="unknown dtype"):
        named_dtype(name)


def fields(**changed: object) -> dict[str, object]:
    """Return a sound form of a structured dtype, with parts changed."""
    return {"n": ["a"], "l": [None], "f": ["<i4"], "o": [0], "z": 4, "a": False, **changed}


def deep() -> object:
    """Return a structure inside of more others than may be."""
    form: dict[str, object] = fields()
    for _ in range(40):
        form = fields(f=[form])
    return form


@pytest.mark.parametrize(
    "form",
    [
        fields(n="a"),
        fields(n=[]),
        fields(n=[1]),
        fields(n=["a", "b"]),
        fields(n=["a", "a"], l=[None, None], f=["<i4", "<i4"], o=[0, 0]),
        fields(n=["a", "b"], l=[None, "a"], f=["<i4", "<i4"], o=[0, 0]),
        fields(l=[1]),
        fields(l=[]),
        fields(f=["O"]),
        fields(f=[1]),
        fields(f=["<i4", "<i4"]),
        fields(f=[{"t": "<i4", "s": [2]}]),
        fields(f=[{"t": "<i4", "s": [-1]}]),
        fields(f=[{"t": "<i4", "s": [2**40, 2**40]}]),
        fields(f=[{"t": "<i4", "s": [0]}]),
        fields(o=[1]),
        fields(o=[-1]),
        fields(o=[True]),
        fields(o=["0"]),
        fields(z=3),
        fields(z=0),
        fields(z=2**31),
        fields(z=True),
        fields(a=1),
        fields(a=True, o=[1], z=8),
        fields(x=1),
        {"n": ["a"]},
        [],
        None,
        deep(),
    ],
)
def test_malformed_fields_are_a_decode_error(form: object) -> None:
    """Fields that overlap the end, repeat a name or lie about their size are refused."""
    with pytest.raises(DecodeError):
        read_dtype(form, "array")


def test_the_contents_of_fields_are_checked() -> None:
    """A byte that is no bool, and a character past Unicode, are refused inside fields, too."""
    for dtype, raw in (("<U1", b"\xff" * 4), ("|b1", b"\x02")):
        form = fields(f=[dtype], z=len(raw))
        header = {"$": "array", "t": form, "s": [1], "o": "C", "b": 0}
        with pytest.raises(DecodeError, match="malformed 'array'"):
            decode(Payload(header=header, buffers=(raw,)))
        with pytest.raises(DecodeError, match="malformed 'scalar'"):
            decode(Payload(header={"$": "scalar", "t": form, "v": raw.hex()}))

"""Plain numpy arrays and scalars as raw little-endian bytes and back.

A dtype travels by its name in a fixed table; a peer's text never reaches ``numpy.dtype``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.limits import BULK_THRESHOLD
from asyncbridge.serialization.values import (
    TAG,
    Encoder,
    Form,
    Refused,
    Sources,
    add_buffer,
    decode_str,
    encode_str,
    malformed,
    take_buffer,
    unhex,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from asyncbridge.protocol.messages import Buffer

Array = np.ndarray[Any, Any]
DType = np.dtype[Any]

MAX_DIMENSIONS: Final = 64
COPY_BELOW: Final = BULK_THRESHOLD
"""Bytes below which a read-only buffer is copied, so that small results are writable arrays.

Larger ones come in memory of their own; who fetches one says, by handing over a writable
buffer or not, whether the array may be written.
"""

_MAX_ITEM: Final = 2**31 - 1
_MAX_CODE_POINT: Final = 0x10FFFF
_EXTENDED_BYTES: Final = 10
"""Significant bytes of an x87 extended float; the other six of its sixteen are padding."""

# By scalar type, not by dtype.char or dtype equality: long and long long are equal dtypes of
# different scalar types, and third-party dtypes reuse the characters.
_CODES: dict[type[np.generic], str] = {
    np.bool_: "b1",
    np.int8: "i1",
    np.int16: "i2",
    np.int32: "i4",
    np.int64: "i8",
    np.uint8: "u1",
    np.uint16: "u2",
    np.uint32: "u4",
    np.uint64: "u8",
    np.float16: "f2",
    np.float32: "f4",
    np.float64: "f8",
    np.complex64: "c8",
    np.complex128: "c16",
}
# Where they are types of their own; elsewhere they are int64 and uint64 themselves.
_CODES.setdefault(np.longlong, "q8")
_CODES.setdefault(np.ulonglong, "Q8")
_EXTENDED: Final = frozenset[type]((np.longdouble, np.clongdouble))
if np.finfo(np.longdouble).nmant == 63 and np.dtype(np.longdouble).itemsize == 16:
    # Its bytes mean the same only where long double is the x87 format: elsewhere unknown.
    _CODES.update({np.longdouble: "x16", np.clongdouble: "x32"})

_UNITS: Final = "Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as"
_MOMENT: Final = re.compile(rf"([<>])([Mm]8)(?:\[([1-9][0-9]*)?({_UNITS})\])?", re.ASCII)
_TEXT: Final = re.compile(r"(?:\|(S)|([<>]U))([1-9][0-9]*)", re.ASCII)
_TEXT_WIDTHS: Final = {"S": 1, "U": 4}


# --- dtypes ------------------------------------------------------------------------------


def _fixed_dtypes() -> Iterator[tuple[str, DType]]:
    for kind, code in _CODES.items():
        dtype = np.dtype(kind)
        if dtype.itemsize == 1:
            yield f"|{code}", dtype
        else:
            yield f"<{code}", dtype.newbyteorder("<")
            yield f">{code}", dtype.newbyteorder(">")


_DTYPES: Final = dict(_fixed_dtypes())


def dtype_name(dtype: DType) -> str | None:
    """Return a dtype's name on the wire, None when it has none.

    A dtype's metadata is no part of the name, as it is none of numpy's equality.
    """
    code = _CODES.get(dtype.type)
    if code is not None:
        return dtype.str[0] + code
    if dtype.kind not in "MmSU" or dtype.itemsize == 0:
        return None
    return dtype.str


def wire_dtype(dtype: DType) -> DType:
    """Return the little-endian dtype whose bytes stand on the wire."""
    return dtype.newbyteorder("<") if dtype.byteorder in "=>" else dtype


@lru_cache(maxsize=256)
def named_dtype(name: str) -> DType:
    """Return the dtype of a name on the wire.

    Raises:
        DecodeError: No dtype has this name here.
    """
    dtype = _DTYPES.get(name)
    if dtype is None:
        dtype = _moment_dtype(name) or _text_dtype(name)
    if dtype is None:
        raise DecodeError(f"unknown dtype {name!r:.40}")
    return dtype


def _moment_dtype(name: str) -> DType | None:
    match = _MOMENT.fullmatch(name)
    if match is None:
        return None
    order, kind, count, unit = match.groups()
    if count is not None and (len(count) > 10 or int(count) > _MAX_ITEM):
        return None
    return np.dtype(f"{order}{kind}" + (f"[{count or ''}{unit}]" if unit else ""))


def _text_dtype(name: str) -> DType | None:
    match = _TEXT.fullmatch(name)
    if match is None:
        return None
    kind, digits = match[1] or match[2], match[3]
    if len(digits) > 10 or int(digits) * _TEXT_WIDTHS[kind[-1]] > _MAX_ITEM:
        return None
    return np.dtype(f"{kind}{digits}")


# --- to the wire -------------------------------------------------------------------------


def _encode_array(value: Array, buffers: list[Buffer], depth: int) -> object:
    name = dtype_name(value.dtype)
    if name is None:
        raise Refused(value, _refusal(value.dtype), depth)
    fortran = value.flags.f_contiguous and not value.flags.c_contiguous
    return {
        TAG: "array",
        "t": name,
        "s": list(value.shape),
        "o": "F" if fortran else "C",
        "b": add_buffer(_raw(value, fortran=fortran), buffers),
    }


def _raw(value: Array, *, fortran: bool) -> memoryview:
    """View an array's elements as bytes, without a copy where they lie as the wire has them."""
    straight = value.T if fortran else value
    flat = straight.astype(wire_dtype(value.dtype), order="C", copy=False).reshape(-1)
    if value.dtype.type in _EXTENDED:
        return _without_padding(flat).data
    # As uint8, because datetime64 and others export no buffer of their own.
    return flat.view(np.uint8).data


def _without_padding(flat: Array) -> Array:
    raw = flat.copy().view(np.uint8)
    raw.reshape(-1, 16)[:, _EXTENDED_BYTES:] = 0
    return raw


def _refusal(dtype: DType) -> str:
    if dtype.kind == "O":
        advice = "give it a dtype with astype(), or send its tolist()"
    elif dtype.names is not None:
        advice = "send its fields one by one, as a dict"
    else:
        advice = "convert it with astype() to a bool, integer, float, complex or string dtype"
    return f"array of dtype {dtype} has no wire form; {advice}"


def _encode_scalar(value: np.generic, buffers: list[Buffer], depth: int) -> object:
    dtype = value.dtype
    flat = np.asarray(value).astype(wire_dtype(dtype), copy=False).reshape(1)
    raw = _without_padding(flat) if dtype.type in _EXTENDED else flat
    return {TAG: "scalar", "t": dtype_name(dtype), "v": raw.tobytes().hex()}


def _encode_text_scalar(value: np.str_, buffers: list[Buffer], depth: int) -> object:
    # str.__str__ would return the same numpy scalar; joining makes plain text of it.
    return {TAG: "np.str", "v": encode_str("".join(value), buffers, depth)}


def _encode_bytes_scalar(value: np.bytes_, buffers: list[Buffer], depth: int) -> object:
    return {TAG: "np.bytes", "b": add_buffer(bytes(value), buffers)}


ENCODERS: Final[Mapping[type, Encoder]] = {
    np.ndarray: _encode_array,
    **dict.fromkeys((*_CODES, np.datetime64, np.timedelta64), _encode_scalar),
    np.str_: _encode_text_scalar,
    np.bytes_: _encode_bytes_scalar,
}

# --- from the wire -----------------------------------------------------------------------


def _decode_array(body: dict[str, object], sources: Sources, depth: int) -> Array:
    dtype = _declared_dtype(body, "array")
    shape = _declared_shape(body["s"])
    order = body["o"]
    if order not in ("C", "F"):
        malformed("array", "'C' or 'F' for its order")
    raw = memoryview(take_buffer(body["b"], sources))
    expected = prod(shape) * dtype.itemsize
    if raw.nbytes != expected:
        malformed("array", f"{expected} bytes of {dtype} for its shape, got {raw.nbytes}")
    return _build(raw, shape, dtype, "F" if order == "F" else "C")


def _build(raw: memoryview, shape: list[int], dtype: DType, order: str) -> Array:
    wire = wire_dtype(dtype)
    layout: Any = order
    try:
        array: Array = np.ndarray(shape, wire, raw, order=layout)
    except (ValueError, OverflowError):
        # The size is right, so only an empty array gets here: its other sides are too long.
        malformed("array", f"a shape that numpy can hold, got {shape!r:.80}")
    _check_content(array)
    if wire != dtype:
        return array.astype(dtype)
    return array.copy(order="K") if raw.readonly and raw.nbytes < COPY_BELOW else array


def _check_content(array: Array) -> None:
    """Refuse bytes that are no bool, or no character: numpy itself trusts them blindly."""
    if array.size == 0:
        return
    if array.dtype.kind == "b" and int(array.view(np.uint8).max()) > 1:
        malformed("array", "bytes 0 and 1 alone for its bools")
    if array.dtype.kind == "U":
        points: Array = array.reshape(-1, order="A").view("<u4")
        if int(points.max()) > _MAX_CODE_POINT:
            malformed("array", "code points of Unicode for its text")


def _declared_dtype(body: dict[str, object], tag: str) -> DType:
    name = body["t"]
    if type(name) is not str:
        malformed(tag, "a dtype's name")
    return named_dtype(name)


def _declared_shape(shape: object) -> list[int]:
    if type(shape) is not list or len(shape) > MAX_DIMENSIONS:
        malformed("array", f"a shape of at most {MAX_DIMENSIONS} dimensions")
    if any(type(side) is not int or side < 0 for side in shape):
        malformed("array", "a shape of integers from 0 up")
    return shape


def _decode_scalar(body: dict[str, object], sources: Sources, depth: int) -> object:
    dtype = _declared_dtype(body, "scalar")
    if dtype.kind in "SU" or dtype.str[0] == ">":
        malformed("scalar", "a native number or moment")
    array: Array = np.frombuffer(unhex(body["v"], dtype.itemsize, "scalar"), dtype)
    _check_content(array)
    return array[0]


def _decode_text_scalar(body: dict[str, object], sources: Sources, depth: int) -> np.str_:
    text = body["v"]
    if type(text) is dict and text.keys() == _B and text[TAG] == "str":
        text = decode_str(text, sources, depth)
    if type(text) is not str:
        malformed("np.str", "text")
    return np.str_(text)


def _decode_bytes_scalar(body: dict[str, object], sources: Sources, depth: int) -> np.bytes_:
    return np.bytes_(bytes(take_buffer(body["b"], sources)))


_B: Final = frozenset((TAG, "b"))

FORMS: Final[Mapping[str, Form]] = {
    "array": (frozenset((TAG, "t", "s", "o", "b")), _decode_array),
    "scalar": (frozenset((TAG, "t", "v")), _decode_scalar),
    "np.str": (frozenset((TAG, "v")), _decode_text_scalar),
    "np.bytes": (_B, _decode_bytes_scalar),
}

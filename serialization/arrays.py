"""Numpy arrays and scalars as raw little-endian bytes and back."""

from __future__ import annotations

import sys
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

from asyncbridge.protocol.limits import BULK_THRESHOLD
from asyncbridge.serialization import one_hot
from asyncbridge.serialization.contents import (
    CHECKED,
    Unchecked,
    are_few_bools,
    check_content,
    check_elements,
    is_checked_later,
    may_be_wrong,
)
from asyncbridge.serialization.dtypes import (
    CODES,
    EXTENDED,
    Array,
    DType,
    converted,
    describe,
    has_holes,
    read_dtype,
    read_shape,
    wire_dtype,
    without_holes,
)
from asyncbridge.serialization.layouts import add_raw, is_fortran
from asyncbridge.serialization.values import decode_str, encode_str
from asyncbridge.serialization.walk import (
    TAG,
    Encoder,
    Form,
    Refused,
    Sink,
    Sources,
    add_buffer,
    malformed,
    take_buffer,
    unhex,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.protocol.messages import Buffer

COPY_BELOW: Final = BULK_THRESHOLD
"""Bytes below which a read-only buffer is copied, so that small results are writable arrays.

Larger ones come in memory of their own; who fetches one says, by handing over a writable
buffer or not, whether the array may be written.
"""

# --- to the wire -------------------------------------------------------------------------


def encode_array(value: Array, buffers: Sink, depth: int) -> object:
    """Write an array; where it stood before in the value, write which one it is."""
    seen = buffers.seen
    if seen is not None and id(value) in seen:
        return buffers.known(value)
    dtype = value.dtype
    form = _AS_THEY_LIE.get(dtype.type) if dtype.isnative else None
    plain = value.ndim != 2 or value.nbytes < one_hot.SMALLEST
    known = form is not None and (form != _BOOL or are_few_bools(value))
    if known and plain and value.size and value.flags.c_contiguous:
        # Most arrays by number are such: half the time of the general way.
        buffers.append(value.data.cast("B"))
        buffers.remember(value)
        return {TAG: "array", "t": form, "s": value.shape, "o": "C", "b": len(buffers) - 1}
    return _encode_any(value, describe(dtype), buffers, depth)


def _encode_any(value: Array, form: object, buffers: Sink, depth: int) -> object:
    if form is None:
        return buffers.stay(Refused(value, _refusal(value.dtype), depth))
    tree = one_hot.encode(value, form, buffers) or _encode_dense(value, form, buffers, depth)
    buffers.remember(value)
    return tree


def _encode_dense(value: Array, form: object, buffers: Sink, depth: int) -> object:
    if not may_be_wrong(value.dtype):
        index = add_raw(value, buffers)
    elif is_checked_later(value, buffers):
        index = buffers.defer(Unchecked(value))
    else:
        check_elements(value, depth)
        index = add_raw(value, buffers)
    return {
        TAG: "array",
        "t": form,
        "s": list(value.shape),
        "o": "F" if is_fortran(value) else "C",
        "b": index,
    }


def _refusal(dtype: DType) -> str:
    if dtype.kind == "O":
        advice = "give it a dtype with astype(), or send its tolist()"
    elif dtype.names is not None:
        advice = "send its fields one by one, as a dict"
    else:
        advice = "convert it with astype() to a bool, integer, float, complex or string dtype"
    return f"array of dtype {dtype} has no wire form; {advice}"


def encode_scalar(value: np.generic, buffers: Sink, depth: int) -> object:
    """Write a numpy scalar that is no text and no bytes."""
    dtype = value.dtype
    form = describe(dtype)
    if form is None:
        raise Refused(value, _refusal(dtype).replace("array", "scalar", 1), depth)
    flat = converted(np.asarray(value).reshape(1), wire_dtype(dtype))
    if dtype.names is not None and may_be_wrong(dtype):
        check_elements(value, depth)
    raw = without_holes(flat) if has_holes(dtype) else flat
    return {TAG: "scalar", "t": form, "v": raw.tobytes().hex()}


def _encode_text_scalar(value: np.str_, buffers: Sink, depth: int) -> object:
    # str.__str__ would return the same numpy scalar; joining makes plain text of it.
    return {TAG: "np.str", "v": encode_str("".join(value), buffers, depth)}


def _encode_bytes_scalar(value: np.bytes_, buffers: Sink, depth: int) -> object:
    return {TAG: "np.bytes", "b": add_buffer(bytes(value), buffers)}


_BOOL: Final = "|b1"
_AS_THEY_LIE: Final = {
    kind: f"{np.dtype(kind).str[0]}{code}"
    for kind, code in CODES.items()
    # Those of which Python has views, and whose bytes are the wire's.
    if np.dtype(kind).kind in "biuf" and kind not in EXTENDED and sys.byteorder == "little"
}
ENCODERS: Final[Mapping[type, Encoder]] = {
    np.ndarray: encode_array,
    **dict.fromkeys((*CODES, np.datetime64, np.timedelta64, np.void), encode_scalar),
    np.str_: _encode_text_scalar,
    np.bytes_: _encode_bytes_scalar,
}

# --- from the wire -----------------------------------------------------------------------


def _decode_array(body: dict[str, object], sources: Sources, depth: int) -> Array:
    form, sides = body["t"], body["s"]
    if type(form) is str and form in _PLAIN and type(sides) is list and len(sides) == 1:
        return _decode_plain(body, sources, _PLAIN[form], sides[0])
    dtype = read_dtype(form, "array")
    shape = read_shape(body["s"], "array")
    order = body["o"]
    if order not in ("C", "F"):
        malformed("array", "'C' or 'F' for its order")
    raw = take_buffer(body["b"], sources)
    size = raw.nbytes if type(raw) is memoryview else len(raw)
    expected = prod(shape) * dtype.itemsize
    if size != expected:
        malformed("array", f"{expected} bytes of {dtype} for its shape, got {size}")
    if size < COPY_BELOW and _is_read_only(raw):
        raw = bytearray(raw)
    array = _build(raw, shape, dtype, fortran=order == "F")
    sources.remember(array)
    return array


def _decode_plain(body: dict[str, object], sources: Sources, dtype: DType, length: object) -> Array:
    """Read numbers in one dimension, as most arrays by number are: half the time."""
    if type(length) is not int or length < 0 or body["o"] not in ("C", "F"):
        malformed("array", "an integer from 0 up for its length, and 'C' or 'F' for its order")
    raw = take_buffer(body["b"], sources)
    size = raw.nbytes if type(raw) is memoryview else len(raw)
    if size != length * dtype.itemsize:
        malformed("array", f"{length * dtype.itemsize} bytes of {dtype} for its shape, got {size}")
    if size < COPY_BELOW and _is_read_only(raw):
        raw = bytearray(raw)
    array: Array = np.ndarray(length, dtype, raw)
    sources.remember(array)
    return array


def _is_read_only(raw: Buffer) -> bool:
    return raw.readonly if type(raw) is memoryview else type(raw) is bytes


def _build(raw: Buffer, shape: list[int], dtype: DType, *, fortran: bool) -> Array:
    wire = wire_dtype(dtype)
    try:
        # Without an order where it can be: to give one takes a third of the time.
        array: Array = (
            np.ndarray(shape, wire, raw, order="F") if fortran else np.ndarray(shape, wire, raw)
        )
    except (ValueError, OverflowError):
        # The size is right, so only an empty array gets here: its other sides are too long.
        malformed("array", f"a shape that numpy can hold, got {shape!r:.80}")
    if dtype.kind in CHECKED:
        check_content(array, "array")
    return array if wire is dtype or wire == dtype else converted(array, dtype)


def _decode_one_hot(body: dict[str, object], sources: Sources, depth: int) -> Array:
    array = one_hot.decode(body, sources)
    sources.remember(array)
    return array


def _decode_scalar(body: dict[str, object], sources: Sources, depth: int) -> object:
    dtype = read_dtype(body["t"], "scalar")
    if dtype.kind in "SU" or dtype.str[0] == ">":
        malformed("scalar", "a native number or moment")
    array: Array = np.frombuffer(bytearray(unhex(body["v"], dtype.itemsize, "scalar")), dtype)
    check_content(array, "scalar")
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


def _decode_same(body: dict[str, object], sources: Sources, depth: int) -> object:
    number, objects = body["n"], sources.objects or ()
    if type(number) is not int or not 0 <= number < len(objects):
        malformed("same", f"one of the {len(objects)} objects before it")
    return objects[number]


_PLAIN: Final = {code: np.dtype(kind) for kind, code in _AS_THEY_LIE.items() if code != _BOOL}
"""Dtypes by name whose bytes are the wire's, whatever they are."""
_B: Final = frozenset((TAG, "b"))

FORMS: Final[Mapping[str, Form]] = {
    "array": (frozenset((TAG, "t", "s", "o", "b")), _decode_array),
    "one-hot": (one_hot.KEYS, _decode_one_hot),
    "scalar": (frozenset((TAG, "t", "v")), _decode_scalar),
    "np.str": (frozenset((TAG, "v")), _decode_text_scalar),
    "np.bytes": (_B, _decode_bytes_scalar),
    "same": (frozenset((TAG, "n")), _decode_same),
}

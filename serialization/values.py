"""Python's own values as JSON and back: the forms of the ones that hold no others.

A value that JSON carries exactly stands for itself; every other one is an object with its
tag under ``"$"``. The forms are written down in ``docs/wire-format.md``.
"""

from __future__ import annotations

import ctypes
import re
import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.limits import BULK_THRESHOLD
from asyncbridge.serialization.deferred import DEFERRED_ABOVE, LaterBytes
from asyncbridge.serialization.slices import CHARACTERS, decoded, write_text
from asyncbridge.serialization.walk import (
    TAG,
    Encoder,
    Form,
    Refused,
    Sink,
    Sources,
    TakesLong,
    add_buffer,
    malformed,
    take_buffer,
    unhex,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.protocol.messages import Buffer

_LOWEST_INT: Final = -(2**63)
_HIGHEST_INT: Final = 2**64 - 1
_HEX_INT: Final = re.compile(r"-?[0-9a-f]+", re.ASCII)
LONG_TEXT: Final = BULK_THRESHOLD
"""Characters from which a text is a buffer: JSON would be written and read again for its quotes."""
_DOUBLE: Final = struct.Struct("<d")
_TWO_DOUBLES: Final = struct.Struct("<dd")


# --- to the wire -------------------------------------------------------------------------


def encode_itself(value: object, buffers: Sink, depth: int) -> object:
    """Return a value that JSON carries as it is."""
    return value


def encode_int(value: int, buffers: Sink, depth: int) -> object:
    """Return a 64-bit integer itself, and any other one in hex.

    Decimal digits would be quadratic in time and capped by the interpreter at 4,300.
    """
    if _LOWEST_INT <= value <= _HIGHEST_INT:
        return value
    return {TAG: "int", "v": format(value, "x")}


def encode_str(value: str, buffers: Sink, depth: int) -> object:
    """Return text itself, unless it is long, or holds lone surrogates, which UTF-8 does not carry."""
    size = len(value)
    if size < LONG_TEXT and is_plain_text(value):
        if size > 1024 and not buffers.sliced:
            buffers.charge(size // CHARACTERS)
        return value
    if size <= DEFERRED_ABOVE:
        return {TAG: "str", "b": add_buffer(value.encode("utf-8", "surrogatepass"), buffers)}
    if not buffers.sliced:
        raise TakesLong
    return {TAG: "str", "b": write_text(value, buffers)}


def is_plain_text(value: str) -> bool:
    """Whether text is free of lone surrogates."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encode_float(value: float, buffers: Sink, depth: int) -> object:
    # The difference is zero for finite numbers alone; JSON carries those exactly.
    if value - value == 0.0:
        return value
    return {TAG: "float", "v": _DOUBLE.pack(value).hex()}


def _encode_complex(value: complex, buffers: Sink, depth: int) -> object:
    return {TAG: "complex", "v": _TWO_DOUBLES.pack(value.real, value.imag).hex()}


def _encode_bytes(value: bytes, buffers: Sink, depth: int) -> object:
    return {TAG: "bytes", "b": add_buffer(value, buffers)}


def _encode_bytearray(value: bytearray, buffers: Sink, depth: int) -> object:
    if buffers.defers and len(value) > DEFERRED_ABOVE:
        return {TAG: "bytearray", "b": buffers.defer(LaterBytes(value))}
    # A copy: a view would forbid its owner to resize it for as long as the payload lives.
    return {TAG: "bytearray", "b": add_buffer(bytes(value), buffers)}


def _encode_memoryview(value: memoryview, buffers: Sink, depth: int) -> object:
    try:
        flat = value.ndim == 1 and value.format == "B"
        if not flat:
            reason = f"memoryview of format {value.format!r} and {value.ndim} dimensions has no"
            raise Refused(value, f"{reason} wire form; send numpy.asarray(view)", depth)
        writable = not value.readonly
    except ValueError:
        raise Refused(value, "this memoryview was released", depth) from None
    if value.c_contiguous:
        index = add_buffer(value, buffers)
    elif buffers.defers and len(value) > DEFERRED_ABOVE:
        index = buffers.defer(LaterBytes(value))
    else:
        index = add_buffer(value.tobytes(), buffers)
    return {TAG: "memoryview", "b": index, "w": writable}


def _encode_range(value: range, buffers: Sink, depth: int) -> object:
    parts = (value.start, value.stop, value.step)
    return {TAG: "range", "v": [encode_int(int(part), buffers, depth) for part in parts]}


def _encode_ellipsis(value: object, buffers: Sink, depth: int) -> object:
    return {TAG: "ellipsis"}


ENCODERS: Final[Mapping[type, Encoder]] = {
    type(None): encode_itself,
    bool: encode_itself,
    int: encode_int,
    float: _encode_float,
    complex: _encode_complex,
    str: encode_str,
    bytes: _encode_bytes,
    bytearray: _encode_bytearray,
    memoryview: _encode_memoryview,
    range: _encode_range,
    type(...): _encode_ellipsis,
}

# --- from the wire -----------------------------------------------------------------------


def decode_int(body: dict[str, object], sources: Sources, depth: int) -> int:
    """Read an integer of any size from its hex digits."""
    text = body["v"]
    if type(text) is not str or _HEX_INT.fullmatch(text) is None:
        malformed("int", "lower-case hex digits")
    return int(text, 16)


def decode_str(body: dict[str, object], sources: Sources, depth: int) -> str:
    """Read text that may hold lone surrogates."""
    try:
        return decoded(take_buffer(body["b"], sources))
    except UnicodeDecodeError as error:
        raise DecodeError(f"malformed 'str' value: {error.reason}") from None


def _decode_float(body: dict[str, object], sources: Sources, depth: int) -> float:
    number: float
    (number,) = _DOUBLE.unpack(unhex(body["v"], _DOUBLE.size, "float"))
    return number


def _decode_complex(body: dict[str, object], sources: Sources, depth: int) -> complex:
    raw = unhex(body["v"], _TWO_DOUBLES.size, "complex")
    return complex(*_TWO_DOUBLES.unpack(raw))


def _decode_bytes(body: dict[str, object], sources: Sources, depth: int) -> bytes:
    return own_bytes(take_buffer(body["b"], sources))


def own_bytes(buffer: Buffer) -> bytes:
    """Return a copy; where it is large, with the GIL released."""
    size = memoryview(buffer).nbytes
    if isinstance(buffer, bytes) or size <= DEFERRED_ABOVE:
        return bytes(buffer)
    made = bytes(size)  # nobody else has it, and its hash was never asked for
    target: Any = ctypes.c_char_p(made)
    ctypes.memmove(target, np.frombuffer(buffer, np.uint8).ctypes.data, size)
    return made


def _decode_bytearray(body: dict[str, object], sources: Sources, depth: int) -> bytearray:
    buffer = take_buffer(body["b"], sources)
    made = bytearray()
    # In slices, for the GIL is held; it grows in place.
    for start in range(0, len(buffer), DEFERRED_ABOVE):
        made += buffer[start : start + DEFERRED_ABOVE]
    return made


def _decode_memoryview(body: dict[str, object], sources: Sources, depth: int) -> memoryview:
    writable = body["w"]
    if type(writable) is not bool:
        malformed("memoryview", "true or false for its 'w'")
    buffer = take_buffer(body["b"], sources)
    # Over bytes of its own, so that a read-only one is hashable, as it was, and pins no frame.
    return memoryview(bytearray(buffer) if writable else bytes(buffer))


def _decode_range(body: dict[str, object], sources: Sources, depth: int) -> range:
    parts = body["v"]
    if type(parts) is not list or len(parts) != 3:
        malformed("range", "start, stop and step")
    start, stop, step = (_range_part(part, sources, depth) for part in parts)
    if step == 0:
        malformed("range", "a step other than 0")
    return range(start, stop, step)


def _range_part(part: object, sources: Sources, depth: int) -> int:
    if type(part) is dict and part.keys() == _V and part[TAG] == "int":
        return decode_int(part, sources, depth)
    if type(part) is not int:
        malformed("range", "integers")
    return part


def _decode_ellipsis(body: dict[str, object], sources: Sources, depth: int) -> object:
    return ...


_V: Final = frozenset((TAG, "v"))
_B: Final = frozenset((TAG, "b"))

FORMS: Final[Mapping[str, Form]] = {
    "int": (_V, decode_int),
    "float": (_V, _decode_float),
    "complex": (_V, _decode_complex),
    "str": (_B, decode_str),
    "bytes": (_B, _decode_bytes),
    "bytearray": (_B, _decode_bytearray),
    "memoryview": (frozenset((TAG, "b", "w")), _decode_memoryview),
    "range": (_V, _decode_range),
    "ellipsis": (frozenset((TAG,)), _decode_ellipsis),
}

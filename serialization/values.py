"""Python's own values as JSON and back: the forms of the ones that hold no others.

A value that JSON carries exactly stands for itself; every other one is an object with its
tag under ``"$"``. The forms are written down in ``docs/wire-format.md``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, Never

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Buffer, BulkRef
from asyncbridge.serialization.deferred import DEFERRED_ABOVE, Deferred, LaterBytes, Undecided

TAG: Final = "$"
"""The key that marks an object as a tagged form."""
MAX_DEPTH: Final = 100
"""Containers inside one another. A level is at most two of JSON's, and orjson writes 254."""
TOO_DEEP: Final = f"more than {MAX_DEPTH} containers stand inside one another"
ONE_HOT_TOTAL: Final = 2**30
"""Bytes that the one-hot matrices of one value may have together when they are dense.

It bounds what a reader allocates for a few indices; a matrix beyond it goes as it is.
"""


class Sink(list[Buffer]):
    """The buffers of the payload that is being written, and what else is known of it.

    Attributes:
        seen: The objects that a later place may refer to, by their address, with their number.
            They are held, so that no other object gets the address meanwhile.
        defers: Whether large buffers that must be made may be made later.
        drafts: Whether what depends on a look at all of an array may stay undecided for now.
        later: Those buffers, by their place in this list, which has empty ones for them.
        dense: Whether one-hot matrices are written like any others.
        files: Whether arrays may go by the path of their file.
        careful: Whether each scalar is looked at, for orjson has refused one that was not.
        hasty: Whether floats were not looked at: in the JSON, null may stand for one of them.
        numbered: How many objects have a number.
        room: Bytes that the one-hot matrices still to be written may have when they are dense.
    """

    # Of the class until they are set: most values hold no array at all.
    seen: dict[int, tuple[object, int]] | None = None
    defers: bool = False
    drafts: bool = False
    later: dict[int, Deferred | Undecided] | None = None
    dense: bool = False
    files: bool = True
    careful: bool = False
    hasty: bool = False
    numbered: int = 0
    room: int = ONE_HOT_TOTAL

    def anew_with_care(self) -> Sink:
        """Return an empty one for the same value, each part of which is looked at."""
        sink = Sink()
        sink.defers, sink.drafts = self.defers, self.drafts
        sink.dense, sink.files, sink.careful = self.dense, self.files, True
        return sink

    def defer(self, buffer: Deferred | Undecided) -> int:
        """Put a buffer last that is made later, and return its index."""
        if self.later is None:
            self.later = {}
        self.later[len(self)] = buffer
        self.append(b"")
        return len(self) - 1

    def known(self, value: object) -> object:
        """Return what refers to an object that was written before, else None."""
        if self.seen is None:
            return None
        entry = self.seen.get(id(value))
        return None if entry is None else {TAG: "same", "n": entry[1]}

    def remember(self, value: object) -> None:
        """Number an object that has just been written."""
        seen = self.seen
        if seen is None:
            seen = self.seen = {}
        seen[id(value)] = (value, self.numbered)
        self.numbered += 1

    def alias(self, value: object, data: object) -> None:
        """Let an object be referred to as what it was turned into, if that has a number."""
        if self.seen is not None and id(data) in self.seen:
            # The number alone, not the entry: that holds the data, and both must live.
            self.seen[id(value)] = ((value, data), self.seen[id(data)][1])


class Sources(list[Buffer | BulkRef | None]):
    """A payload's buffers; None stands for one that a value has taken.

    Attributes:
        objects: What a later place may refer to, by number.
        room: Bytes that one-hot matrices may still become.
        files: Maps what came by the path of its file; None where nothing may come so.
        quickly: Whether what takes long is left to another thread.
    """

    quickly: bool = False
    objects: list[object] | None = None
    files: Callable[[Any], object] | None = None
    room: int = ONE_HOT_TOTAL

    def remember(self, value: object) -> None:
        """Number an object that has just been read."""
        if self.objects is None:
            self.objects = []
        self.objects.append(value)


# A row's function takes exactly its key's type, which no type of a table can say: hence Any.
Encoder = Callable[[Any, Sink, int], object]
"""From a value, the payload's buffers so far and the depth, to a JSON tree."""

Decoder = Callable[[dict[str, object], Sources, int], object]
"""From a tagged object, the payload's buffers and the depth, to a value."""
Form = tuple[frozenset[str], Decoder]
"""The keys that a tagged object has, no more and no less, and what reads it."""

_LOWEST_INT: Final = -(2**63)
_HIGHEST_INT: Final = 2**64 - 1
_HEX_INT: Final = re.compile(r"-?[0-9a-f]+", re.ASCII)
_DOUBLE: Final = struct.Struct("<d")
_TWO_DOUBLES: Final = struct.Struct("<dd")


class TakesLong(Exception):
    """A value is not to be read here: that takes longer than an event loop may be held up."""


class Refused(Exception):
    """A value with no wire form; ``codec.encode`` turns it into the public error.

    Attributes:
        value: The value itself, to find its path by.
        reason: What is wrong, and what to do.
        depth: How many containers stand around it.
        trail: The steps from there on, through what the value was turned into.
    """

    def __init__(
        self, value: object, reason: str, depth: int, trail: list[tuple[str, object]] | None = None
    ) -> None:
        super().__init__(reason)
        self.value = value
        self.reason = reason
        self.depth = depth
        self.trail = trail or []


class Unreadable(Exception):
    """A tagged object that its decoder refuses; ``codec.decode`` turns it into the public error.

    Attributes:
        tree: The object itself, to find its path by.
        reason: What is wrong, and what to do.
    """

    def __init__(self, tree: dict[str, object], reason: str) -> None:
        super().__init__(reason)
        self.tree = tree
        self.reason = reason


def add_buffer(buffer: Buffer, buffers: Sink) -> int:
    """Put a buffer last and return its index."""
    buffers.append(buffer)
    return len(buffers) - 1


def take_buffer(index: object, sources: Sources) -> Buffer:
    """Hand out a payload's buffer, once.

    Raises:
        DecodeError: There is no such buffer, it was taken before, or it is still elsewhere.
    """
    if type(index) is not int or not 0 <= index < len(sources):
        raise DecodeError(f"a value refers to buffer {shown(index)}, of {len(sources)}")
    buffer = sources[index]
    if buffer is None:
        raise DecodeError(f"two values refer to buffer {index}")
    if isinstance(buffer, BulkRef):
        raise DecodeError(
            f"buffer {index} (bulk {buffer.id!r:.80}) was not fetched before decoding"
        )
    sources[index] = None
    return buffer


def shown(part: object) -> str:
    """Describe a part of a peer's tree in few words.

    Never by a container's repr: it may be as long as a frame, and too deep for the stack.
    """
    kind = type(part)
    return f"{kind.__name__} {part!r:.40}" if kind in (int, float, str) else kind.__name__


def malformed(tag: str, expected: str) -> Never:
    """Raise the error for a tagged object whose parts are not what its tag says."""
    raise DecodeError(f"malformed {tag!r} value: expected {expected}")


def unhex(text: object, size: int, tag: str) -> bytes:
    """Read exactly ``size`` bytes from lower-case hex digits."""
    if type(text) is str and len(text) == 2 * size:
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raw = b""
        if raw.hex() == text:
            return raw
    malformed(tag, f"{2 * size} lower-case hex digits")


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
    """Return text itself, unless it holds lone surrogates, which UTF-8 does not carry."""
    if is_plain_text(value):
        return value
    return {TAG: "str", "b": add_buffer(value.encode("utf-8", "surrogatepass"), buffers)}


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
        return bytes(take_buffer(body["b"], sources)).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise DecodeError(f"malformed 'str' value: {error.reason} at byte {error.start}") from None


def _decode_float(body: dict[str, object], sources: Sources, depth: int) -> float:
    number: float
    (number,) = _DOUBLE.unpack(unhex(body["v"], _DOUBLE.size, "float"))
    return number


def _decode_complex(body: dict[str, object], sources: Sources, depth: int) -> complex:
    raw = unhex(body["v"], _TWO_DOUBLES.size, "complex")
    return complex(*_TWO_DOUBLES.unpack(raw))


def _decode_bytes(body: dict[str, object], sources: Sources, depth: int) -> bytes:
    return bytes(take_buffer(body["b"], sources))


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
    if type(part) is int:
        return part
    if type(part) is dict and part.keys() == _V and part[TAG] == "int":
        return decode_int(part, sources, depth)
    malformed("range", "integers")


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

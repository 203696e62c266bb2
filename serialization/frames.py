"""Frames: several messages and their inline buffers in one piece of bytes.

The layout stands byte for byte in ``docs/wire-format.md``.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from asyncbridge.errors import DecodeError, SerializationError, TooLarge
from asyncbridge.protocol.limits import FRAME_BYTES
from asyncbridge.serialization.rows import (
    Row,
    Slots,
    dump,
    read_row,
    without_surrogates,
    write_row,
)
from asyncbridge.serialization.unique_keys import loads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncbridge.protocol.messages import Buffer, Message

MAGIC: Final = b"ABF"
FRAME_VERSION: Final = 3
MAX_MESSAGES: Final = 65536
"""Messages in one frame."""

_PREFIX: Final = struct.Struct("<3sBI")
"""Magic, format, and the CRC-32 of all that follows."""
_COUNTS: Final = struct.Struct("<IIQQ")
"""The header's length, the number of inline buffers, and the frame's place in its session."""
_FIXED: Final = _PREFIX.size + _COUNTS.size
_ALIGNMENT: Final = 8
_PADDING: Final = bytes(_ALIGNMENT)


class DamagedFrame(DecodeError):
    """Bytes were lost or changed on their way; the peer may have written them well."""


class Place(NamedTuple):
    """Where a frame stands in its session.

    Attributes:
        first: How many messages its writer had written before.
        received: How many its writer had read by then.
    """

    first: int = 0
    received: int = 0


ORIGIN: Final = Place()


def pack(
    messages: Sequence[Message], *, place: Place = ORIGIN, max_bytes: int = FRAME_BYTES
) -> bytes:
    """Return the frame that holds these messages, in their order.

    Args:
        messages: At most ``MAX_MESSAGES``.
        place: Where it stands.
        max_bytes: The largest frame that the peer reads.

    Raises:
        TooLarge: The frame would be larger than ``max_bytes``, or hold too many messages.
        SerializationError: A message holds what JSON does not carry.
    """
    if len(messages) > MAX_MESSAGES:
        raise TooLarge(f"{len(messages)} messages in one frame; it holds up to {MAX_MESSAGES}")
    inline: list[Buffer] = []
    rows = [write_row(message, inline) for message in messages]
    header = _dump_rows(rows)
    if not inline:
        _check_size(_FIXED + len(header), max_bytes)
        return _seal(_COUNTS.pack(len(header), 0, *place) + header)
    return _join(header, inline, place, max_bytes)


def pack_all(
    messages: Sequence[Message], *, place: Place = ORIGIN, max_bytes: int = FRAME_BYTES
) -> Iterator[bytes]:
    """Yield as few frames as hold these messages, in their order.

    Raises:
        TooLarge: One message alone is larger than ``max_bytes``.
        SerializationError: A message holds what JSON does not carry.
    """
    try:
        yield pack(messages, place=place, max_bytes=max_bytes)
    except TooLarge:
        if len(messages) == 1:
            raise
        middle = len(messages) // 2
        later = place._replace(first=place.first + middle)
        yield from pack_all(messages[:middle], place=place, max_bytes=max_bytes)
        yield from pack_all(messages[middle:], place=later, max_bytes=max_bytes)


def place_of(frame: bytes | bytearray | memoryview) -> Place:
    """Return where a frame stands that ``unpack`` has read."""
    _, _, first, received = _COUNTS.unpack_from(frame, _PREFIX.size)
    return Place(first, received)


def unpack(
    data: bytes | bytearray | memoryview,
    *,
    max_bytes: int = FRAME_BYTES,
    max_messages: int = MAX_MESSAGES,
) -> list[Message]:
    """Return a frame's messages; their inline buffers are slices of ``data``, not copies.

    Args:
        data: The whole frame and nothing else; it must not change while a buffer lives.
        max_bytes: The largest frame to read.
        max_messages: The most messages to read.

    Raises:
        DecodeError: The bytes are no frame, or one over a limit.
    """
    frame = memoryview(data)
    if frame.nbytes > max_bytes:
        raise DecodeError(f"a frame of {frame.nbytes} bytes; at most {max_bytes} are read")
    header, inline = _split(frame)
    rows = loads(header, "the frame's header")
    if type(rows) is not list or len(rows) > max_messages:
        raise DecodeError(f"the frame's header is no list of at most {max_messages} messages")
    messages = [read_row(row, inline) for row in rows]
    unused = sum(buffer is not None for buffer in inline)
    if unused:
        raise DecodeError(f"no message uses {unused} of the frame's {len(inline)} buffers")
    return messages


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise TooLarge(
            f"a frame of {size} bytes, where the peer reads up to {max_bytes}; "
            "send large data as arrays or bytes, which travel as bulk, not as lists or text"
        )


def _dump_rows(rows: list[Row]) -> bytes:
    try:
        return orjson.dumps(rows)
    except TypeError:
        # Rare: lone surrogates in a text, or no JSON at all, which the second try reports.
        return dump(without_surrogates(rows))


def _join(header: bytes, inline: list[Buffer], place: Place, max_bytes: int) -> bytes:
    """Lay out a frame with buffers, each at a multiple of 8 bytes from its start."""
    sizes = [buffer.nbytes if type(buffer) is memoryview else len(buffer) for buffer in inline]
    offset = _FIXED + 4 * len(sizes) + len(header)
    body: list[Buffer] = []
    for buffer, size in zip(inline, sizes, strict=True):
        gap = -offset % _ALIGNMENT
        body += (_PADDING[:gap], buffer)
        offset += gap + size
    _check_size(offset, max_bytes)
    counts = _COUNTS.pack(len(header), len(sizes), *place) + struct.pack(f"<{len(sizes)}I", *sizes)
    try:
        return _seal(b"".join((counts, header, *body)))
    except (BufferError, TypeError) as error:
        raise SerializationError(
            f"a payload's buffer is not plain, contiguous bytes: {error}"
        ) from None


def _seal(rest: bytes) -> bytes:
    """Put the prefix in front of the rest of a frame."""
    return _PREFIX.pack(MAGIC, FRAME_VERSION, zlib.crc32(rest)) + rest


def _check_seal(frame: memoryview) -> None:
    """Look whether a frame is whole, before anything in it is believed."""
    if (begin := bytes(frame[: len(MAGIC)])) != MAGIC:
        raise DamagedFrame(f"the bytes are no frame: they begin with {begin!r}, not {MAGIC!r}")
    if frame.nbytes < _FIXED:
        raise DamagedFrame(f"a frame of {frame.nbytes} bytes; its prefix alone has {_FIXED}")
    _, version, checksum = _PREFIX.unpack_from(frame)
    if version != FRAME_VERSION:
        raise DamagedFrame(f"a frame of format {version}; this side reads format {FRAME_VERSION}")
    if zlib.crc32(frame[_PREFIX.size :]) != checksum:
        raise DamagedFrame(f"a frame of {frame.nbytes} bytes was damaged or cut on its way")


def _split(frame: memoryview) -> tuple[memoryview, Slots]:
    """Return a frame's header and buffers, every declared size checked against its length."""
    _check_seal(frame)
    header_size, count, _, _ = _COUNTS.unpack_from(frame, _PREFIX.size)
    start = _FIXED + 4 * count
    end = start + header_size
    if end > frame.nbytes:
        raise DecodeError(f"the frame is cut: {end} bytes declared, {frame.nbytes} there")
    sizes = struct.unpack_from(f"<{count}I", frame, _FIXED) if count else ()
    return frame[start:end], _slices(frame, end, sizes)


def _slices(frame: memoryview, offset: int, sizes: tuple[int, ...]) -> Slots:
    inline: Slots = []
    for size in sizes:
        start = offset + -offset % _ALIGNMENT
        if start != offset and any(frame[offset:start]):
            raise DecodeError(f"the padding before buffer {len(inline)} is not zero")
        offset = start + size
        if offset > frame.nbytes:
            raise DecodeError(f"the frame is cut in buffer {len(inline)}, of {size} bytes")
        inline.append(frame[start:offset])
    if offset != frame.nbytes:
        raise DecodeError(f"{frame.nbytes - offset} bytes stand after the frame's end")
    return inline

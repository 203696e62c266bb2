"""Which buffers ride the control socket, and which travel outside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from asyncbridge.errors import TooLarge
from asyncbridge.protocol.limits import BULK_THRESHOLD, HEADER_BYTES, INLINE_BYTES
from asyncbridge.protocol.messages import Buffer, BulkRef, Payload
from asyncbridge.serialization.codec import encode
from asyncbridge.serialization.deferred import Outgoing, Undecided, size_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncbridge.serialization.drafts import Draft

__all__ = ["freeze", "join", "split", "split_draft"]

SMALL_BYTES = 4 * 1024
"""Buffers below this size stay inline even when a message has many."""


def freeze(value: object, *, path: str = "result") -> Payload:
    """Encode a value that may change right afterwards: its buffers are copied, once."""
    payload = encode(value, path=path)
    return Payload(
        header=payload.header,
        buffers=tuple(bytes(buffer) for buffer in raw_buffers(payload)),
        size=payload.size,
    )


def split(payload: Payload, *, prefix: str) -> tuple[Payload, dict[str, Buffer]]:
    """Take the large buffers out of a payload.

    Args:
        payload: A value in wire form, all of whose buffers are here.
        prefix: Unique in the session and direction; the buffers' ids begin with it.

    Returns:
        The payload with references in their place, and the buffers by id.

    Raises:
        TooLarge: The value's JSON part is over the limit of one message.
    """
    if payload.size < SMALL_BYTES:
        return payload, {}
    buffers = raw_buffers(payload)
    sizes = [memoryview(buffer).nbytes for buffer in buffers]
    header = payload.size - sum(sizes)
    check_header(header, sizes)
    threshold = threshold_of(sizes)
    if all(size < threshold for size in sizes):
        return payload, {}
    bulk: dict[str, Buffer] = {}
    kept: list[Buffer | BulkRef] = []
    for index, (buffer, size) in enumerate(zip(buffers, sizes, strict=True)):
        if size < threshold:
            kept.append(buffer)
            continue
        buffer_id = f"{prefix}-{index}"
        bulk[buffer_id] = buffer
        kept.append(BulkRef(id=buffer_id, size=size))
    return Payload(header=payload.header, buffers=tuple(kept), size=payload.size), bulk


def split_draft(draft: Draft, *, prefix: str) -> tuple[Payload, dict[str, Outgoing]]:
    """Take the large buffers out of a draft, as ``split`` does with a payload.

    What is undecided counts as a large buffer, for what it may have at most.

    Raises:
        TooLarge: The value's JSON part is over the limit of one message.
    """
    sizes = [size_of(buffer) for buffer in draft.buffers]
    check_header(len(draft.header), sizes)
    threshold = threshold_of(sizes)
    bulk: dict[str, Outgoing] = {}
    kept: list[Buffer | BulkRef] = []
    for index, (buffer, size) in enumerate(zip(draft.buffers, sizes, strict=True)):
        if isinstance(buffer, Buffer) and size < threshold:
            kept.append(buffer)
            continue
        buffer_id = f"{prefix}-{index}"
        kept.append(BulkRef(id=buffer_id, size=size))
        if not isinstance(buffer, Undecided):
            bulk[buffer_id] = buffer
    header = orjson.Fragment(draft.header)
    return Payload(header=header, buffers=tuple(kept), size=draft.size), bulk


def check_header(header: int, sizes: Sequence[int]) -> None:
    """Refuse a value whose JSON part is too long for one message.

    Args:
        header: Its bytes.
        sizes: Those of the buffers.

    Raises:
        TooLarge: It is; the text says what to do.
    """
    inline = header + sum(size for size in sizes if size < SMALL_BYTES)
    if inline > HEADER_BYTES:
        raise TooLarge(
            f"a value of {inline} bytes beside its large arrays; the limit is {HEADER_BYTES}: "
            "send many small arrays as one"
        )


def threshold_of(sizes: Sequence[int]) -> int:
    """Return from how many bytes on a value's buffers travel by themselves."""
    crowded = sum(size for size in sizes if size < BULK_THRESHOLD) > INLINE_BYTES
    return SMALL_BYTES if crowded else BULK_THRESHOLD


def join(payload: Payload, bulk: Mapping[str, Buffer]) -> Payload:
    """Put buffers that came from outside back into a payload."""
    buffers = tuple(
        bulk[buffer.id] if isinstance(buffer, BulkRef) else buffer for buffer in payload.buffers
    )
    return Payload(header=payload.header, buffers=buffers, size=payload.size)


def raw_buffers(payload: Payload) -> list[Buffer]:
    """Return the payload's buffers, none of which is a reference."""
    return [buffer for buffer in payload.buffers if not isinstance(buffer, BulkRef)]

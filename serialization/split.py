"""Which buffers ride the control socket, and which travel outside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncbridge.errors import TooLarge
from asyncbridge.protocol.limits import BULK_THRESHOLD, HEADER_BYTES, INLINE_BYTES
from asyncbridge.protocol.messages import BulkRef, Payload
from asyncbridge.serialization.codec import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.protocol.messages import Buffer

__all__ = ["freeze", "join", "split"]

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
    buffers = raw_buffers(payload)
    sizes = [memoryview(buffer).nbytes for buffer in buffers]
    header = payload.size - sum(sizes)
    inline = header + sum(size for size in sizes if size < SMALL_BYTES)
    if inline > HEADER_BYTES:
        raise TooLarge(
            f"a value of {inline} bytes beside its large arrays; the limit is {HEADER_BYTES}: "
            "send numbers as one numpy array instead of lists or many small arrays"
        )
    crowded = sum(size for size in sizes if size < BULK_THRESHOLD) > INLINE_BYTES
    threshold = SMALL_BYTES if crowded else BULK_THRESHOLD
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


def join(payload: Payload, bulk: Mapping[str, Buffer]) -> Payload:
    """Put buffers that came from outside back into a payload."""
    buffers = tuple(
        bulk[buffer.id] if isinstance(buffer, BulkRef) else buffer for buffer in payload.buffers
    )
    return Payload(header=payload.header, buffers=buffers, size=payload.size)


def raw_buffers(payload: Payload) -> list[Buffer]:
    """Return the payload's buffers, none of which is a reference."""
    return [buffer for buffer in payload.buffers if not isinstance(buffer, BulkRef)]

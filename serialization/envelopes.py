"""Envelopes: messages as JSON, for a transport that carries nothing else.

The rows are those of frames; a buffer is base64 in a list beside them, where a row names it by its
place. The layout stands in ``docs/wire-format.md``.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from asyncbridge.errors import DecodeError, TooLarge
from asyncbridge.protocol.limits import FRAME_BYTES
from asyncbridge.serialization.frames import MAX_MESSAGES, ORIGIN, Place
from asyncbridge.serialization.rows import dump, read_row, without_surrogates, write_row
from asyncbridge.serialization.unique_keys import loads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncbridge.protocol.messages import Buffer, Message

__all__ = ["Envelope", "read_base64", "read_envelope", "write_base64", "write_envelopes"]

_KINDS: Final[dict[str, type]] = {
    "number": int,
    "first": int,
    "received": int,
    "messages": list,
    "buffers": list,
    "callback": str,
    "callback_token": str,
    "end": str,
}
"""An envelope's fields, and what each one is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What one request carries.

    Attributes:
        number: Counts one direction's envelopes from 0; one that comes again has its number.
        messages: What it holds.
        place: Where they stand in their session.
        callback: Where the other direction's envelopes go; only with the first one.
        callback_token: The secret that they carry.
        end: Why this is the last one; empty when it is not.
    """

    number: int
    messages: tuple[Message, ...] = ()
    place: Place = ORIGIN
    callback: str = ""
    callback_token: str = ""
    end: str = ""


def write_envelopes(
    number: int,
    messages: Sequence[Message],
    place: Place,
    *,
    extra: dict[str, str],
    max_bytes: int = FRAME_BYTES,
) -> Iterator[bytes]:
    """Yield as few envelopes as hold these messages, in their order.

    Args:
        number: The first one's.
        messages: What they hold.
        place: Where the first one stands.
        extra: More fields of the first one.
        max_bytes: The most bytes that the peer reads.

    Raises:
        TooLarge: One message alone is larger.
        SerializationError: A message holds what JSON does not carry.
    """
    batches = [(place, messages)]
    while batches:
        at, some = batches.pop()
        data = _write(number, some, at, extra)
        if len(data) <= max_bytes and len(some) <= MAX_MESSAGES:
            yield data
            number, extra = number + 1, {}
        elif len(some) <= 1:
            raise TooLarge(
                f"a message of {len(data)} bytes, where the peer reads up to {max_bytes}"
            )
        else:
            middle = len(some) // 2
            later = at._replace(first=at.first + middle)
            batches += [(later, some[middle:]), (at, some[:middle])]


def _write(number: int, messages: Sequence[Message], place: Place, extra: dict[str, str]) -> bytes:
    inline: list[Buffer] = []
    rows = [write_row(message, inline) for message in messages]
    tree: dict[str, Any] = {
        "number": number,
        "first": place.first,
        "received": place.received,
        "messages": rows,
        **extra,
    }
    if inline:
        tree["buffers"] = [write_base64(buffer) for buffer in inline]
    try:
        return orjson.dumps(tree)
    except TypeError:  # lone surrogates in a text, or no JSON at all, which this reports
        return dump(without_surrogates(tree))


def read_envelope(
    data: Buffer, *, max_bytes: int = FRAME_BYTES, max_messages: int = MAX_MESSAGES
) -> Envelope:
    """Return what an envelope holds.

    Raises:
        DecodeError: The bytes are none, or one over a limit.
    """
    if len(data) > max_bytes:
        raise DecodeError(f"an envelope of {len(data)} bytes; at most {max_bytes} are read")
    tree = _checked(loads(data, "the envelope"))
    slots: list[memoryview | None] = [
        memoryview(read_base64(text, f"buffer {number} of the envelope"))
        for number, text in enumerate(tree.get("buffers", ()))
    ]
    if len(tree["messages"]) > max_messages:
        raise DecodeError(f"an envelope holds at most {max_messages} messages")
    messages = tuple([read_row(row, slots) for row in tree["messages"]])
    unused = sum(slot is not None for slot in slots)
    if unused:
        raise DecodeError(f"no message uses {unused} of the envelope's {len(slots)} buffers")
    return Envelope(
        number=tree["number"],
        messages=messages,
        place=Place(tree.get("first", 0), tree.get("received", 0)),
        callback=tree.get("callback", ""),
        callback_token=tree.get("callback_token", ""),
        end=tree.get("end", ""),
    )


def write_base64(buffer: Buffer) -> str:
    """Return bytes as base64 text."""
    return base64.b64encode(buffer).decode("ascii")


def read_base64(text: object, what: str) -> bytes:
    """Return the bytes that base64 text stands for.

    Args:
        text: From the wire.
        what: What errors call it.

    Raises:
        DecodeError: It is no such text.
    """
    if type(text) is not str:
        raise DecodeError(f"{what} is no base64 text")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError(f"{what} is no base64: {error}") from None


def _checked(tree: object) -> dict[str, Any]:
    if type(tree) is not dict:
        raise DecodeError("an envelope is a JSON object")
    for name in ("number", "messages"):
        if name not in tree:
            raise DecodeError(f"an envelope has the field {name!r}; this one has not")
    for name, kind in _KINDS.items():
        if name in tree and (type(tree[name]) is not kind or (kind is int and tree[name] < 0)):
            raise DecodeError(f"an envelope's field {name!r} is of another kind: {kind.__name__}")
    return tree

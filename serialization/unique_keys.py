"""JSON documents from the wire, each key of an object once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from asyncbridge.errors import DecodeError

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Buffer

__all__ = ["loads"]


def loads(document: Buffer, what: str) -> Any:
    """Return the tree of a document.

    The parser takes the last of two equal keys and says nothing. A document that comes out the
    same when it is written again has none: that is what this library's writers send. Any other
    is looked through key by key, which takes longer.

    Args:
        document: UTF-8.
        what: What errors call it.

    Raises:
        DecodeError: It is no JSON, or an object in it has a key twice.
    """
    try:
        tree = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"{what} is no JSON: {error}") from None
    raw = bytes(document)
    if b"{" in raw and not _is_written_by_us(tree, raw):
        _look_through(raw, what)
    return tree


def _is_written_by_us(tree: object, document: bytes) -> bool:
    try:
        return orjson.dumps(tree) == document
    except orjson.JSONEncodeError:  # it writes less deeply than it reads
        return False


def _look_through(document: bytes, what: str) -> None:
    def look(pairs: list[tuple[str, object]]) -> None:
        seen = set[str]()
        for key, _ in pairs:
            if key in seen:
                raise DecodeError(f"{what} has the key {key[:80]!r} twice in one object")
            seen.add(key)

    try:
        json.loads(
            document,
            object_pairs_hook=look,
            parse_int=_skip,
            parse_float=_skip,
            parse_constant=_skip,
        )
    except RecursionError:
        raise DecodeError(f"{what} is nested too deeply") from None


def _skip(text: str) -> None:
    """Read no number: a long one takes long."""

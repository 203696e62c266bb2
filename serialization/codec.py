"""``encode`` and ``decode``: a whole value as a JSON tree with raw buffers, and back.

Both walk by exact type through a table: a subclass never passes for its base, and decoding
looks things up, it never imports, opens, builds a name or runs anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import paths
from asyncbridge.serialization.decoders import WALKS
from asyncbridge.serialization.encoders import ENCODERS, explain
from asyncbridge.serialization.values import MAX_DEPTH, Refused, Sink, Sources, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.protocol.messages import Buffer
    from asyncbridge.serialization.files import FileArray

__all__ = ["MAX_DEPTH", "decode", "encode"]

_NONE: Final = Payload(header=orjson.Fragment(b"null"), size=4)
_EMPTY: Final = Payload(header=orjson.Fragment(b"{}"), size=2)


def encode(
    value: object, *, path: str = "value", one_hot: bool = True, files: bool = True
) -> Payload:
    """Return a value in wire form; arrays and read-only views in it are not copied.

    Args:
        value: Plain data, arrays and tables, and objects of registered types, in containers of
            any nesting.
        path: What errors call the value.
        one_hot: Send large one-hot matrices as the columns of their ones; all come back dense.
        files: Let arrays that stand for files go by their paths: the reader must see the same.

    Raises:
        SerializationError: A part of it has no wire form; the text says where it stands.
    """
    if value is None:
        return _NONE
    if type(value) is dict and not value:
        return _EMPTY
    try:
        header, buffers = _write(value, one_hot=one_hot, files=files, careful=False)
    except Refused as refused:
        raise explain(refused, value, path) from refused.__cause__
    size = len(header)
    if not buffers:
        return Payload(header=orjson.Fragment(header), size=size)
    size += sum(map(_size, buffers))
    return Payload(header=orjson.Fragment(header), buffers=tuple(buffers), size=size)


def decode(payload: Payload, *, files: Callable[[FileArray], object] | None = None) -> object:
    """Return the value that a payload stands for; the payload is left as it was.

    An array is a view over its buffer where that is writable, or large; see ``arrays``.

    Args:
        payload: The value in wire form.
        files: Maps an array that came by the path of its file; without it, such a one is refused.

    Raises:
        DecodeError: The tree or a buffer stands for no value.
    """
    tree = payload.header
    sources = Sources(payload.buffers)
    if files is not None:
        sources.files = files
    try:
        value = WALKS[type(tree)](tree, sources, 0)
    except Unreadable as broken:
        path = paths.find_tree(tree, broken.tree)
        raise DecodeError(f"value{path}: {broken.reason}") from broken.__cause__
    if sources:
        _check_all_taken(sources)
    return value


def _write(value: object, *, one_hot: bool, files: bool, careful: bool) -> tuple[bytes, Sink]:
    buffers = Sink()
    if not files:
        buffers.files = False
    if not one_hot:
        buffers.dense = True
    if careful:
        buffers.careful = True
    tree = ENCODERS[type(value)](value, buffers, 0)
    try:
        return orjson.dumps(tree), buffers
    except TypeError:
        if careful:
            raise
    return _write(value, one_hot=one_hot, files=files, careful=True)


def _size(buffer: Buffer) -> int:
    return buffer.nbytes if type(buffer) is memoryview else len(buffer)


def _check_all_taken(sources: Sources) -> None:
    unused = sum(source is not None for source in sources)
    if unused:
        raise DecodeError(f"no value refers to {unused} of {len(sources)} buffers")

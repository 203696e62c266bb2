"""``encode`` and ``decode``: a whole value as a JSON tree with raw buffers, and back.

Both walk by exact type through a table: a subclass never passes for its base, and decoding
looks things up, it never imports, opens, builds a name or runs anything.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import orjson

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import paths
from asyncbridge.serialization.decoders import WALKS
from asyncbridge.serialization.deferred import Undecided, size_of, whole
from asyncbridge.serialization.drafts import Draft
from asyncbridge.serialization.encoders import ENCODERS, explain
from asyncbridge.serialization.packed import pack
from asyncbridge.serialization.slices import Careless
from asyncbridge.serialization.walk import (
    MAX_DEPTH,
    Refused,
    Sink,
    Sources,
    TakesLong,
    Unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.protocol.messages import Buffer
    from asyncbridge.serialization.deferred import Outgoing
    from asyncbridge.serialization.files import FileArray
    from asyncbridge.serialization.walk import Handles, Side

__all__ = ["MAX_DEPTH", "decode", "draft", "encode"]

_LONG_HEADER: Final = 256 * 1024
"""Bytes of JSON that are too many for one document."""
_NONE: Final = Payload(header=orjson.Fragment(b"null"), size=4)
_EMPTY: Final = Payload(header=orjson.Fragment(b"{}"), size=2)


def encode(
    value: object,
    *,
    path: str = "value",
    one_hot: bool = True,
    files: bool = True,
    handles: Handles | None = None,
) -> Payload:
    """Return a value in wire form; arrays and read-only views in it are not copied.

    Args:
        value: Plain data, arrays and tables, and objects of registered types, in containers of
            any nesting.
        path: What errors call the value.
        one_hot: Send large one-hot matrices as the columns of their ones; all come back dense.
        files: Let arrays that stand for files go by their paths: the reader must see the same.
        handles: As of ``draft``.

    Raises:
        SerializationError: A part of it has no wire form; the text says where it stands.
    """
    if value is None:
        return _NONE
    if type(value) is dict and not value:
        return _EMPTY
    sink = _sink(one_hot=one_hot, files=files)
    if handles is not None:
        handles.begin()
        sink.handles = handles
    header, buffers = _write(value, path, sink)
    if buffers.sliced:
        header, parts = pack(header, buffers)
        buffers[:] = [whole(part) for part in parts if not isinstance(part, Undecided)]
    return _payload(header, buffers)


def draft(
    value: object,
    *,
    path: str = "value",
    one_hot: bool = True,
    files: bool = True,
    decided: bool = False,
    quickly: bool = False,
    largest: int = 0,
    handles: Handles | None = None,
) -> Payload | Draft:
    """Return a value in wire form, but for what takes long: what is large is made later.

    That is copies of arrays that do not lie in memory as the wire has them, whether a large
    matrix that begins like a one-hot one is such, and whether the bytes of many bools or texts are
    any. Every other error is found now.

    Args:
        value: As of ``encode``.
        path: As of ``encode``.
        one_hot: As of ``encode``.
        files: As of ``encode``.
        decided: Look through such matrices, bools and texts at once.
        quickly: Break off where the value has many parts: for a thread with a loop.
        largest: Bytes of the largest value that the reader takes, 0 for any: one-hot matrices
            that would be larger over there go as they are, for their size to be seen.
        handles: Writes what stands for values on the other side, and what has no form.

    Raises:
        SerializationError: A part of it has no wire form; the text says where it stands.
        TakesLong: It was broken off.
    """
    sink = _sink(one_hot=one_hot, files=files)
    sink.defers, sink.drafts = True, not decided
    if 0 < largest < sink.most:
        sink.most = sink.room = largest
    if handles is not None:
        handles.begin()
        sink.handles = handles
    header, buffers = _write(value, path, sink, quickly=quickly)
    if buffers.later is None and not buffers.sliced:
        return _payload(header, buffers)
    later = buffers.later or {}
    parts: list[Outgoing | Undecided] = [
        later.get(index, part) for index, part in enumerate(buffers)
    ]
    if buffers.sliced:
        header, parts = pack(header, parts)
    size = len(header) + sum(map(size_of, parts))
    explain = None
    if any(isinstance(part, Undecided) for part in later.values()):
        again = partial(
            draft, value, path=path, one_hot=one_hot, files=files, decided=True, handles=handles
        )
        explain = partial(_explain, again, path)
    return Draft(header=header, buffers=tuple(parts), size=size, explain=explain)


def _explain(again: Callable[[], object], path: str, refused: Refused) -> SerializationError:
    """Say what a look at a large array has found, by writing the value again for its path."""
    try:
        again()
    except SerializationError as error:
        return error
    return SerializationError(refused.reason, path=path)  # it was changed meanwhile


def _sink(*, one_hot: bool, files: bool) -> Sink:
    sink = Sink()
    # Most values want neither; a list with attributes of its own takes longer to make.
    if not one_hot:
        sink.dense = True
    if not files:
        sink.files = False
    return sink


def _payload(header: bytes, buffers: Sink) -> Payload:
    size = len(header)
    if not buffers:
        return Payload(header=orjson.Fragment(header), size=size)
    size += sum(map(_size, buffers))
    return Payload(header=orjson.Fragment(header), buffers=tuple(buffers), size=size)


def decode(
    payload: Payload,
    *,
    path: str = "value",
    side: Side = "here",
    files: Callable[[FileArray], object] | None = None,
    quickly: bool = False,
    largest: int = 0,
    handles: Callable[[dict[str, object]], object] | None = None,
) -> object:
    """Return the value that a payload stands for; the payload is left as it was.

    An array is a view over its buffer where that is writable, or large; see ``arrays``.

    Args:
        payload: The value in wire form.
        path: What errors call the value.
        side: Where it is read, as errors say it.
        files: Maps an array that came by the path of its file; without it, such a one is refused.
        quickly: Break off where a few bytes stand for much work: for a thread with a loop.
        largest: Bytes of the largest value that is taken, 0 for any.
        handles: Finds what a handle stands for; without it, one is refused.

    Raises:
        DecodeError: The tree or a buffer stands for no value.
        TakesLong: It was broken off.
    """
    tree = payload.header
    sources = Sources(payload.buffers)
    if side != "here":
        sources.side = side
    if files is not None:
        sources.files = files
    if quickly:
        sources.quickly = True
    if handles is not None:
        sources.handles = handles
    if 0 < largest < sources.room:
        sources.room = largest
    try:
        value = WALKS[type(tree)](tree, sources, 0)
    except Unreadable as broken:
        place = path + paths.find_tree(tree, broken.tree)
        raise DecodeError(f"{place}{broken.inner}: {broken.reason}") from broken.__cause__
    if sources:
        _check_all_taken(sources, path)
    return value


def _write(value: object, path: str, buffers: Sink, *, quickly: bool = False) -> tuple[bytes, Sink]:
    try:
        tree = ENCODERS[type(value)](value, buffers, 0)
    except Refused as refused:
        raise explain(refused, value, path) from refused.__cause__
    except TakesLong:
        if quickly:
            raise
        return _write(value, path, buffers.anew(sliced=True))
    except Careless:
        return _write(value, path, buffers.anew(careful=True))
    try:
        header = orjson.dumps(tree)
    except TypeError:
        if buffers.careful:
            raise
    else:
        if len(header) > _LONG_HEADER and not buffers.sliced:
            if quickly:
                raise TakesLong
            return _write(value, path, buffers.anew(sliced=True))
        if not buffers.hasty or b"null" not in header:
            return header, buffers
    return _write(value, path, buffers.anew(careful=True), quickly=quickly)


def _size(buffer: Buffer) -> int:
    return buffer.nbytes if type(buffer) is memoryview else len(buffer)


def _check_all_taken(sources: Sources, path: str) -> None:
    unused = sum(source is not None for source in sources)
    if unused:
        raise DecodeError(f"{path}: no value refers to {unused} of {len(sources)} buffers")

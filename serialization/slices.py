"""Long values in slices, each a JSON document of its own, so that no step takes long.

orjson holds the GIL from the first to the last byte of a document, and an event loop in another
thread waits as long. Between two slices it has its turn.
"""

from __future__ import annotations

import codecs
import time
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from asyncbridge.serialization.deferred import DEFERRED_ABOVE, Deferred, whole
from asyncbridge.serialization.unique_keys import loads
from asyncbridge.serialization.walk import (
    LONG,
    TAG,
    Sink,
    Sources,
    add_buffer,
    malformed,
    take_buffer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    import numpy as np

    from asyncbridge.protocol.messages import Buffer
    from asyncbridge.serialization.spool import Kept
    from asyncbridge.serialization.walk import Encoder

__all__ = [
    "CHARACTERS",
    "FEW",
    "Careless",
    "Writer",
    "breathe",
    "decoded",
    "documents",
    "in_parts",
    "put_joined",
    "weight_of",
    "write_text",
]

_TOGETHER: Final = 1024
"""Items whose types are looked at together."""
_ITEM: Final = 8
"""What an item counts that is no plain scalar; what it holds is counted beside."""
T = TypeVar("T", list[Any], str, memoryview, "np.ndarray[Any, Any]")
CHARACTERS: Final = 16
"""Characters of text that count as one."""
_UTF_8: Final = codecs.getincrementaldecoder("utf-8")
FEW: Final = 32
"""Items that are looked at one by one, and their weight only once they are written."""
_PAUSE: Final = 50e-6
"""Seconds for which a thread lets others go first: less would be over before they have woken."""


def breathe() -> None:
    """Let other threads have their turn, in the midst of work that holds the GIL."""
    time.sleep(_PAUSE)


def in_parts(items: T, size: int) -> Iterator[T]:
    """Yield slices of what is worked on item by item, and let others go first between them."""
    for start in range(0, len(items), size):
        if start:
            breathe()
        yield items[start : start + size]


class Careless(Exception):
    """A slice may hold what JSON does not carry; the value is written again with care."""


class Writer:
    """Writes the items of long containers, for a walk that knows how to write each.

    Args:
        table: The encoders by type.
        is_plain: Tells whether items, of these types, seem to stand for themselves.
    """

    def __init__(
        self,
        table: Mapping[type, Encoder],
        is_plain: Callable[[list[Any], set[type], Sink], bool],
    ) -> None:
        self._table = table
        self._is_plain = is_plain

    def items(self, items: Iterable[object], sink: Sink, depth: int) -> object:
        """Write a container's items: as a list of trees, or where they are many, as slices."""
        slices, rest = _Slices(sink), iter(items)
        while part := list(islice(rest, _TOGETHER)):
            kinds = set(map(type, part))
            weight = weight_of(part, kinds)
            if weight <= LONG and self._is_plain(part, kinds, sink):
                slices.add(part, weight)
                continue
            for item in part:
                tree = self._table[type(item)](item, sink, depth)
                slices.add((tree,), _ITEM + _weight(item))
        return slices.end()

    def few(self, items: Collection[object], sink: Sink, depth: int) -> object:
        """Write a few items, which are one slice at most together with what they hold."""
        texts = sum([len(item) for item in items if type(item) is str]) // CHARACTERS
        if texts > LONG:
            return self.items(items, sink, depth)
        start, table = sink.weight, self._table
        tree = [table[type(item)](item, sink, depth) for item in items]
        return self._weighed(tree, texts, sink, start)

    def few_by_name(self, value: dict[str, object], sink: Sink, depth: int) -> object:
        """Write a dict of a few items, whose keys can be a JSON object's, in the same way."""
        values = value.values()
        texts = sum([len(item) for item in values if type(item) is str]) // CHARACTERS
        if texts > LONG:
            return self.dict(value, sink, depth)
        start, table = sink.weight, self._table
        tree = {key: table[type(item)](item, sink, depth) for key, item in value.items()}
        sink.weight += _ITEM * len(tree) + texts
        if sink.weight - start <= LONG:
            return tree
        flat = list(chain.from_iterable(tree.items()))
        return {TAG: "dict", "v": self._weighed(flat, 0, sink, start)}

    def _weighed(self, tree: list[object], texts: int, sink: Sink, start: int) -> object:
        sink.weight += _ITEM * len(tree) + texts
        return tree if sink.weight - start <= LONG else _Slices(sink, start, tree).end()

    def dict(self, value: dict[Any, object], sink: Sink, depth: int) -> object:
        """Write any dict, in the same way."""
        tree = self.items(chain.from_iterable(value.items()), sink, depth)
        if type(tree) is list and all(type(key) is str and key != TAG for key in tree[::2]):
            return dict(zip(tree[::2], tree[1::2], strict=True))
        return {TAG: "dict", "v": tree}


class _Slices:
    """What has been written of one container."""

    def __init__(
        self, sink: Sink, start: int | None = None, tree: list[object] | None = None
    ) -> None:
        self._sink = sink
        self._start = sink.weight if start is None else start
        self._done: list[Kept] = []
        self._tree: list[object] = [] if tree is None else tree
        if tree is not None:
            self._cut()

    def add(self, trees: Iterable[object], weight: int) -> None:
        """Take trees of items, and end a slice if that is enough."""
        self._tree += trees
        self._sink.weight += weight
        if self._sink.weight - self._start > LONG:
            self._cut()
            breathe()

    def end(self) -> object:
        """Return what stands for all of them."""
        if not self._done:
            return self._tree
        if self._tree:
            self._cut()
        lengths = [each.nbytes for each in self._done]
        return {TAG: "slices", "b": put_joined(self._done, self._sink), "n": lengths}

    def _cut(self) -> None:
        sink = self._sink
        try:
            written = orjson.dumps(self._tree)
        except TypeError:
            if sink.careful:
                raise
            raise Careless from None
        if sink.hasty and b"null" in written:
            raise Careless
        self._done.append(sink.keep(written))
        self._tree = []
        sink.weight = self._start


def weight_of(part: Collection[Any], kinds: set[type]) -> int:
    """Return what scalars of these types count together."""
    texts = sum([len(item) for item in part if type(item) is str]) if str in kinds else 0
    return len(part) + texts // CHARACTERS


def _weight(item: object) -> int:
    return len(item) // CHARACTERS if type(item) is str else 0


def write_text(value: str, sink: Sink) -> int:
    """Put a long text's UTF-8 last among the buffers, and return its index."""
    if sink.defers and value.isascii():  # its length is known
        return sink.defer(LaterText(value))
    parts = in_parts(value, DEFERRED_ABOVE)
    return put_joined([sink.keep(part.encode("utf-8", "surrogatepass")) for part in parts], sink)


def put_joined(parts: list[Kept], sink: Sink) -> int:
    """Put bytes, one after the other, last among the buffers, and return their index."""
    joined = Joined(parts)
    if sink.defers and joined.nbytes > DEFERRED_ABOVE:
        return sink.defer(joined)
    return add_buffer(whole(joined), sink)


class LaterText(Deferred):
    """The bytes of a text that is ASCII."""

    def __init__(self, value: str) -> None:
        self.nbytes = len(value)
        self._value = value

    def pieces(self) -> Iterator[tuple[int, int, Callable[[memoryview], None]]]:
        """Yield short parts of it."""
        start = 0
        for part in in_parts(self._value, DEFERRED_ABOVE):
            yield start, len(part), partial(_copy, part.encode())
            start += len(part)


class Joined(Deferred):
    """Bytes one after the other."""

    def __init__(self, parts: list[Kept]) -> None:
        self.nbytes = sum([part.nbytes for part in parts])
        self._parts = parts

    def pieces(self) -> Iterator[tuple[int, int, Callable[[memoryview], None]]]:
        """Yield each of them as a piece."""
        start = 0
        for part in self._parts:
            yield start, part.nbytes, part.write
            start += part.nbytes


def _copy(part: bytes, target: memoryview) -> None:
    target[:] = part


# --- from the wire -----------------------------------------------------------------------


def decoded(raw: Buffer) -> str:
    """Read text from its UTF-8.

    Raises:
        UnicodeDecodeError: It is none; of the byte that it names, only the reason is of use.
    """
    view, decoder, parts = memoryview(raw), _UTF_8("surrogatepass"), list[str]()
    for part in in_parts(view, DEFERRED_ABOVE):
        parts.append(decoder.decode(part))
    parts.append(decoder.decode(b"", final=True))
    return "".join(parts)


def documents(body: dict[str, object], sources: Sources) -> Iterator[list[object]]:
    """Yield the trees of a container's items, slice by slice.

    Raises:
        DecodeError: The slices are not what they are said to be.
    """
    lengths = body["n"]
    if type(lengths) is not list or not all(type(size) is int and size > 0 for size in lengths):
        malformed("slices", "the bytes of each")
    raw, place = memoryview(take_buffer(body["b"], sources)), 0
    if sum(lengths) != raw.nbytes:
        malformed("slices", f"{raw.nbytes} bytes together, got {sum(lengths)}")
    for size in lengths:
        trees = loads(raw[place : place + size], "a slice of a value")
        if type(trees) is not list:
            malformed("slices", "a list in each")
        yield trees
        place += size
        if place < raw.nbytes:
            breathe()

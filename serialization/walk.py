"""The state of a walk over a value, either way, and how it ends before its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, Never, Protocol

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Buffer, BulkRef
from asyncbridge.serialization.spool import Kept, Spool

if TYPE_CHECKING:
    from asyncbridge.serialization.deferred import Deferred, Undecided

Side = Literal["here", "in the worker", "in the client"]
"""Where a value is read, as errors say it."""

TAG: Final = "$"
"""The key that marks an object as a tagged form."""
MAX_DEPTH: Final = 100
"""Containers inside one another. A level is at most two of JSON's, and orjson writes 254."""
TOO_DEEP: Final = f"more than {MAX_DEPTH} containers stand inside one another"
ONE_HOT_TOTAL: Final = 2**30
"""Bytes that the one-hot matrices of one value may have together when they are dense.

It bounds what a reader allocates for a few indices; a matrix beyond it goes as it is.
"""


LONG: Final = 8192
"""What a value may weigh that is written in one go: about a plain scalar each, a millisecond all."""


class Handles(Protocol):
    """Writes handles: what stands here for a value there, or there for a value that stays here."""

    @property
    def keeps(self) -> bool:
        """Whether any value may stay here; else only handles are written."""
        ...

    def begin(self) -> None:
        """Forget what was written: the value is walked again."""
        ...

    def write(self, value: Any, buffers: Sink, depth: int) -> object:
        """Return the tree that stands for a value.

        Raises:
            Refused: None does.
        """
        ...


class TakesLong(Exception):
    """A value is not to be read or written here: an event loop would be held up."""


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
        most: Bytes that all one-hot matrices may have when they are dense; others go as they are.
        room: Those of the ones that are still to be written.
        weight: What has been written and not yet dumped, as ``LONG`` counts.
        sliced: Whether long containers are written in slices; else they are not written at all.
        spool: Keeps what is written until it leaves; None before the first of it.
        handles: Writes what stands for values on the other side, and what has no wire form; None
            where neither may stand.
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
    most: int = ONE_HOT_TOTAL
    room: int = ONE_HOT_TOTAL
    weight: int = 0
    sliced: bool = False
    spool: Spool | None = None
    handles: Handles | None = None

    def anew(self, *, careful: bool = False, sliced: bool = False) -> Sink:
        """Return an empty one for the same value.

        Args:
            careful: Look at each part of it.
            sliced: Write what is long in slices.
        """
        sink = Sink()
        sink.defers, sink.drafts, sink.dense, sink.files = (
            self.defers, self.drafts, self.dense, self.files
        )  # fmt: skip
        if self.most != ONE_HOT_TOTAL:
            sink.most = sink.room = self.most
        sink.careful, sink.sliced = self.careful or careful, self.sliced or sliced
        if self.handles is not None:
            self.handles.begin()
            sink.handles = self.handles
        return sink

    def stay(self, refused: Refused) -> object:
        """Return what stands for a value that was refused, where such values stay.

        Raises:
            Refused: They do not.
        """
        if self.handles is None or not self.handles.keeps:
            raise refused
        return self.handles.write(refused.value, self, refused.depth)

    def charge(self, weight: int) -> None:
        """Count what is about to be written.

        Raises:
            TakesLong: It is too much for one go.
        """
        self.weight += weight
        if self.weight > LONG and not self.sliced:
            raise TakesLong

    def defer(self, buffer: Deferred | Undecided) -> int:
        """Put a buffer last that is made later, and return its index."""
        if self.later is None:
            self.later = {}
        self.later[len(self)] = buffer
        self.append(b"")
        return len(self) - 1

    def keep(self, data: bytes) -> Kept:
        """Keep what is written until it leaves, or is joined at once."""
        if not self.defers:
            return Kept(data)
        if self.spool is None:
            self.spool = Spool()
        return self.spool.keep(data)

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
        side: Where it is read, for errors that tell one side of the bridge from the other.
        handles: Finds what a handle stands for; None where none may come.
    """

    handles: Callable[[dict[str, object]], object] | None = None
    quickly: bool = False
    objects: list[object] | None = None
    files: Callable[[Any], object] | None = None
    room: int = ONE_HOT_TOTAL
    side: Side = "here"

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


Steps = list[tuple[str, object]]
"""The way into a value: each step as text, with what stands behind it."""


class Refused(Exception):
    """A value with no wire form; ``codec.encode`` turns it into the public error.

    Attributes:
        value: The value itself, to find its path by.
        reason: What is wrong, and what to do.
        depth: How many containers stand around it.
        trail: The steps from there on, through what the value was turned into.
    """

    def __init__(self, value: object, reason: str, depth: int, trail: Steps | None = None) -> None:
        super().__init__(reason)
        self.value = value
        self.reason = reason
        self.depth = depth
        self.trail = trail or []


class Unreadable(Exception):
    """A part of a tree that stands for nothing; ``codec.decode`` turns it into the public error.

    Attributes:
        tree: The part itself, to find its path by.
        reason: What is wrong, and what to do.
        inner: The path on from there, where it leads through another document.
    """

    def __init__(self, tree: object, reason: str, inner: str = "") -> None:
        super().__init__(reason)
        self.tree = tree
        self.reason = reason
        self.inner = inner


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

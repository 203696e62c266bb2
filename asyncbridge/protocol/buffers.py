"""What both sides say of large buffers, which travel by themselves."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Digest", "Placed", "Recall", "Returned", "Reuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """A buffer is where one was streamed from before: has the worker still the same bytes?

    Attributes:
        id: The new buffer's; empty when the earlier one is of no more use.
        kept: The earlier one's.
    """

    id: str
    kept: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    """It has: what it told the digest of stands for this buffer."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The answer to ``Recall``.

    Attributes:
        id: The new buffer's.
        digest: The SHA-256 of what the worker has of the earlier one, in hex; empty when it has
            nothing.
    """

    id: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A bulk buffer of the sender's lies in shared memory.

    Attributes:
        id: The buffer's, as in a ``BulkRef``.
        segment: The name of a file in the sender's arena.
        offset: Where in it the buffer begins, a multiple of 64.
        size: Its bytes.
    """

    id: str
    segment: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """Nothing in the sender's process looks at these buffers of the receiver's any more."""

    ids: tuple[str, ...]

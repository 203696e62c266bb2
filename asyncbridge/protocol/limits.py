"""Bounds by count and by bytes, for the client's backlog, the window and the worker's queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Command

__all__ = [
    "BULK_THRESHOLD",
    "DEFAULT_BACKLOG",
    "DEFAULT_IN_FLIGHT",
    "DEFAULT_WINDOW",
    "FRAME_BYTES",
    "HEADER_BYTES",
    "INLINE_BYTES",
    "LONGEST_S",
    "REASON_CHARS",
    "Bound",
    "Gauge",
    "TransferLimits",
    "size_of",
]

KIB = 1024
MIB = 1024 * KIB

BULK_THRESHOLD = 64 * KIB
"""Bytes from which a buffer travels outside the control socket."""
INLINE_BYTES = 1 * MIB
"""Bytes of inline buffers in one message, past which its smaller buffers travel outside too."""
FRAME_BYTES = 64 * MIB
"""The largest frame that either side reads, in bytes."""
HEADER_BYTES = FRAME_BYTES // 2
"""The largest value or source text of one message, in bytes, buffers left aside."""
REASON_CHARS = 300
"""Characters of what a worker says of its refusal that an error shows."""
LONGEST_S: Final = 1e9
"""Seconds of the longest time limit, some 31 years: of much longer ones timers know nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The most that something may hold.

    Raises:
        ValueError: A bound that would let nothing through.
    """

    count: int
    size: int

    def __post_init__(self) -> None:
        if self.count < 1 or self.size < 1:
            raise ValueError(f"a bound holds at least one item of one byte, got {self}")


DEFAULT_BACKLOG = Bound(count=100_000, size=1024 * MIB)
"""What a client holds back beyond the worker's window."""
DEFAULT_IN_FLIGHT = 1024 * MIB
"""Bytes of large arrays that may be on the way at once in one direction; one of any size may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferLimits:
    """How much a client moves.

    Attributes:
        in_flight: Bytes of large arrays that may be on the way at once, in each direction.
        largest: Bytes of the largest value, 0 for any.
    """

    in_flight: int = DEFAULT_IN_FLIGHT
    largest: int = 0


DEFAULT_WINDOW = Bound(count=1024, size=256 * MIB)
"""What one session may have unfinished in the worker."""


class Gauge:
    """Counts what is held against a bound.

    An empty gauge takes any single item, however large: a bound slows the sender down, it
    does not forbid a size.
    """

    __slots__ = ("bound", "count", "size")

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self.count = 0
        self.size = 0

    def fits(self, size: int) -> bool:
        """Tell whether one more item of ``size`` bytes fits."""
        if self.count == 0:
            return True
        return self.count < self.bound.count and self.size + size <= self.bound.size

    def take(self, size: int) -> None:
        """Count one item in; ask ``fits`` first."""
        self.count += 1
        self.size += size

    def give(self, size: int) -> None:
        """Count one item out."""
        self.count -= 1
        self.size -= size

    def recount(self, before: int, size: int) -> None:
        """Count an item for another size than before."""
        self.size += size - before

    def __str__(self) -> str:
        """Return what counts against what, for a person to read."""
        return (
            f"{self.count} of {self.bound.count} commands, "
            f"{self.size / 2**20:.1f} of {self.bound.size / 2**20:.1f} MiB"
        )

    def __repr__(self) -> str:
        return f"<Gauge {self.count}/{self.bound.count} items, {self.size}/{self.bound.size} bytes>"


def size_of(command: Command) -> int:
    """Return the bytes that a command counts for: its source and its bindings.

    Those of one that others may overtake do not count: it holds no place that they need.
    """
    bindings = command.bindings
    return len(command.code) + (0 if bindings is None or command.aside else bindings.size)

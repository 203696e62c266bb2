"""Segments of shared memory that this process writes, and uses again once they are back.

A page of shared memory that is touched for the first time costs ten times a copy: so what comes
back stays as it is, mapped and warm, until its place is needed for something else.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asyncbridge.serialization.deferred import Deferred, size_of
from asyncbridge.transport.copying import SLICE_BYTES, copiers, copy_into
from asyncbridge.transport.leases import (
    FOLDER_VARIABLE,
    LIMIT_VARIABLE,
    Lease,
    new_name,
    root_folder,
    wait_for_end,
)
from asyncbridge.transport.mapping import Mapping
from asyncbridge.transport.origins import same_bytes
from asyncbridge.transport.sizes import bytes_of_environment

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Buffer
    from asyncbridge.serialization.deferred import Outgoing
    from asyncbridge.transport.origins import Origin

__all__ = ["ALIGNMENT", "Arena", "ArenaFigures", "Segment", "open_arena"]

log = logging.getLogger(__name__)

ALIGNMENT = 64
"""What every buffer's place is a multiple of, in bytes: a cache line."""
COMPARED = 256 * 1024 * 1024
"""Bytes up to which a segment is compared with what it held before.

To look takes as long as to copy up to 64 MiB, and half as long again at this size; beyond it the
C library copies around the cache, and looking only costs time.
"""
WASTE = 2
"""A warm segment is used for a buffer that is no smaller than this part of it."""


@dataclass(eq=False, slots=True)
class Segment:
    """A file in shared memory that is mapped here.

    Attributes:
        name: The file's name in the arena's folder.
        size: Its bytes.
        mapping: Where they are.
        used: Bytes of it that the present buffer has.
        origin: Where the present buffer was copied from, if that may be sent again.
        discarded: Whether the arena has forgotten it.
    """

    name: str
    size: int
    mapping: Mapping = field(repr=False)
    used: int = 0
    origin: Origin | None = None
    discarded: bool = False

    @property
    def is_remembered(self) -> bool:
        """Whether what it holds may be sent again."""
        return self.origin is not None and self.origin.is_alive

    def view(self) -> memoryview:
        """Return the present buffer's bytes."""
        return self.mapping.view(0, self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaFigures:
    """An arena as it is at one moment, in bytes.

    Attributes:
        total: All segments.
        limit: What they may have together.
        lent: Those that the other side may look at, or that are being filled.
        free: Those that wait to be used again; they stay warm.
        kept: What of the free ones holds arrays that may be sent again.
    """

    total: int
    limit: int
    lent: int
    free: int
    kept: int


class Arena:
    """A pool of segments, used from any thread.

    Args:
        lease: The folder that the segments are in; the arena releases it.
        limit: Bytes that all segments may have together.
    """

    def __init__(self, lease: Lease, limit: int) -> None:
        self.lease = lease
        self.limit = limit
        self._lock = threading.Lock()
        self._free: list[Segment] = []  # by size; of one size, the latest last
        self._total = 0
        self._closed = False
        self._warned = False
        self._no_descriptor = False
        self.copiers = copiers()

    @property
    def total(self) -> int:
        """Bytes of all segments, those that are lent included."""
        return self._total

    def figures(self) -> ArenaFigures:
        """Return how its memory is used now."""
        with self._lock:
            free = sum(segment.size for segment in self._free)
            return ArenaFigures(
                total=self._total,
                limit=self.limit,
                lent=self._total - free,
                free=free,
                kept=sum(segment.used for segment in self._free if segment.is_remembered),
            )

    def place(self, buffer: Outgoing) -> Segment | None:
        """Copy a buffer into a segment; None where there is no room for it."""
        segment = self.allocate(size_of(buffer))
        if segment is None or not self._copy(buffer, segment):
            return None
        return segment

    def recall(self, origin: Origin) -> Segment | None:
        """Return a free segment that a buffer was copied into before, if there is one."""
        with self._lock:
            for place in reversed(range(len(self._free))):
                known = self._free[place].origin
                if known is not None and known.key == origin.key:
                    segment = self._free.pop(place)
                    return segment if self._has(segment) else None
        return None

    def refill(self, segment: Segment, buffer: Buffer) -> bool | None:
        """Bring a segment to hold a buffer that it held before; tell whether it still did.

        None where it was broken off: then the segment is free again.
        """
        source, target = memoryview(buffer).cast("B"), segment.view()
        same = 0
        if source.nbytes <= COMPARED:
            same = same_bytes(source, target, going_on=self._is_open)
        if same == source.nbytes:
            return True
        if copy_into(target[same:], source[same:], going_on=self._is_open):
            return False
        self.give_back(segment)
        return None

    def warm(self, size: int) -> Segment | None:
        """Return a segment that is there already, if one suits."""
        with self._lock:
            return None if self._closed else self._take(size)

    def allocate(self, size: int) -> Segment | None:
        """Return a segment for a buffer; None where there is no room for it. May block."""
        wanted = rounded(size)
        with self._lock:
            if self._closed:
                return None
            if (segment := self._take(size)) is not None:
                return segment
            evicted = self._make_room(wanted)
            fits = self._total + wanted <= self.limit
            self._total += wanted if fits else 0
        self._unlink(evicted)
        segment = self._made(wanted) or self._made_at_any_price(wanted) if fits else None
        if segment is None:
            self._full(size, wanted if fits else 0)
            return None
        segment.used = size
        return segment

    def give_back(self, segment: Segment) -> None:
        """Keep a segment for the next buffer: nobody looks at it any more."""
        with self._lock:
            if not self._closed:
                insort(self._free, segment, key=_size_of)

    def discard(self, segment: Segment) -> None:
        """Forget a segment that somebody may look at for ever: its file goes."""
        with self._lock:
            if segment.discarded:
                return
            segment.discarded = True
            self._total -= segment.size
        self._unlink([segment])

    def close(self, dying: str | None = None) -> None:
        """Take all files away; what is mapped somewhere stays there. May block.

        Args:
            dying: An arena whose process seems to be dead; this one takes it along.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._free.clear()
        self.copiers.shutdown(wait=True)
        if dying is not None:
            wait_for_end(self.lease.root, dying)
        with self._lock:  # nobody unlinks by a descriptor that is another file's by now
            self.lease.release()

    # --- inner steps ---

    def _take(self, size: int) -> Segment | None:
        """Take the smallest free segment that suits, under the lock.

        One that nobody will ask for again, if there is such; else the one that came back first.
        """
        place = bisect_left(self._free, size, key=_size_of)
        end = bisect_right(self._free, rounded(size) * WASTE, key=_size_of)
        if place >= end:
            return None
        spare = (at for at in range(place, end) if not self._free[at].is_remembered)
        segment = self._free.pop(next(spare, place))
        if not self._has(segment):
            return None
        segment.used, segment.origin = size, None
        return segment

    def _has(self, segment: Segment) -> bool:
        """Tell whether a segment's file is still there; else forget it: nobody could map it."""
        if os.access(segment.name, os.F_OK, dir_fd=self.lease.folder, follow_symlinks=False):
            return True
        self._total -= segment.size
        return False

    def _make_room(self, size: int) -> list[Segment]:
        """Give up free segments, the largest first, until there is room or none is left.

        Those that are remembered go last.
        """
        evicted: list[Segment] = []
        while self._free and size <= self.limit < self._total + size:
            spare = (
                at for at in reversed(range(len(self._free))) if not self._free[at].is_remembered
            )
            evicted.append(self._free.pop(next(spare, -1)))
            self._total -= evicted[-1].size
        return evicted

    def _made(self, size: int) -> Segment | None:
        name, folder = new_name(), self.lease.folder
        try:
            file = os.open(
                name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder
            )
        except OSError as error:
            self._no_descriptor = error.errno in (errno.EMFILE, errno.ENFILE)
            return None
        try:
            # Reserved before it is mapped: a page that cannot be had later kills the process.
            for start in range(0, size, SLICE_BYTES):
                self._check_open()
                os.posix_fallocate(file, start, min(SLICE_BYTES, size - start))
            return Segment(name, size, Mapping(file, size))
        except OSError:
            with contextlib.suppress(OSError):  # the folder went first
                os.unlink(name, dir_fd=folder)
            return None
        finally:
            os.close(file)

    def _is_open(self) -> bool:
        return not self._closed

    def _check_open(self) -> None:
        if self._closed:
            raise OSError(errno.ESHUTDOWN, "the arena was closed")

    def _made_at_any_price(self, size: int) -> Segment | None:
        """Try again with all that is free given up: the system has less room than was thought."""
        with self._lock:
            evicted, self._free = self._free, []
            self._total -= sum(segment.size for segment in evicted)
        self._unlink(evicted)
        return self._made(size) if evicted else None

    def _unlink(self, segments: list[Segment]) -> None:
        for segment in segments:
            with self._lock:
                if not self._closed:
                    with contextlib.suppress(FileNotFoundError):  # somebody has cleaned up
                        os.unlink(segment.name, dir_fd=self.lease.folder)

    def _full(self, size: int, reserved: int) -> None:
        with self._lock:
            self._total -= reserved
            told, self._warned = self._warned, True
        if not told and not self._closed:
            log.warning(
                "a buffer of %d bytes finds no room in shared memory (%d of %d bytes are in use, in "
                "%s): it and others like it go by a slower stream. %s",
                size, self._total, self.limit, self.lease.root, self._remedy(reserved),
            )  # fmt: skip

    def _remedy(self, reserved: int) -> str:
        """Return what to do for more room: about the bound, or about the memory itself."""
        if not reserved:
            return f"{LIMIT_VARIABLE} sets the bound in bytes"
        if self._no_descriptor:
            return "This process can open no more files: `ulimit -n` raises that limit"
        room = os.statvfs(self.lease.root)
        size, free = room.f_blocks * room.f_frsize, room.f_bavail * room.f_frsize
        return (
            f"The file system itself has no more: {free} of its {size} bytes are free; for a "
            "container, `docker run --shm-size` sets its size"
        )

    def _copy(self, source: Outgoing, segment: Segment) -> bool:
        if isinstance(source, Deferred):
            done = source.write(segment.view(), going_on=self._is_open)
        else:
            done = copy_into(segment.view(), memoryview(source).cast("B"), going_on=self._is_open)
        if done:
            return True
        self.give_back(segment)
        return False


def rounded(size: int) -> int:
    """Return the size of a segment for a buffer: one of eight steps between powers of two."""
    step = max(4096, 1 << max(0, size.bit_length() - 4))
    return -(-size // step) * step


def open_arena(limit: int | None = None) -> Arena | None:
    """Make an arena, where there is shared memory; blocks for a moment.

    Args:
        limit: Bytes that it may take, 0 for no arena at all; by default the variable's, else a
            quarter of what there is, and no more than is free.

    Raises:
        ValueError: The variable is no number of bytes.
    """
    root = root_folder()
    try:
        if limit is None:
            limit = bytes_of_environment(LIMIT_VARIABLE)
        if limit is None:
            room = os.statvfs(root)
            limit = min(room.f_blocks // 4, room.f_bavail) * room.f_frsize
        return Arena(Lease(root), limit) if limit > 0 else None
    except OSError as error:
        log.warning(
            "no shared memory in %s (%s): large arrays go by a slower stream. %s names another "
            "folder, %s=0 switches it off",
            root, error, FOLDER_VARIABLE, LIMIT_VARIABLE,
        )  # fmt: skip
        return None


def _size_of(segment: Segment) -> int:
    return segment.size

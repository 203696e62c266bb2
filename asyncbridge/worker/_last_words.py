"""The last bytes of the worker's output, kept where its death cannot take them.

A file that worker and supervisor share holds a ring for each stream. The kernel itself puts bytes
there (``readv`` into the mapped file), in the very step in which it takes them out of the pipe.
So whenever the worker dies, each byte is in the pipe or in the ring.

A ring begins with a count of the bytes that have gone through it. The ``CHUNK_BYTES`` that come
next in it are zeros, until a read fills some of them. A worker that dies before it could count
those has left them there all the same, told from the zeros behind them.

Part of the supervisor too, which uses the standard library alone; see ``supervisor.py``.
"""

from __future__ import annotations

import mmap
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

__all__ = ["CHUNK_BYTES", "KEPT_BYTES", "Ring", "WordsFile", "map_rings"]

CHUNK_BYTES: Final = 64 * 1024
"""Bytes that one read takes at most: what a pipe holds, on Linux."""
KEPT_BYTES: Final = 16 * 1024
"""Bytes of each stream that are kept."""
COUNT_BYTES: Final = 8
RING_BYTES: Final = CHUNK_BYTES + KEPT_BYTES
PLACE_BYTES: Final = COUNT_BYTES + RING_BYTES
STREAMS: Final = 2


class Ring:
    """The worker's side of one stream's ring.

    Args:
        memory: Its place in the shared file.
    """

    def __init__(self, memory: memoryview) -> None:
        self._count_place = memory[:COUNT_BYTES]
        self._ring = memory[COUNT_BYTES:]
        self._count = int.from_bytes(self._count_place, "little")

    def read(self, fd: int, limit: int) -> bytes:
        """Take up to ``limit`` bytes, and one chunk, out of a pipe; no bytes mean its end.

        Raises:
            BlockingIOError: The pipe does not block, and is empty.
        """
        places = list(self._places(self._count, min(limit, CHUNK_BYTES)))
        size = os.readv(fd, places)
        data = b"".join(self._places(self._count, size))
        # Before they are counted: what follows the counted bytes must be zeros.
        for place in self._places(self._count + CHUNK_BYTES, size):
            place[:] = bytes(len(place))
        self._count += size
        self._count_place[:] = self._count.to_bytes(COUNT_BYTES, "little")
        return data

    def close(self) -> None:
        """Let go of the memory."""
        self._count_place.release()
        self._ring.release()

    def _places(self, start: int, size: int) -> Iterator[memoryview]:
        """Yield the one or two parts of the ring in which so many bytes from there lie."""
        begin = start % RING_BYTES
        end = begin + size
        yield self._ring[begin:end]
        if end > RING_BYTES:
            yield self._ring[: end - RING_BYTES]


class WordsFile:
    """The supervisor's side: a file whose name is gone at once.

    Args:
        path: A name for it, in a folder that is private.
    """

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.unlink(path)  # noqa: PTH108 - `pathlib` would cost a third of the supervisor's start
        # Written, not only made as long: a page that a full disk has no room for would kill the
        # worker that writes there.
        with open(self.fd, "wb", closefd=False) as file:
            file.write(bytes(STREAMS * PLACE_BYTES))

    def read(self, stream: int) -> bytes:
        """Return the last bytes that the worker took out of a stream's pipe."""
        place = os.pread(self.fd, PLACE_BYTES, stream * PLACE_BYTES)
        count, ring = int.from_bytes(place[:COUNT_BYTES], "little"), place[COUNT_BYTES:]
        begin = count % RING_BYTES
        ring = ring[begin:] + ring[:begin]
        uncounted, kept = ring[:CHUNK_BYTES], ring[RING_BYTES - min(count, KEPT_BYTES) :]
        # Zeros in front were bytes once, too far back: the worker died while it made room.
        return (kept + uncounted.rstrip(b"\0")).lstrip(b"\0")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.fd)


def map_rings(fd: int | None) -> list[Ring]:
    """Return the rings in a ``WordsFile``, or in memory that nobody else reads."""
    memory = memoryview(mmap.mmap(-1 if fd is None else fd, STREAMS * PLACE_BYTES))
    starts = range(0, STREAMS * PLACE_BYTES, PLACE_BYTES)
    return [Ring(memory[start : start + PLACE_BYTES]) for start in starts]

"""Written bytes that wait for their transfer, and take no more than a little memory meanwhile."""

from __future__ import annotations

import os
import tempfile
import weakref
from typing import Final

__all__ = ["IN_MEMORY", "Kept", "Spool"]

IN_MEMORY: Final = 8 * 1024 * 1024
"""Bytes of one value that are kept in memory; what is more goes to a file without a name."""


class Kept:
    """Bytes that are kept.

    Args:
        data: They, in memory.

    Attributes:
        nbytes: How many.
    """

    __slots__ = ("_data", "nbytes")

    def __init__(self, data: bytes) -> None:
        self.nbytes = len(data)
        self._data = data

    def write(self, target: memoryview) -> None:
        """Write them into memory of their size."""
        target[:] = self._data


class _Spilled(Kept):
    """Bytes that are kept in a spool's file, from a place on."""

    __slots__ = ("_spool", "_start")

    def __init__(self, spool: Spool, start: int, size: int) -> None:
        super().__init__(b"")
        self.nbytes = size
        self._spool = spool
        self._start = start

    def write(self, target: memoryview) -> None:
        """Read them from the file.

        Raises:
            OSError: It cannot be read, or has been cut.
        """
        self._spool.read(self._start, target)


class Spool:
    """What is written of one value before it leaves.

    The file lies where ``tempfile`` puts it, has no name, and goes with the spool and all that it
    keeps. Where none can be made, or the disk is full, memory is what there is.
    """

    def __init__(self) -> None:
        self._room = IN_MEMORY
        self._file: int | None = None
        self._end = 0

    def keep(self, data: bytes) -> Kept:
        """Keep some bytes."""
        if len(data) <= self._room:
            self._room -= len(data)
            return Kept(data)
        try:
            return self._spill(data)
        except OSError:
            return Kept(data)

    def _spill(self, data: bytes) -> Kept:
        if self._file is None:
            with tempfile.TemporaryFile(prefix="asyncbridge-") as file:
                self._file = os.dup(file.fileno())
            weakref.finalize(self, os.close, self._file)
        view, start = memoryview(data), self._end
        while view:
            written = os.pwrite(self._file, view, self._end)
            self._end += written
            view = view[written:]
        return _Spilled(self, start, len(data))

    def read(self, start: int, target: memoryview) -> None:
        """Fill memory from a place in the file.

        Raises:
            OSError: It cannot be read, or has been cut.
        """
        assert self._file is not None
        while target:
            count = os.preadv(self._file, [target], start)
            if not count:
                raise OSError(f"{self} has {len(target)} bytes too few")
            start += count
            target = target[count:]

    def __repr__(self) -> str:
        return f"<Spool of {self._end} bytes in a file>"

"""Files mapped into memory, and views of them whose end is seen.

By the C library's ``mmap``: Python's own keeps a descriptor for each mapping (before 3.13), and
an app that keeps a thousand results would run out of them.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from functools import cache
from mmap import MADV_DONTNEED, MAP_SHARED, PAGESIZE, PROT_READ, PROT_WRITE
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Mapping", "let_go"]

_PART = 64 * 1024 * 1024
"""Bytes of memory that are given back at once."""
_FAILED = ctypes.c_void_p(-1).value


class Mapping:
    """A file's bytes in this process's memory, for as long as it or a view of it lives.

    Args:
        descriptor: Of the file; may be closed afterwards.
        size: Bytes, no more than the file has: touching what lies behind its end kills.

    Raises:
        OSError: The system refuses.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self.size = size
        self._address = _map(descriptor, size)
        unmap = weakref.finalize(self, _unmap, self._address, size)
        unmap.atexit = False  # arrays may be looked at until the very end

    def view(
        self, offset: int, size: int, watch: Callable[[object], None] | None = None
    ) -> memoryview:
        """Return a writable view of some of the bytes.

        Args:
            offset: Where they begin.
            size: How many there are.
            watch: Called with what all views of these bytes hang on, which is to be watched:
                it is garbage when the last array over them is.
        """
        kind: Any = ctypes.c_ubyte * size
        raw = kind.from_address(self._address + offset)
        raw.mapping = self  # which must not be unmapped under it
        if watch is not None:
            watch(raw)
        return memoryview(raw).cast("B")


def let_go(buffer: memoryview) -> None:
    """Give the memory of a buffer back that nobody looks at again; its bytes are lost.

    To free an array holds the GIL, for some milliseconds for each GiB; this does most of the work
    without, in any thread.

    Args:
        buffer: All that still refers to memory of this process's own.
    """
    address = np.frombuffer(buffer, np.uint8).ctypes.data
    begin, end = (
        -(-address // PAGESIZE) * PAGESIZE,
        (address + buffer.nbytes) // PAGESIZE * PAGESIZE,
    )
    for start in range(begin, end, _PART):
        _libc().madvise(start, min(_PART, end - start), MADV_DONTNEED)


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
    ]  # fmt: skip
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return libc


def _map(descriptor: int, size: int) -> int:
    address = _libc().mmap(None, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    if address is None or address == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot map {size} bytes: {os.strerror(number)}")
    return int(address)


def _unmap(address: int, size: int) -> None:
    _libc().munmap(address, size)

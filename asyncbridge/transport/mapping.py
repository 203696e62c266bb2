"""Files mapped into memory, and views of them whose end is seen.

By the C library's ``mmap``: Python's own keeps a descriptor for each mapping (before 3.13), and
an app that keeps a thousand results would run out of them.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from functools import cache
from mmap import MAP_SHARED, PROT_READ, PROT_WRITE
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Mapping"]

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


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
    ]  # fmt: skip
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc


def _map(descriptor: int, size: int) -> int:
    address = _libc().mmap(None, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    if address is None or address == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot map {size} bytes: {os.strerror(number)}")
    return int(address)


def _unmap(address: int, size: int) -> None:
    _libc().munmap(address, size)

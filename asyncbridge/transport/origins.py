"""Where an outgoing buffer's bytes lie, so that the same memory is known when it is sent again.

Whether it still holds the same bytes is another question: this side's memory may have been
written, and so may what the other side has of it.
"""

from __future__ import annotations

import ctypes
import hashlib
import threading
import weakref
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.protocol.messages import Buffer

__all__ = ["REMEMBERED", "Origin", "Tally", "digest_of", "origin_of", "same_bytes"]

REMEMBERED = 1024 * 1024
"""Bytes from which a buffer is worth remembering: a smaller one is sent in less than 0.1 ms."""
SLICE_BYTES = 4 * 1024 * 1024
"""Bytes that are compared, or hashed, between two looks at whether to go on."""


class Origin:
    """A part of this process's memory that an array owns.

    Attributes:
        key: Its address and its size, in bytes.
    """

    __slots__ = ("_owner", "key")

    def __init__(self, address: int, size: int, owner: np.ndarray[Any, Any]) -> None:
        self.key = (address, size)
        self._owner = weakref.ref(owner)

    @property
    def is_alive(self) -> bool:
        """Whether the array is still there; else the address may be another one's by now."""
        return self._owner() is not None


def origin_of(buffer: Buffer) -> Origin | None:
    """Return where a buffer's bytes lie; None if it is small, or no array's own memory."""
    exporter: object = buffer.obj if isinstance(buffer, memoryview) else None
    if not isinstance(exporter, np.ndarray) or memoryview(buffer).nbytes < REMEMBERED:
        return None
    owner = exporter
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return Origin(address_of(buffer), memoryview(buffer).nbytes, owner)


@dataclass(slots=True)
class Tally:
    """How often a buffer that was sent before had to travel again; counted from any thread.

    Attributes:
        hits: Times that it had not.
        misses: Times that it had: its bytes were others, or nobody had them any more.
        saved: Bytes that did not travel.
    """

    hits: int = 0
    misses: int = 0
    saved: int = 0

    def count(self, size: int, *, hit: bool) -> None:
        """Count one buffer."""
        with _counting:
            if hit:
                self.hits += 1
                self.saved += size
            else:
                self.misses += 1


_counting = threading.Lock()


def same_bytes(one: Buffer, other: Buffer, *, going_on: Callable[[], bool]) -> int:
    """Return from where on two buffers of one size differ, to a slice; their size if nowhere.

    The GIL is free meanwhile.
    """
    size = memoryview(one).nbytes
    left, right = address_of(one), address_of(other)
    compare = _memcmp()
    for start in range(0, size, SLICE_BYTES):
        count = min(SLICE_BYTES, size - start)
        if not going_on() or compare(left + start, right + start, count) != 0:
            return start
    return size


def digest_of(buffer: Buffer, *, going_on: Callable[[], bool]) -> str:
    """Return the SHA-256 of a buffer, in hex; empty when it was broken off."""
    view, digest = memoryview(buffer).cast("B"), hashlib.sha256()
    for start in range(0, view.nbytes, SLICE_BYTES):
        if not going_on():
            return ""
        digest.update(view[start : start + SLICE_BYTES])
    return digest.hexdigest()


def address_of(buffer: Buffer) -> int:
    """Return where in memory a buffer begins."""
    return np.frombuffer(buffer, np.uint8).ctypes.data


@cache
def _memcmp() -> Any:
    # Numpy's comparison makes an array of bools, and takes half as long again.
    compare = ctypes.CDLL(None).memcmp
    compare.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    return compare

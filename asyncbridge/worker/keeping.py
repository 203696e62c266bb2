"""Streamed buffers that the worker keeps when their commands are through, to be used again.

A command's code may have written to its arrays, and may hold them still. So a buffer is handed
out again only after its digest was told, and one that is still looked at is copied first.
"""

from __future__ import annotations

import asyncio
import ctypes
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncbridge.errors import RemoteProtocolError
from asyncbridge.transport.origins import REMEMBERED, digest_of

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Buffer

__all__ = ["KeptBuffers", "Room"]


class _Kept:
    """One buffer.

    Attributes:
        size: Its bytes.
        reserved: Whether it is being compared, for the sake of a command.
    """

    __slots__ = ("_data", "_watch", "home", "name", "reserved", "size")

    def __init__(self, home: KeptBuffers, name: str, data: Buffer) -> None:
        self.home = home
        self.name = name
        self.size = memoryview(data).nbytes
        self.reserved = False
        self._data = data
        self._watch: weakref.ref[Any] | None = None

    @property
    def is_free(self) -> bool:
        """Whether no array lies over it, and nobody is about to get one."""
        return not self.reserved and (self._watch is None or self._watch() is None)

    def lend(self) -> memoryview:
        """Return a view of it, by whose end is known that nobody looks at it any more."""
        kind: Any = ctypes.c_ubyte * self.size
        raw = kind.from_buffer(self._data)
        self._watch = weakref.ref(raw)
        return memoryview(raw).cast("B")

    def copy(self) -> memoryview:
        """Return a copy, made with the GIL released."""
        return np.frombuffer(self._data, np.uint8).copy().data

    @property
    def view(self) -> memoryview:
        """Its bytes, to be looked at for a moment."""
        return memoryview(self._data)


class Room:
    """How much all sessions keep together; what was used longest ago goes first.

    Args:
        limit: In bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._kept: OrderedDict[_Kept, None] = OrderedDict()

    def add(self, kept: _Kept) -> None:
        """Count a buffer in, and let others go for it."""
        self._kept[kept] = None
        self.size += kept.size
        while self.size > self.limit:
            oldest = next(iter(self._kept))
            oldest.home.forget(oldest)

    def use(self, kept: _Kept) -> None:
        """Note that a buffer was asked for."""
        if kept in self._kept:
            self._kept.move_to_end(kept)

    def remove(self, kept: _Kept) -> None:
        """Count a buffer out."""
        del self._kept[kept]
        self.size -= kept.size


class KeptBuffers:
    """What one session's client has streamed; used on the loop, hashing apart.

    Args:
        room: The worker's.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._kept: dict[str, _Kept] = {}
        self._recalled: dict[str, _Kept | memoryview] = {}
        self._closed = False

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return sum(kept.size for kept in self._kept.values())

    def keep(self, buffer_id: str, data: Buffer) -> Buffer:
        """Keep a buffer that has arrived, if it is large; return what its command is to have."""
        recalled = self._recalled.pop(buffer_id, None)  # in vain: the client has other bytes
        if isinstance(recalled, _Kept):
            recalled.reserved = False
        size = memoryview(data).nbytes
        if not REMEMBERED <= size <= self._room.limit:
            return data
        kept = self._kept[buffer_id] = _Kept(self, buffer_id, data)
        self._room.add(kept)
        return kept.lend()

    async def recall(self, buffer_id: str, kept_id: str) -> str:
        """Return the digest of what is kept as ``kept_id``, and hold it for a new buffer.

        Empty when nothing is kept, or there is no memory to copy it.
        """
        kept = self._kept.get(kept_id)
        if kept is None:
            return ""
        self._room.use(kept)
        held: _Kept | memoryview = kept
        if kept.is_free:
            kept.reserved = True
        else:  # copied before it is hashed: code may write to it at any time
            try:
                held = await asyncio.to_thread(kept.copy)
            except MemoryError:
                return ""
        self._recalled[buffer_id] = held
        view = held if isinstance(held, memoryview) else held.view
        return await asyncio.to_thread(digest_of, view, going_on=lambda: not self._closed)

    def reuse(self, buffer_id: str) -> memoryview:
        """Return what was held for a new buffer, once the client has found it to be the same.

        Raises:
            RemoteProtocolError: Nothing is held for it.
        """
        held = self._recalled.pop(buffer_id, None)
        if held is None:
            raise RemoteProtocolError(f"the client reuses buffer {buffer_id:.80}, never recalled")
        if isinstance(held, memoryview):
            return held
        held.reserved = False
        return held.lend()

    def drop(self, kept_id: str) -> None:
        """Let a buffer go that the client will not ask for."""
        if (kept := self._kept.get(kept_id)) is not None:
            self.forget(kept)

    def forget(self, kept: _Kept) -> None:
        """Let a buffer go; who has an array over it keeps that."""
        if self._kept.pop(kept.name, None) is not None:
            self._room.remove(kept)

    def close(self) -> None:
        """Let go of everything."""
        self._closed = True
        self._recalled.clear()
        for kept in list(self._kept.values()):
            self.forget(kept)

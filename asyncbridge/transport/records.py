"""What stands on a bulk connection: records, each a head of 36 bytes and what follows it.

The layout stands byte for byte in ``docs/wire-format.md``.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from asyncbridge.errors import AsyncBridgeError, DecodeError

__all__ = ["CHUNK_BYTES", "HEAD_BYTES", "TEXT_BYTES", "Damaged", "Head", "Kind"]

CHUNK_BYTES: Final = 4 * 1024 * 1024
"""The most bytes of a buffer in one chunk."""
TEXT_BYTES: Final = 1024
"""The most bytes of a record's text."""

_HEAD: Final = struct.Struct("<BBHIQQQ")
_CHECK: Final = struct.Struct("<I")
HEAD_BYTES: Final = _HEAD.size + _CHECK.size


class Damaged(AsyncBridgeError):
    """Bytes were changed on their way; it stays inside, since they are asked for again."""


class Kind(IntEnum):
    """What a record is."""

    PUT = 1
    GET = 2
    CHUNK = 3
    HAVE = 4
    REFUSED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a record says of itself.

    Attributes:
        kind: What it is.
        packed: Whether a chunk is compressed.
        damaged: Of HAVE: how many times what stands at the offset has arrived damaged.
        length: Bytes that follow: a chunk's as it is sent, or a text's.
        offset: Where in the buffer it begins; of HAVE, how much is there.
        size: Of PUT and GET, the buffer's bytes; of CHUNK, its own, not compressed.
        checksum: Of what follows; for a chunk, of what it holds.
    """

    kind: Kind
    packed: bool = False
    damaged: int = 0
    length: int = 0
    offset: int = 0
    size: int = 0
    checksum: int = 0

    def pack(self) -> bytes:
        """Return the head's bytes."""
        raw = _HEAD.pack(
            self.kind, self.packed, self.damaged, self.length,
            self.offset, self.size, self.checksum,
        )  # fmt: skip
        return raw + _CHECK.pack(zlib.crc32(raw))

    @classmethod
    def unpack(cls, raw: bytes | bytearray | memoryview) -> Head:
        """Read a head.

        Raises:
            Damaged: Its checksum is another.
            DecodeError: There is no such record.
        """
        view = memoryview(raw)
        if _CHECK.unpack_from(view, _HEAD.size)[0] != zlib.crc32(view[: _HEAD.size]):
            raise Damaged("the head of a record on a bulk connection was damaged on its way")
        kind, packed, damaged, length, offset, size, checksum = _HEAD.unpack_from(view)
        if kind not in _KINDS or packed > (kind == Kind.CHUNK):
            raise DecodeError(f"no record on a bulk connection is of kind {kind}, form {packed}")
        head = cls(
            kind=Kind(kind), packed=bool(packed), damaged=damaged, length=length,
            offset=offset, size=size, checksum=checksum,
        )  # fmt: skip
        head.check_length()
        return head

    def check_length(self) -> None:
        """Look whether what follows may be so long, before it is read.

        Raises:
            DecodeError: It may not.
        """
        if self.kind is not Kind.CHUNK:
            fits = self.length <= (0 if self.kind is Kind.HAVE else TEXT_BYTES)
        elif self.packed:
            fits = 0 < self.length < self.size <= CHUNK_BYTES
        else:
            fits = 0 < self.length == self.size <= CHUNK_BYTES
        if not fits:
            raise DecodeError(
                f"a record {self.kind.name} on a bulk connection with {self.length} bytes behind it, "
                f"for {self.size}"
            )


_KINDS: Final = frozenset(Kind)

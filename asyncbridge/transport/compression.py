"""Compressed chunks: how one is made and read, and whether it is worth it.

A network is slower than compression, or faster; data shrinks, or does not. So both are measured as
the chunks go, and the faster way is taken.
"""

from __future__ import annotations

import contextlib
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.errors import DecodeError

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Buffer

__all__ = ["Judge", "available", "compress", "decompress_into", "pays"]

LEVEL: Final = 1
"""zstd's level: the higher ones take longer than most networks."""
WINDOW_BYTES: Final = 8 * 1024 * 1024
"""The most memory that a compressed chunk may ask its reader for, beside the chunk itself."""
GAIN: Final = 0.8
"""Compression has to bring the time of a chunk down to this part of it: it costs a core."""
FASTEST: Final = 1e9
"""Bytes in a second from which on a connection is left alone: even a try costs more than it brings."""
REMEMBERED: Final = 16
"""Chunks until what was found out is looked at again."""


@cache
def available() -> bool:
    """Tell whether this side can compress."""
    with contextlib.suppress(ImportError):
        zstd()
        return True
    return False


@cache
def zstd() -> Any:
    """Return the module, which is an extra."""
    return import_module("zstandard")


def compress(chunk: Buffer) -> bytes:
    """Return a chunk compressed."""
    packed: bytes = zstd().ZstdCompressor(level=LEVEL).compress(chunk)
    return packed


def decompress_into(packed: Buffer, view: memoryview) -> None:
    """Fill a view with what a chunk holds; nothing larger is made on the way.

    Raises:
        DecodeError: It holds less or more, or is no compressed chunk.
    """
    unpacker = zstd().ZstdDecompressor(max_window_size=WINDOW_BYTES)
    filled = 0
    try:
        with unpacker.stream_reader(packed) as reader:
            while filled < view.nbytes and (count := reader.readinto(view[filled:])):
                filled += count
            more = reader.read(1)
    except zstd().ZstdError as error:
        raise DecodeError(f"a chunk cannot be decompressed: {error}") from None
    if filled < view.nbytes or more:
        raise DecodeError(f"a compressed chunk does not hold the {view.nbytes} bytes it names")


def pays(*, ratio: float, link: float, speed: float) -> bool:
    """Tell whether chunks are sooner at the other end if they are compressed.

    Args:
        ratio: Bytes of a compressed chunk, for each byte of it plain.
        link: Bytes in a second that the connection takes.
        speed: Bytes in a second that are compressed, meanwhile and on another core.
    """
    plain = 1 / link
    packed = max(ratio / link, 1 / speed)
    return packed < GAIN * plain


class Judge:
    """Decides for the chunks of one connection, by what it is told of those before.

    The first chunk goes as it is, and times the connection; the second one is compressed, to see
    what that brings. From time to time both are looked at again.
    """

    def __init__(self) -> None:
        self._link = 0.0
        self._ratio = 0.0
        self._speed = 0.0
        self._since = 0

    def wants(self) -> bool:
        """Tell whether the next chunk is to be compressed."""
        self._since += 1
        if not self._link or self._link > FASTEST:
            return False
        if not self._speed or self._since > REMEMBERED:
            self._since = 0
            return True
        return pays(ratio=self._ratio, link=self._link, speed=self._speed)

    def sent(self, size: int, seconds: float) -> None:
        """Note how long the connection took for so many bytes."""
        now = size / max(seconds, 1e-9)
        self._link = now if not self._link else (self._link + now) / 2

    def compressed(self, size: int, packed: int, seconds: float) -> bool:
        """Note what compression has brought; tell whether that chunk shall go so."""
        self._ratio = packed / size
        self._speed = size / max(seconds, 1e-9)
        return pays(ratio=self._ratio, link=self._link, speed=self._speed)

"""Checksums of bulk data: which ones there are here, and which one two sides take."""

from __future__ import annotations

import contextlib
import zlib
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from asyncbridge.protocol.messages import Buffer

__all__ = ["NONE", "choose", "known"]

NONE: Final = "none"
"""No checksum: for what keeps bytes as they are, such as TLS, which has its own, and Unix sockets."""


@cache
def known() -> Mapping[str, Callable[[Buffer], int]]:
    """Return the checksums of this side by name, the fastest first; the numbers fit 64 bits."""
    found: dict[str, Callable[[Buffer], int]] = {}
    with contextlib.suppress(ImportError):
        found["xxh3"] = import_module("xxhash").xxh3_64_intdigest
    found["crc32"] = zlib.crc32
    found[NONE] = nothing
    return found


def nothing(_data: Buffer) -> int:
    """Return 0."""
    return 0


def choose(offered: Iterable[str], *, sound: bool) -> str | None:
    """Return the first of the offered checksums that this side has, None if it has none.

    Args:
        offered: Names, as the other side prefers them.
        sound: Whether what carries the bytes keeps them as they are.
    """
    usable = known()
    names = (name.strip() for name in offered)
    return next((name for name in names if name in usable and (name != NONE or sound)), None)

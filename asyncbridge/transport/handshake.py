"""How a bulk connection begins: an HTTP request that offers, and an answer that chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asyncbridge.errors import DecodeError
from asyncbridge.transport import compression
from asyncbridge.transport.checksums import NONE, choose, known

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROTOCOL", "accept", "accepted", "offers"]

PROTOCOL: Final = "asyncbridge-bulk"
"""What the ``Upgrade`` header names."""
CHECKSUM: Final = "Asyncbridge-Checksum"
PACKING: Final = "Asyncbridge-Packing"
ZSTD: Final = "zstd"


def offers(*, sound: bool) -> dict[str, str]:
    """Return the headers of the client's request.

    Args:
        sound: Whether what carries the bytes keeps them as they are.
    """
    names = [name for name in known() if name != NONE]
    headers = {
        "Connection": "Upgrade",
        "Upgrade": PROTOCOL,
        CHECKSUM: ", ".join([NONE, *names] if sound else names),
    }
    return headers | ({PACKING: ZSTD} if compression.available() else {})


def accept(headers: Mapping[str, str], *, sound: bool) -> dict[str, str] | None:
    """Return the headers of the worker's answer; None where the request asks for something else.

    Args:
        headers: The request's.
        sound: Whether what carries the bytes keeps them as they are.
    """
    checksum = choose(headers.get(CHECKSUM, "").split(","), sound=sound)
    if headers.get("Upgrade", "").lower() != PROTOCOL or checksum is None:
        return None
    answer = {"Connection": "Upgrade", "Upgrade": PROTOCOL, CHECKSUM: checksum}
    packs = headers.get(PACKING) == ZSTD and compression.available()
    return answer | ({PACKING: ZSTD} if packs else {})


def accepted(headers: Mapping[str, str], *, sound: bool) -> tuple[str, bool]:
    """Return what an answer has chosen: the checksum, and whether chunks may be compressed.

    Args:
        headers: The answer's.
        sound: As in the request.

    Raises:
        DecodeError: It chose what was not offered.
    """
    checksum = choose([headers.get(CHECKSUM, "")], sound=sound)
    packing = headers.get(PACKING)
    if checksum is None or packing not in ([None, ZSTD] if compression.available() else [None]):
        raise DecodeError("the other side of a bulk connection chose what was not offered")
    return checksum, packing is not None

"""What is the same for every transport: where a worker is asked, and what goes by bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asyncbridge.transport.contract import Link
from asyncbridge.transport.streams import StreamBulk

if TYPE_CHECKING:
    import aiohttp

    from asyncbridge.transport.resumable import Dialled

__all__ = ["UNIX_BASE", "link_of"]

UNIX_BASE: Final = "http://asyncbridge"
"""Scheme and Host of requests over a Unix socket."""


def link_of(
    channel: Dialled,
    http: aiohttp.ClientSession,
    base: str,
    headers: dict[str, str],
    session: str,
) -> Link:
    """Put a session's bulk lane beside its channel."""
    sound = base == UNIX_BASE or base.startswith("https:")
    bulk = StreamBulk(http, f"{base}/v1/bulk/{session}", headers, sound=sound)
    return Link(channel=channel, bulk=bulk)

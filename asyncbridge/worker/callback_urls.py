"""Where notifications may be posted to: to the client that asked for them, unless told otherwise."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from asyncbridge.worker.problems import Problem

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["check_callback", "home_of"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LOOPBACK: Final = "127.0.0.1"


def home_of(request: web.Request) -> str:
    """Return the address that a request came from; loopback's for a Unix socket."""
    transport = request.transport
    peer = None if transport is None else transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else LOOPBACK


def check_callback(url: str, home: str, others: frozenset[str]) -> None:
    """Refuse a callback that leads to anybody but the client.

    Names are not looked up: one that means the client now may mean somebody else later.

    Args:
        url: Where the client wants its notifications.
        home: The address that it has itself.
        others: Host names and addresses that it may name besides.

    Raises:
        Problem: It is no such URL.
    """
    try:
        parts = urlsplit(url)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        raise Problem(400, "BadCallback", f"the callback {url!r:.200} is no URL") from None
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host or not port_is_good:
        raise Problem(
            400, "BadCallback", f"the callback {url!r:.200} is no http:// or https:// URL"
        )
    if "@" in parts.netloc:
        raise Problem(
            400, "BadCallback", "a callback's URL holds no user: use callback_token for a secret"
        )
    if host not in others and not is_at(host, home):
        raise Problem(
            403, "CallbackForbidden",
            f"the callback leads to {host}, and the request came from {home}: notifications go to "
            "the client's own address; `asyncbridge worker --callback-hosts` allows others",
        )  # fmt: skip


def is_at(host: str, home: str) -> bool:
    """Tell whether a URL's host is an address, or loopback's name for one where both are loopback."""
    there, here = address_of(LOOPBACK if host == "localhost" else host), address_of(home)
    if there is None or here is None:
        return False
    return there == here or (there.is_loopback and here.is_loopback)


def address_of(text: str) -> Address | None:
    """Return an IP address, an IPv4 one as such however it is written; None for a name."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address

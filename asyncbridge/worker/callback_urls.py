"""Where notifications may be posted to: to the client that asked for them, unless told otherwise.

A callback is parsed once, by what dials it: the host that is checked is the host that is dialled.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final

from yarl import URL

from asyncbridge.worker.problems import Problem

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["LOCALHOST", "check_callback", "home_of", "read_callback"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LOCALHOST: Final = "localhost"
LOOPBACK: Final = "127.0.0.1"


def home_of(request: web.Request) -> str:
    """Return the address that a request came from; loopback's for a Unix socket."""
    transport = request.transport
    peer = None if transport is None else transport.get_extra_info("peername")
    if not isinstance(peer, tuple) or not peer:
        return LOOPBACK
    host, mark, zone = str(peer[0]).partition("%")
    if not mark and len(peer) > 3 and peer[3]:  # of IPv6 it is the fourth part
        mark, zone = "%", str(peer[3])
    return f"{host}%{number_of(zone)}" if mark else host


def read_callback(text: str) -> URL:
    """Return a callback's URL, which is dialled as it is.

    Raises:
        Problem: It is none, or can be read in two ways.
    """
    if not text.isascii() or not text.isprintable() or " " in text:
        raise bad_callback(f"{text!r:.200} is no URL: one is of printable ASCII, without spaces")
    try:
        url = URL(text)
    except (ValueError, IndexError) as error:  # the second one by yarl 1.25, of a lone bracket
        raise bad_callback(f"{text!r:.200} is no URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host or url.explicit_port == 0:
        raise bad_callback(f"{text!r:.200} is no http:// or https:// URL")
    if "@" in url.raw_authority:
        raise bad_callback("one holds no user: use callback_token for a secret")
    return _with_zone(url, url.host) if "%" in url.host else url


def check_callback(url: URL, home: str, others: frozenset[str]) -> None:
    """Refuse a callback that leads to anybody but the client.

    Names are not looked up: one that means the client now may mean somebody else later.

    Args:
        url: Where the client wants its notifications.
        home: The address that it has itself.
        others: Host names and addresses that it may name besides.

    Raises:
        Problem: It leads elsewhere.
    """
    host = url.host or ""
    if host in others or is_at(host, home):
        return
    there, here = address_of(host), address_of(home)
    if needs_zone(there) and needs_zone(here) and str(there) == str(here).partition("%")[0]:
        raise bad_callback(
            f"{host} needs its zone: write [{host}%25NAME], with the interface's name"
        )
    raise Problem(
        403, "CallbackForbidden",
        f"the callback leads to {host}, and the request came from {home}: notifications go to "
        "the client's own address; `asyncbridge worker --callback-hosts` allows others",
    )  # fmt: skip


def is_at(host: str, home: str) -> bool:
    """Tell whether a URL's host is an address, or loopback's name for one where both are loopback."""
    there, here = address_of(LOOPBACK if host == LOCALHOST else host), address_of(home)
    if there is None or here is None:
        return False
    return there == here or (there.is_loopback and here.is_loopback)


def address_of(text: str) -> Address | None:
    """Return an IP address, an IPv4 one as such however it is written; None for a name."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def needs_zone(address: Address | None) -> bool:
    """Tell whether an address means something on one interface alone."""
    return isinstance(address, ipaddress.IPv6Address) and address.is_link_local


def number_of(zone: str) -> int:
    """Return a network interface's number, by its name or as it is written.

    Raises:
        OSError: None has that name.
    """
    return int(zone) if zone.isdecimal() else socket.if_nametoindex(zone)


def bad_callback(text: str) -> Problem:
    """Return the problem of a callback that is no URL to post to."""
    return Problem(400, "BadCallback", f"the callback is of no use: {text}")


def _with_zone(url: URL, host: str) -> URL:
    """Return a URL whose zone is a number, as that of a client's address is."""
    literal, _, zone = host.partition("%")
    if ":" not in literal or not needs_zone(address_of(literal)):
        raise bad_callback(
            f"its host {host!r} has a %, which belongs in link-local IPv6 addresses alone"
        )
    try:
        number = number_of(zone)
        socket.if_indextoname(number)
    except (OSError, OverflowError):
        raise bad_callback(f"no network interface here is called {zone!r:.40}") from None
    return url.with_host(f"{literal}%{number}")

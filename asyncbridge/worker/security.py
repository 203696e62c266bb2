"""Who may talk to a worker: one deny-by-default middleware in front of every route."""

from __future__ import annotations

import hmac
import logging
import os
import re
import socket
import struct
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

__all__ = ["UNIX_HOST", "bracketed", "guard"]

UNIX_HOST = "asyncbridge"
"""The Host header of a request that comes over a Unix socket."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?", re.ASCII)
"""A Host header, and in it the name: what leads here may listen on a port of its own."""

log = logging.getLogger(__name__)


def guard(token: str, hosts: frozenset[str]) -> Middleware:
    """Return the middleware that lets only the worker's own user with its token through.

    Args:
        token: The worker's secret.
        hosts: What this worker is called, matched exactly, so that a browser that was rebound
            to its address gets nothing: an attacker's page can choose its port, not these names.
    """
    expected = f"Bearer {token}".encode()

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        reason = refusal(request, expected, hosts)
        if reason is not None:
            log.warning("refused %s %s: %s", request.method, request.path, reason)
            raise web.HTTPForbidden(text=reason, headers={"Asyncbridge-Refused": reason})
        return await handler(request)

    return check


def refusal(request: web.Request, expected: bytes, hosts: frozenset[str]) -> str | None:
    """Return why a request is refused, or None."""
    if "Origin" in request.headers:
        return "requests from web pages are refused"
    user = peer_user(request)
    if user is not None and user != os.getuid():
        return f"this worker belongs to user {os.getuid()}, not to user {user}"
    given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given, expected):
        return "wrong token"
    # Last, for its answer tells the worker's names.
    return stranger(request, hosts)


def stranger(request: web.Request, hosts: frozenset[str]) -> str | None:
    """Return why the Host header does not name this worker, None where it does."""
    header = request.headers.get("Host", "")
    found = _HOST.fullmatch(header)
    own = own_address(request)
    if found is not None and (found[1] in hosts or found[1] == own):
        return None
    names = ", ".join(sorted(hosts if own is None else hosts | {own}))
    here = f"write http://{UNIX_HOST}/... over its Unix socket, or " if UNIX_HOST in hosts else ""
    return (
        f"the Host header names {header[:200]!r}, which is not this worker: it is called {names}, "
        f"with any port; {here}add a name by `asyncbridge worker --name`"
    )


def own_address(request: web.Request) -> str | None:
    """Return this end's address of a TCP connection: no rebound name looks like it."""
    transport = request.transport
    name = None if transport is None else transport.get_extra_info("sockname")
    return bracketed(name[0]) if isinstance(name, tuple) else None


def bracketed(host: str) -> str:
    """Return a host as it stands in a Host header: an address of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def peer_user(request: web.Request) -> int | None:
    """Return the user id at the other end of a Unix socket, None where there is none to ask."""
    transport = request.transport
    connection = None if transport is None else transport.get_extra_info("socket")
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", credentials)[1])

"""Who may talk to a worker: one deny-by-default middleware in front of every route."""

from __future__ import annotations

import hmac
import logging
import os
import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

__all__ = ["DEFAULT_PORTS", "UNIX_HOST", "authority", "guard"]

UNIX_HOST = "asyncbridge"
"""The Host header of a request that comes over a Unix socket."""

DEFAULT_PORTS = {False: 80, True: 443}

log = logging.getLogger(__name__)


def guard(token: str, hosts: frozenset[str]) -> Middleware:
    """Return the middleware that lets only the worker's own user with its token through.

    Args:
        token: The worker's secret.
        hosts: The Host headers that name this worker, matched exactly, so that a browser
            that was rebound to this address gets nothing.
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
    host = request.headers.get("Host", "")
    if host not in hosts and host != own_address(request):
        return f"the Host header names {host!r}, which is not this worker"
    user = peer_user(request)
    if user is not None and user != os.getuid():
        return f"this worker belongs to user {os.getuid()}, not to user {user}"
    given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given, expected):
        return "wrong token"
    return None


def own_address(request: web.Request) -> str | None:
    """Return this end's ``address:port`` of a TCP connection: no rebound name looks like it."""
    transport = request.transport
    name = None if transport is None else transport.get_extra_info("sockname")
    if not isinstance(name, tuple):
        return None
    default = DEFAULT_PORTS[request.secure]
    return authority(name[0], name[1], default=default)


def authority(host: str, port: int, *, default: int | None = None) -> str:
    """Return what a client writes into the Host header: no default port, IPv6 in brackets."""
    name = f"[{host}]" if ":" in host else host
    return name if port == default else f"{name}:{port}"


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

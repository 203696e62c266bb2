"""Why there is no connection to a worker."""

from __future__ import annotations

from asyncbridge.errors.base import AsyncBridgeError

__all__ = [
    "AuthenticationError",
    "ConnectError",
    "SessionTaken",
    "SocketPermissionError",
]


class ConnectError(AsyncBridgeError, ConnectionError):
    """No connection to a worker."""


class SessionTaken(ConnectError):
    """Another client has taken over the session of that name; this one has no part in it now."""


class AuthenticationError(ConnectError):
    """The worker refused the token, or runs as another user."""


class SocketPermissionError(ConnectError):
    """The socket's folder belongs to, or is open to, another user."""

"""Breaks of the protocol, by who broke it."""

from __future__ import annotations

from asyncbridge.errors.base import AsyncBridgeError

__all__ = [
    "LocalProtocolError",
    "ProtocolError",
    "ProtocolVersionError",
    "RemoteProtocolError",
]


class ProtocolError(AsyncBridgeError):
    """A break of the protocol, by either side."""


class LocalProtocolError(ProtocolError):
    """This side tried what the protocol does not allow in the present state."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol does not allow in the present state."""


class ProtocolVersionError(ProtocolError):
    """The two sides share no protocol version; the text names both ranges."""

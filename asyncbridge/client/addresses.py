"""Where a worker is, as its client is told: what of that is refused before anything is sent."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from asyncbridge.client.options import TOKEN_FILE, nobody_at, read_token
from asyncbridge.errors import ConnectError

if TYPE_CHECKING:
    from pathlib import Path
    from urllib.parse import SplitResult

__all__ = ["check_bare", "check_clear_text", "check_here", "is_loopback", "token_beside"]


def token_beside(socket: Path) -> str:
    """Return the token of the file beside a Unix socket.

    Raises:
        AuthenticationError: It cannot be read.
        ConnectError: There is neither.
    """
    path = socket.parent / TOKEN_FILE
    if not path.exists() and not socket.exists():
        raise ConnectError(nobody_at(socket))
    return read_token(path)


def check_bare(parts: SplitResult, url: str) -> None:
    """Refuse an address that names more than a host and a port: the rest would be ignored.

    Raises:
        ConnectError: It does, or its port is none.
    """
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConnectError(
            f"{url!r} names more than a worker's address: {parts.scheme}://{parts.netloc} is all "
            "there is to it"
        )
    try:
        _ = parts.port
    except ValueError as error:
        raise ConnectError(f"{url!r} is no worker's address: {error}") from None


def check_here(url: str, host: str | None) -> None:
    """Refuse the HTTP pair with another machine: its worker would answer in clear text.

    Raises:
        ConnectError: The address is another machine's.
    """
    if host is not None and not is_loopback(host):
        raise ConnectError(
            f"transport='http' would have the worker at {url} post its notifications over the "
            "network in clear text: use the default transport, or a tunnel to a loopback port"
        )


def check_clear_text(scheme: str, host: str, url: str) -> None:
    """Refuse to send a token where others could read it off the wire.

    Raises:
        ConnectError: It is plain HTTP to another machine.
    """
    if scheme != "https" and not is_loopback(host):
        raise ConnectError(f"{url} would show the token to the network: use https://")


def is_loopback(host: str) -> bool:
    """Tell whether a URL's host is this machine, whatever else it may be called."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

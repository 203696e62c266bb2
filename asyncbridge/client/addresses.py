"""Where a worker is, as its client is told: what of that is refused before anything is sent."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from asyncbridge.client.links import UNIX_BASE
from asyncbridge.client.options import TOKEN_FILE, check_socket, nobody_at, read_token
from asyncbridge.errors import AuthenticationError, ConnectError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["Address", "address_of", "check_here"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A worker that runs, and what lets a client in there.

    Attributes:
        url: As it was given.
        base: What the URLs of requests begin with.
        token: The worker's secret.
        host: Its name on the network; None on a Unix socket.
        socket: The Unix socket; None on the network.
    """

    url: str
    base: str
    token: str = field(repr=False)
    host: str | None = None
    socket: Path | None = None


def address_of(url: str, token: str | None) -> Address:
    """Return the address of a worker.

    Args:
        url: As ``connect`` takes it.
        token: The secret; by default that of the file beside the Unix socket.

    Raises:
        AuthenticationError: There is no token, or others could know it.
        ConnectError: It is no address, or the token would be shown on its way there.
    """
    parts = parts_of(url)
    socket: Path | None = None
    base = UNIX_BASE
    if parts.scheme == "unix" and parts.path and not parts.netloc:
        socket = Path(parts.path)
        check_socket(socket)
        token = token or token_beside(socket)
    elif parts.scheme in ("http", "https") and parts.netloc:
        if "@" in parts.netloc:
            raise ConnectError("a worker's address holds no user and password: pass token= instead")
        check_bare(parts, url)
        check_clear_text(parts.scheme, parts.hostname or "", url)
        base = f"{parts.scheme}://{parts.netloc}"
    else:
        raise ConnectError(
            f"{url!r} is no worker's address: unix:///absolute/path, https://host:port, or on "
            "this machine http://127.0.0.1:port"
        )
    if not token:
        raise AuthenticationError(
            f"no token for {url}: pass token=, or name its file in ASYNCBRIDGE_TOKEN_FILE"
        )
    if not token.isprintable() or not token.isascii():
        raise AuthenticationError("a token is printable ASCII text; this one is not")
    return Address(url=url, base=base, token=token, host=parts.hostname, socket=socket)


def parts_of(url: str) -> SplitResult:
    """Return the parts of an address.

    Raises:
        ConnectError: It cannot be read at all.
    """
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ConnectError(f"{url!r} is no worker's address: {error}") from None


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

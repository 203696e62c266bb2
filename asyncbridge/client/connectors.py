"""How a bridge comes by its worker: it starts one, or attaches to one that runs."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from asyncbridge.client.addresses import address_of, check_here
from asyncbridge.client.links import UNIX_BASE, link_of
from asyncbridge.client.options import nobody_at
from asyncbridge.errors import AuthenticationError, ConnectError, WorkerLost
from asyncbridge.protocol.journal import JOURNAL_FILE, parse, session_digest
from asyncbridge.protocol.limits import FRAME_BYTES, REASON_CHARS
from asyncbridge.transport.contract import ChannelClosed, Link, NobodyThere
from asyncbridge.transport.resumable import Dialled
from asyncbridge.transport.websocket import WebSocketWire

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client.addresses import Address
    from asyncbridge.client.launcher import WorkerProcess
    from asyncbridge.client.pair import HttpPair
    from asyncbridge.transport.contract import Wire

__all__ = ["AttachedWorker", "LocalWorker", "Worker"]

POLL_SECONDS = 0.01
"""How often a worker that starts is looked for."""
VERDICT_SECONDS = 5.0
"""How long the supervisor is waited for, once the worker's connection has ended."""
_UNKNOWN_ISSUER = (18, 19, 20, 21)
"""OpenSSL's numbers for a certificate whose signer is not known here; others are at fault themselves."""
STOP_SECONDS = 2.0
"""How long a worker may take to end by itself when it is told to."""


class Worker(ABC):
    """A worker as the client sees it: a way to it, and what is known of its life.

    Attributes:
        connected: Told when the connection is lost, and when there is one again.
    """

    kind: str

    def __init__(self) -> None:
        self.connected: Callable[[bool], None] = lambda connected: None

    @abstractmethod
    async def dial(self, session: str) -> Link:
        """Open a link for a session.

        Raises:
            ConnectError: There is nothing to connect to, or it refused.
        """

    @abstractmethod
    async def ended(self) -> WorkerLost:
        """Wait until the process is known to have ended, and return how."""

    @abstractmethod
    async def verdict(self, reason: str) -> WorkerLost:
        """Return why the worker is gone, once its connection has ended for ``reason``."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the link, and end the process if it was started for this bridge."""

    @abstractmethod
    def kill(self) -> None:
        """Let go of everything at once, with no event loop at hand."""

    def kill_process(self) -> None:
        """End the process that runs the commands, in the middle of one."""
        self.kill()

    def runs(self, session: str, command_id: int) -> bool:
        """Tell whether it is known to run a command, though it may say nothing."""
        return False


class AttachedWorker(Worker):
    """A worker that somebody else started; its process is out of sight."""

    kind = "attached"

    def __init__(
        self, url: str, token: str | None, pair: HttpPair | None = None, *, name: str = ""
    ) -> None:
        super().__init__()
        self._name = name
        address = address_of(url, token)
        if pair is not None:
            check_here(url, address.host)
        self._address = address
        self._pair = pair
        self._http: aiohttp.ClientSession | None = None

    async def dial(self, session: str) -> Link:
        """Connect to the address."""
        address = self._address
        self._http = http_session(address.socket)
        opener = open_link if self._pair is None else self._pair.open_link
        try:
            return await opener(
                self._http,
                address.base,
                address.token,
                session,
                address.url,
                self.connected,
                name=self._name,
            )
        except aiohttp.ClientConnectionError as error:
            raise unreachable(address, error) from error

    async def ended(self) -> WorkerLost:
        """Wait for ever: nobody here sees the process."""
        never: asyncio.Future[WorkerLost] = asyncio.get_running_loop().create_future()
        return await never

    async def verdict(self, reason: str) -> WorkerLost:
        """Return what the connection's end says, of a process that nobody here sees."""
        kept = (
            f"session {self._name!r} keeps the outcomes"
            if self._name
            else "a session with a name would have kept the outcomes"
        )
        return WorkerLost(
            f"the connection to the worker at {self._address.url} ended: {reason}; whether it lives is not "
            f"known here: connect again, {kept}"
        )

    async def close(self) -> None:
        """Close the connections; the worker goes on."""
        await hang_up(self._http, self._pair)

    def kill(self) -> None:
        """Do nothing: the worker is not ours."""


class LocalWorker(Worker):
    """A worker that was started for one bridge; its supervisor knows how it ends."""

    kind = "local"

    def __init__(self, process: WorkerProcess, pair: HttpPair | None = None) -> None:
        super().__init__()
        self._process = process
        self._pair = pair
        self._http: aiohttp.ClientSession | None = None

    async def dial(self, session: str) -> Link:
        """Connect as soon as the worker listens."""
        process = self._process
        self._http = http_session(process.socket_path)
        opener = open_link if self._pair is None else self._pair.open_link
        while True:
            try:
                return await opener(
                    self._http,
                    UNIX_BASE,
                    process.token,
                    session,
                    f"pid {process.pid}",
                    self.connected,
                )
            except aiohttp.ClientConnectorError:  # not bound yet, or not listening
                pass
            except aiohttp.ClientConnectionError as error:  # it listens no more
                told = f"the worker (pid {process.pid}) hung up: {error}"
                raise ConnectError(told) from error
            await asyncio.sleep(POLL_SECONDS)

    async def ended(self) -> WorkerLost:
        """Wait for the supervisor's word, the one truth about the worker's death."""
        ending = await asyncio.shield(self._process.ended)
        return WorkerLost(
            f"the worker (pid {self._process.pid}) ended: {ending.reason}",
            exit_code=ending.exit_code,
            signal=ending.signal,
            stderr_tail=ending.stderr_tail,
            journal=ending.journal,
            last_stack=ending.last_stack,
        )

    async def verdict(self, reason: str) -> WorkerLost:
        """Return what the supervisor says, which may take a moment."""
        try:
            async with asyncio.timeout(VERDICT_SECONDS):
                return await self.ended()
        except TimeoutError:
            return WorkerLost(
                f"the connection to the worker ended while its process lives: {reason}"
            )

    async def close(self) -> None:
        """Close the connections and stop the process."""
        await hang_up(self._http, self._pair)
        await self._process.stop(STOP_SECONDS)
        await self._process.close()

    def kill(self) -> None:
        """Close the supervisor's pipe: it kills the worker."""
        self._process.kill()

    def runs(self, session: str, command_id: int) -> bool:
        """Read it in the journal, a few bytes in a file of the worker's folder."""
        try:
            entry = parse(Path(self._process.folder, JOURNAL_FILE).read_bytes())
        except OSError:  # it has ended
            return False
        if entry is None or entry.finished or entry.command_id != command_id:
            return False
        return entry.session == session_digest(session)


def unreachable(address: Address, error: aiohttp.ClientConnectionError) -> ConnectError:
    """Return what to tell of a worker to which no connection can be made."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return ConnectError(untrusted(address.url, error.certificate_error))
    if address.socket is not None and has_left(error):
        return ConnectError(nobody_at(address.socket))
    return ConnectError(f"no worker can be reached at {address.url}: {error}")


def untrusted(url: str, error: Exception) -> str:
    """Return what is wrong with a worker's certificate, and what to do about it."""
    reason = getattr(error, "verify_message", "") or str(error)
    text = f"the certificate of the worker at {url} is not trusted: {reason}"
    if getattr(error, "verify_code", None) not in _UNKNOWN_ISSUER:
        return text
    present = os.environ.get("SSL_CERT_FILE")
    now = "" if present is None else f", which is {present!r} now"
    return (
        f"{text}. If no authority of this system's has signed it, let SSL_CERT_FILE in the "
        f"environment that the app is started with name it{now}: SSL_CERT_FILE=cert.pem"
    )


async def hang_up(http: aiohttp.ClientSession | None, pair: HttpPair | None) -> None:
    """Close a worker's connections, in both directions."""
    if http is not None:
        await http.close()
    if pair is not None:
        await pair.close()


def http_session(socket: Path | None) -> aiohttp.ClientSession:
    """Return an HTTP session that keeps nothing and trusts nothing of the environment."""
    connector = aiohttp.TCPConnector() if socket is None else aiohttp.UnixConnector(str(socket))
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    )


async def open_link(
    http: aiohttp.ClientSession,
    base: str,
    token: str,
    session: str,
    what: str,
    connected: Callable[[bool], None] = lambda connected: None,
    *,
    name: str = "",
) -> Link:
    """Open a session's channel and its bulk lane.

    Raises:
        AuthenticationError: The worker refused this client.
        ConnectError: What answers there is no worker.
        aiohttp.ClientConnectionError: Nothing answers there.
    """
    headers = {"Authorization": f"Bearer {token}"}
    dial = partial(open_again, http, base, headers, what)
    channel = Dialled(session, dial, changed=connected, name=name)
    try:
        await channel.open(await open_wire(http, base, headers, what))
    except ChannelClosed as error:
        raise ConnectError(f"the worker ({what}) hung up: {error}") from error
    return link_of(channel, http, base, headers, session)


async def open_again(
    http: aiohttp.ClientSession, base: str, headers: dict[str, str], what: str
) -> Wire:
    """Open another WebSocket, in the place of one that has ended.

    Raises:
        ConnectError: That cannot be done now.
        NobodyThere: It can never be done: the process has ended that had the socket.
    """
    try:
        return await open_wire(http, base, headers, what)
    except (aiohttp.ClientError, OSError) as error:
        if base == UNIX_BASE and has_left(error):
            raise NobodyThere(f"the worker ({what}) has left its socket") from error
        raise ConnectError(f"the worker ({what}) cannot be reached: {error}") from error


def has_left(error: Exception) -> bool:
    """Tell whether it says that no process has a Unix socket any more."""
    return isinstance(error, aiohttp.ClientConnectorError) and isinstance(
        error.os_error, ConnectionRefusedError | FileNotFoundError
    )


async def open_wire(
    http: aiohttp.ClientSession, base: str, headers: dict[str, str], what: str
) -> Wire:
    """Open a WebSocket.

    Raises:
        AuthenticationError: The worker refused this client.
        ConnectError: What answers there is no worker.
        aiohttp.ClientConnectionError: Nothing answers there.
    """
    try:
        socket = await http.ws_connect(
            f"{base}/v1/session", headers=headers, max_msg_size=FRAME_BYTES, compress=0
        )
    except aiohttp.WSServerHandshakeError as error:
        if error.status == 403:
            headers_back = error.headers
            reason = headers_back.get("Asyncbridge-Refused", "") if headers_back else ""
            raise AuthenticationError(
                f"the worker ({what}) refused this client: {reason[:REASON_CHARS] or 'no reason given'}"
            ) from None
        raise ConnectError(f"no asyncbridge worker answers ({what}): {error.message}") from error
    except aiohttp.ClientConnectionError:
        raise
    except aiohttp.ClientError as error:
        told = f"it redirects, or says what is no HTTP ({type(error).__name__})"
        raise ConnectError(f"no asyncbridge worker answers ({what}): {told}") from error
    return WebSocketWire(socket)

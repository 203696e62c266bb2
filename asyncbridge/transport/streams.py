"""The client's bulk lane: buffers over connections of their own, taken up again after a cut."""

from __future__ import annotations

import asyncio
import errno
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from aiohttp import ClientConnectorError, ClientError, ClientTimeout

from asyncbridge.errors import DecodeError, TransferError
from asyncbridge.transport import compression
from asyncbridge.transport.chunks import (
    Landing,
    Terms,
    read_record,
    receive_chunks,
    send_chunks,
    write_record,
)
from asyncbridge.transport.contract import Bulk, ChannelClosed
from asyncbridge.transport.handshake import accepted, offers
from asyncbridge.transport.outgoing import source_of
from asyncbridge.transport.records import Damaged, Head, Kind
from asyncbridge.transport.retries import Backoff, Tries
from asyncbridge.transport.stream import PATIENCE, Stream, StreamCut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from aiohttp import ClientResponse, ClientSession

    from asyncbridge.protocol.messages import Buffer
    from asyncbridge.serialization.deferred import Outgoing
    from asyncbridge.transport.outgoing import Source

__all__ = ["StreamBulk"]

FETCHES: Final = 4
"""Buffers that are on their way to this side at once."""
SWITCHED: Final = 101
"""The HTTP status by which a connection changes hands."""
THREADS: Final = 2
"""Threads that look after chunks."""
DAMAGE: Final = 4
"""Times that a chunk may arrive damaged."""
LACKING: Final = 8
"""Tries that a lack of descriptors may last for, about five seconds: it is this process's own matter."""


class Connection:
    """An open bulk connection, and what was agreed on for it."""

    def __init__(self, response: ClientResponse, stream: Stream, terms: Terms) -> None:
        self._response = response
        self.stream = stream
        self.terms = terms

    def close(self) -> None:
        """End it at once; whatever is under way is taken up again elsewhere."""
        self.stream.abort()
        self._response.close()


class Upload:
    """A buffer on its way to the worker."""

    def __init__(self, buffer_id: str, source: Source) -> None:
        self.id = buffer_id
        self.source = source
        self.good = 0
        self.damaged = 0

    async def attempt(self, stream: Stream, terms: Terms) -> None:
        """Send what the worker lacks."""
        asked = Head(kind=Kind.PUT, size=self.source.nbytes)
        await write_record(stream, asked, terms, self.id)
        await self._hear(stream, terms)
        if self.good < self.source.nbytes:
            await send_chunks(stream, self.source, self.good, terms)
            await self._hear(stream, terms)
        if self.good < self.source.nbytes:
            raise DecodeError(f"the worker has {self.good} bytes of all that was sent to it")

    async def _hear(self, stream: Stream, terms: Terms) -> None:
        head, text = await read_record(stream, terms)
        if head.kind is Kind.REFUSED:
            raise ChannelClosed(f"the worker refused bulk buffer {self.id}: {text}")
        if head.kind is not Kind.HAVE or head.offset > self.source.nbytes:
            raise DecodeError(f"the worker said {head.kind.name} {head.offset} about a bulk buffer")
        self.good, self.damaged = head.offset, head.damaged


class Download:
    """A buffer on its way from the worker."""

    def __init__(self, buffer_id: str, landing: Landing) -> None:
        self.id = buffer_id
        self.landing = landing

    @property
    def good(self) -> int:
        """Bytes that are here."""
        return self.landing.good

    @property
    def damaged(self) -> int:
        """How many times what comes next has arrived damaged."""
        return self.landing.damaged

    async def attempt(self, stream: Stream, terms: Terms) -> None:
        """Receive what this side lacks."""
        asked = Head(kind=Kind.GET, size=self.landing.size, offset=self.good)
        await write_record(stream, asked, terms, self.id)
        head, text = await read_record(stream, terms)
        if head.kind is Kind.REFUSED:
            raise ChannelClosed(f"the worker refused bulk buffer {self.id}: {text}")
        if head.kind is not Kind.HAVE or head.size != self.landing.size:
            raise DecodeError(
                f"bulk buffer {self.id} has {head.size} bytes, not {self.landing.size}"
            )
        await receive_chunks(stream, self.landing, terms)


class StreamBulk(Bulk):
    """Bulk buffers over connections that were opened by HTTP, and kept for the next ones.

    Args:
        http: For the requests that open them.
        url: Where the session's are opened.
        headers: Of those requests.
        sound: Whether what carries the bytes keeps them as they are, as TLS and Unix sockets do.
        limit: The most bytes that a fetched buffer may have.
        patience: Seconds for which nothing may move on a connection that should.
        backoff: When a transfer that was cut is taken up again.
        judge: Makes what decides on compression, for each connection.
    """

    def __init__(
        self,
        http: ClientSession,
        url: str,
        headers: dict[str, str],
        *,
        sound: bool = False,
        limit: int | None = None,
        patience: float = PATIENCE,
        backoff: Backoff | None = None,
        judge: Callable[[], compression.Judge] = compression.Judge,
    ) -> None:
        self._http = http
        self._url = url
        self._sound = sound
        self._headers = {**headers, **offers(sound=sound)}
        self._limit = limit
        self._patience = patience
        self._backoff = backoff or Backoff()
        self._judge = judge
        self._fetches = asyncio.Semaphore(FETCHES)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="asyncbridge-stream")
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._ended = asyncio.Event()

    async def send(self, buffer_id: str, buffer: Outgoing) -> None:
        """Move a buffer to the worker, over as many connections as it takes."""
        await self._carry(Upload(buffer_id, source_of(buffer)))

    async def receive(self, buffer_id: str, size: int) -> Buffer:
        """Fetch a buffer from the worker, over as many connections as it takes."""
        async with self._fetches:
            landing = Landing(size, self._limit)
            await self._carry(Download(buffer_id, landing))
            return landing.data

    def close(self) -> None:
        """End all connections; what is under way fails at once."""
        self._ended.set()
        for connection in (*self._busy, *self._idle):
            connection.close()
        self._idle.clear()
        self._threads.shutdown(wait=False)

    async def _carry(self, transfer: Upload | Download) -> None:
        """Try until it is done, or comes no further."""
        tries = Tries(self._backoff)
        while True:
            try:
                async with self._connection() as connection:
                    await transfer.attempt(connection.stream, connection.terms)
                return
            except (StreamCut, Damaged) as error:
                delay = None if self._ended.is_set() else tries.failed(transfer.good)
                lack = descriptor_lack(error)
                hopeless = lack is not None and tries.failures >= LACKING
                if delay is None or transfer.damaged >= DAMAGE or hopeless:
                    raise given_up(transfer, tries.failures, error, lack) from lack or error
            except RuntimeError as error:  # the threads are gone
                if not self._ended.is_set():
                    raise
                raise ChannelClosed("the bulk lane is closed") from error
            await self._rest(delay)

    async def _rest(self, seconds: float) -> None:
        """Wait, unless this lane is closed meanwhile."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection, None]:
        """Lend a connection; one in whose use anything went wrong is not used again."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.stream.closed:
                break
            connection.close()
        else:
            connection = await self._open()
        self._busy.add(connection)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        else:
            self._idle.append(connection)
        finally:
            self._busy.discard(connection)

    async def _open(self) -> Connection:
        if self._ended.is_set():
            raise StreamCut("the bulk lane is closed")
        try:
            async with asyncio.timeout(self._patience):
                response = await self._http.get(
                    self._url, headers=self._headers, timeout=ClientTimeout(total=None)
                )
        except (TimeoutError, ClientError, ConnectionError) as error:
            raise StreamCut(f"the bulk connection ended: {error or 'no answer'}") from error
        try:
            return await self._take_over(response)
        except BaseException:
            response.close()
            raise

    async def _take_over(self, response: ClientResponse) -> Connection:
        if response.status != SWITCHED:
            text = (await response.text())[:500]
            raise ChannelClosed(f"the worker refused a bulk connection: {text}")
        checksum, packs = accepted(response.headers, sound=self._sound)
        link = response.connection
        if link is None or link.transport is None or link.transport.is_closing():
            raise StreamCut("the bulk connection ended as it was opened")
        stream = Stream(link.transport, link.protocol, patience=self._patience)
        terms = Terms(
            threads=self._threads, checksum=checksum, judge=self._judge() if packs else None
        )
        return Connection(response, stream, terms)


def descriptor_lack(error: BaseException) -> OSError | None:
    """Return the system's own error, if that is a lack of descriptors, which no peer can help."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) and link.errno in (errno.EMFILE, errno.ENFILE):
            return link.os_error if isinstance(link, ClientConnectorError) else link
        link = link.__cause__
    return None


def given_up(
    transfer: Upload | Download, failures: int, error: StreamCut | Damaged, lack: OSError | None
) -> ChannelClosed | DecodeError | TransferError:
    """Return the error for a transfer that comes no further."""
    where = f"bulk buffer {transfer.id}, at byte {transfer.good}"
    if lack is not None:
        return TransferError(
            f"a large array cannot be moved: {lack.strerror}, in this process, after {failures} tries; "
            "close some files or connections, or raise the limit (`ulimit -n`)"
        )
    if transfer.damaged >= DAMAGE:
        return DecodeError(
            f"{where}: what comes there was damaged on its way {transfer.damaged} times; something "
            "between the two machines changes bytes, which https:// would show or get around"
        )
    if failures <= 1:
        return ChannelClosed(f"{where}: {error}")
    return ChannelClosed(f"{where}: {error}; so did {failures - 1} tries before")

"""One bulk connection once HTTP is done with it: bytes straight into and out of buffers.

aiohttp's body reader copies what arrives twice, in pieces, and its writer joins pieces; here the
socket writes into the destination itself. All else that guards a request has been done by then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from asyncbridge.transport.contract import ChannelClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.protocol.messages import Buffer

__all__ = ["PATIENCE", "Stream", "StreamCut"]

PATIENCE: Final = 30.0
"""Seconds for which nothing may move, while something should."""
SLICE_BYTES: Final = 512 * 1024
"""Bytes that the loop reads or writes at once; more would hold up what else it does."""


class StreamCut(ChannelClosed):
    """A bulk connection has ended; what was on its way goes on over another one."""


class Stream(asyncio.BufferedProtocol):
    """A transport that was somebody else's: reads fill a view, writes wait for the peer.

    One task reads and one writes at a time. A connection in which a read or a write is given up is
    of no use any more, and is closed.

    Args:
        transport: An open connection on which nothing is under way.
        former: The protocol that it had; it is told of the connection's end.
        patience: Seconds for which nothing may move.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        former: asyncio.BaseProtocol | None,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._transport = transport
        self._former = former
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._target = memoryview(b"")
        self._filled = 0
        self._received = 0
        self._full = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._lost: StreamCut | None = None
        self._gone = False
        # First: uvloop chooses how to read when reading begins.
        transport.pause_reading()
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=SLICE_BYTES, low=SLICE_BYTES // 4)

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, as far as this side knows."""
        return self._lost is not None or self._transport.is_closing()

    async def read_into(self, view: memoryview, *, idle: bool = False) -> None:
        """Fill a view of bytes.

        Args:
            view: Where to.
            idle: Wait for ever for the first byte.

        Raises:
            StreamCut: The connection has ended, or nothing came for too long.
        """
        self._check()
        if not view.nbytes:
            return
        self._target, self._filled = view, 0
        self._reader = self._loop.create_future()
        self._transport.resume_reading()
        try:
            await self._wait(self._reader, lambda: idle and not self._filled)
        finally:
            self._target, self._reader = memoryview(b""), None

    async def write(self, data: Buffer) -> None:
        """Write bytes; returns when all but a little has left this process.

        Raises:
            StreamCut: The connection has ended, or the peer took nothing for too long.
        """
        view = memoryview(data)
        for start in range(0, view.nbytes, SLICE_BYTES):
            self._check()
            self._transport.write(view[start : start + SLICE_BYTES])
            if self._full:
                self._writer = self._loop.create_future()
                await self._wait(self._writer, lambda: False)

    def close(self) -> None:
        """End the connection; what was written still goes out."""
        if not self._gone:  # a transport that is gone fails at this
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if not self._gone:
            self._transport.abort()

    # --- called by the transport ---

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go."""
        return self._target[self._filled : self._filled + SLICE_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        """Count bytes that are there; reads no further than the view."""
        self._filled += nbytes
        self._received += nbytes
        if self._filled == self._target.nbytes:
            self._transport.pause_reading()
            release(self._reader)

    def pause_writing(self) -> None:
        """Note that the peer is slower than this side."""
        self._full = True

    def resume_writing(self) -> None:
        """Let the writer go on."""
        self._full = False
        release(self._writer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits, and whose connection it was."""
        self._gone = True
        self._lose(f"{exc}" if exc is not None else "the other side closed it")
        if (former := self._former) is not None:
            self._former = None
            former.connection_lost(exc)

    # --- inner steps ---

    def _check(self) -> None:
        if self._lost is not None:
            raise StreamCut(str(self._lost))
        if self._transport.is_closing():
            raise StreamCut("the bulk connection is closed")

    def _lose(self, reason: str) -> None:
        if self._lost is None:
            self._lost = StreamCut(f"the bulk connection ended: {reason}")
        for waiter in (self._reader, self._writer):
            if waiter is not None and not waiter.done():
                waiter.set_exception(StreamCut(str(self._lost)))

    async def _wait(self, waiter: asyncio.Future[None], may_rest: Callable[[], bool]) -> None:
        """Wait, as long as something moves."""
        watch = Watch(self, may_rest, self._patience)
        try:
            await waiter
        except BaseException:
            self.abort()
            raise
        finally:
            watch.stop()

    def moved(self) -> tuple[int, int]:
        """Return what is another value whenever something has moved."""
        return self._received, self._transport.get_write_buffer_size()

    def stalled(self) -> None:
        """Give the connection up: nothing has moved for too long."""
        self._lose(f"nothing moved for {self._patience:g} s")
        self.abort()


class Watch:
    """Looks at a stream from time to time, and gives it up when nothing has moved since.

    Args:
        stream: What it looks at.
        may_rest: Whether nothing has to move now.
        patience: Seconds between two looks.
    """

    def __init__(self, stream: Stream, may_rest: Callable[[], bool], patience: float) -> None:
        self._stream = stream
        self._may_rest = may_rest
        self._patience = patience
        self._before = stream.moved()
        self._timer = asyncio.get_running_loop().call_later(patience, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _look(self) -> None:
        now = self._stream.moved()
        if now == self._before and not self._may_rest():
            self._stream.stalled()
            return
        self._before = now
        self._timer = asyncio.get_running_loop().call_later(self._patience, self._look)


def release(waiter: asyncio.Future[None] | None) -> None:
    """Let go on who waits."""
    if waiter is not None and not waiter.done():
        waiter.set_result(None)

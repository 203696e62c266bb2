"""A proxy between clients and a worker that treats their connections badly, on demand."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from tests.chaos.plan import Way

__all__ = ["Address", "End", "Proxy", "Shape"]

Address = Path | tuple[str, int]
End = Literal["cut", "reset", "half_close"]
READ_BYTES = 65536
STARTING_TRIES, STARTING_S = 400, 0.005
"""How often, and after how many seconds, a worker that starts is tried again."""
LINGER_NOT = struct.pack("ii", 1, 0)
"""``SO_LINGER``: close at once, which TCP tells by a reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How bytes pass.

    Attributes:
        size: How many at once, at most.
        late: Seconds that each of those pieces waits.
        rate: Bytes in a second; 0 for any.
    """

    size: int = READ_BYTES
    late: float = 0.0
    rate: float = 0.0

    def pause(self, count: int) -> float | None:
        """Return for how long a piece waits; None for one that has not to wait at all."""
        if self == Shape():
            return None
        return self.late + (count / self.rate if self.rate else 0.0)


@dataclass(slots=True, kw_only=True)
class _Order:
    """What is to be done once some bytes have passed: an end, or a shape for some more."""

    after: int
    end: End | None = None
    shape: Shape = Shape()
    count: int = 0
    struck: bool = False


class Proxy:
    """Passes bytes between clients and a worker.

    Args:
        front: Where clients come: a Unix socket, or a host and port.
        back: Where the worker listens; it may be set later.

    Attributes:
        passed: Bytes that have passed, each way.
        struck: How many faults have come about.
        swallows: Whether it takes bytes, and connections, and passes nothing.
    """

    def __init__(self, front: Address, back: Address | None = None) -> None:
        self.front = front
        self.back = back
        self.passed: dict[Way, int] = {"there": 0, "back": 0}
        self.struck = 0
        self.swallows = False
        self._hole_s: float | None = None
        # Connections are numbered; of those up to the second number nothing passes any more.
        self._count = self._forgotten = 0
        self._orders: dict[Way, _Order] = {}
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        if isinstance(self.front, Path):
            self._server = await asyncio.start_unix_server(self._serve, self.front)
            self.front.chmod(0o600)
        else:
            self._server = await asyncio.start_server(self._serve, *self.front)

    async def close(self) -> None:
        """Let nobody in any more, and everybody go."""
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what is to go wrong ---

    def cut(self) -> None:
        """End all connections at once."""
        for writer in self._open:
            writer.transport.abort()

    def end_after(self, way: Way, count: int, end: End = "cut") -> None:
        """End connections once so many more bytes have passed."""
        self._orders[way] = _Order(after=count, end=end)

    def shape(self, way: Way, after: int, count: int, shape: Shape) -> None:
        """Have so many bytes pass in another way, behind so many that pass as ever."""
        self._orders[way] = _Order(after=after, shape=shape, count=count)

    def black_hole(self, seconds: float) -> None:
        """Swallow everything, and then cut, as a network does that is out for a while.

        Args:
            seconds: From the first bytes on that are swallowed.
        """
        self.struck += 1
        self.swallows = True
        self._hole_s = seconds

    def forget(self) -> None:
        """Swallow all that comes over the present connections, as a firewall does."""
        self.struck += 1
        self._forgotten = self._count

    def calm(self) -> None:
        """Do nothing any more that was ordered and has not come about."""
        self._orders.clear()
        if self._hole_s is not None:
            self.swallows, self._hole_s = False, None

    # --- inner steps ---

    def _appear(self) -> None:
        self.swallows = False
        self.cut()

    def _swallow(self) -> None:
        if self._hole_s is not None:
            asyncio.get_running_loop().call_later(self._hole_s, self._appear)
            self._hole_s = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            back_reader, back = await self._dial()
        except OSError:
            self._open.discard(writer)
            writer.transport.abort()
            return
        both = {writer, back}
        self._count += 1
        self._open.add(back)
        pipes = [
            spawn(self._pass("there", reader, back, self._count), name="there"),
            spawn(self._pass("back", back_reader, writer, self._count), name="back"),
        ]
        self._tasks.update(pipes)
        try:
            await asyncio.wait(pipes)
        finally:
            self._tasks.difference_update(pipes)
            self._open -= both
            for each in both:
                each.transport.abort()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert self.back is not None
        if not isinstance(self.back, Path):
            return await asyncio.open_connection(*self.back)
        for _ in range(STARTING_TRIES):  # a client tells one that does not listen yet by itself
            with suppress(FileNotFoundError, ConnectionRefusedError):
                return await asyncio.open_unix_connection(self.back)
            await asyncio.sleep(STARTING_S)
        return await asyncio.open_unix_connection(self.back)

    async def _pass(
        self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        with suppress(OSError, RuntimeError):  # the latter is uvloop's, for a closed handle
            while data := await reader.read(READ_BYTES):
                if self.swallows:
                    self._swallow()
                    continue
                if number <= self._forgotten:
                    continue
                for piece, shape in self._pieces(way, data):
                    writer.write(piece)
                    self.passed[way] += len(piece)
                    await writer.drain()
                    if (pause := shape.pause(len(piece))) is not None:
                        await asyncio.sleep(pause)
                order = self._orders.get(way)
                if order is not None and order.end is not None and order.struck:
                    del self._orders[way]
                    self._end(order.end, writer)
                    return
            if not writer.transport.is_closing():
                writer.write_eof()

    def _pieces(self, way: Way, data: bytes) -> list[tuple[bytes, Shape]]:
        """Return some bytes as they are to pass; those behind a cut do not."""
        order = self._orders.get(way)
        if order is None:
            return [(data, Shape())]
        calm, rest = data[: order.after], data[order.after :]
        order.after -= len(calm)
        pieces = [(calm, Shape())] if calm else []
        if order.after or not (rest or order.end):
            return pieces
        self.struck += not order.struck
        order.struck = True
        if order.end is not None:
            return pieces
        shaped, rest = rest[: order.count], rest[order.count :]
        order.count -= len(shaped)
        if not order.count:
            del self._orders[way]
        size = order.shape.size
        pieces += [(shaped[i : i + size], order.shape) for i in range(0, len(shaped), size)]
        return [*pieces, (rest, Shape())] if rest else pieces

    def _end(self, end: End, writer: asyncio.StreamWriter) -> None:
        if end == "half_close":
            writer.write_eof()
            return
        if end == "reset":
            for each in self._open:
                connection = each.get_extra_info("socket")
                if connection.family != socket.AF_UNIX:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        self.cut()

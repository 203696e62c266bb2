"""A buffer's way over a bulk connection, chunk by chunk, from either end.

While one chunk is on its way, a thread looks after the next: its checksum, and its compression.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from asyncbridge.errors import DecodeError, TooLarge
from asyncbridge.transport import compression
from asyncbridge.transport.checksums import NONE, known
from asyncbridge.transport.records import CHUNK_BYTES, HEAD_BYTES, TEXT_BYTES, Damaged, Head, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from asyncbridge.protocol.messages import Buffer
    from asyncbridge.transport.outgoing import Source
    from asyncbridge.transport.stream import Stream

__all__ = ["Landing", "Terms", "read_record", "receive_chunks", "send_chunks", "write_record"]

T = TypeVar("T")
INLINE_BYTES: Final = 256 * 1024
"""Bytes up to which a chunk is looked after on the loop: a thread would take longer to wake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What two sides have agreed on for one connection.

    Attributes:
        threads: Where a chunk is looked after.
        checksum: Its name.
        judge: Decides what is compressed; None where one side cannot.
        clock: Times the connection, for the judge; in seconds.
    """

    threads: Executor
    checksum: str = NONE
    judge: compression.Judge | None = None
    clock: Callable[[], float] = field(default=time.perf_counter)

    def sum(self, data: Buffer) -> int:
        """Return a checksum."""
        return known()[self.checksum](data)

    async def look_after(self, work: Callable[[], T], size: int) -> T:
        """Do something with so many bytes, off the loop if they are many."""
        if size <= INLINE_BYTES:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)


class Landing:
    """Where a buffer arrives: its place is reserved whole, and takes memory as bytes come.

    Args:
        size: The buffer's bytes, as the peer has said.
        limit: The most that may be.

    Attributes:
        good: Bytes from the start on that are there as they were sent.
        damaged: How many times what comes next has arrived damaged.
        lock: For whoever fills it.

    Raises:
        TooLarge: It is over the limit, or over what this machine has.
    """

    def __init__(self, size: int, limit: int | None = None) -> None:
        if limit is not None and size > limit:
            raise TooLarge(f"a buffer of {size} bytes, where the limit is {limit}")
        try:
            # Pages that nothing was written to cost nothing: a lie about the size gains nothing.
            self.data = np.empty(size, np.uint8).data
        except (MemoryError, OverflowError, ValueError) as error:
            raise TooLarge(f"no memory for a buffer of {size} bytes: {error}") from None
        self.size = size
        self.good = 0
        self.damaged = 0
        self.lock = asyncio.Lock()
        self.stream: Stream | None = None

    def arrived(self, end: int) -> None:
        """Note that all is good up to there."""
        self.good, self.damaged = end, 0


async def write_record(stream: Stream, head: Head, terms: Terms, text: str = "") -> None:
    """Write a record that is no chunk.

    Raises:
        StreamCut: The connection has ended.
    """
    raw = text.encode("utf-8", "backslashreplace")[:TEXT_BYTES]
    whole = replace(head, length=len(raw), checksum=terms.sum(raw))
    await stream.write(whole.pack() + raw)


async def read_head(stream: Stream, *, idle: bool = False) -> Head:
    """Read a record's head.

    Raises:
        Damaged: It was damaged on its way.
        DecodeError: It is none.
        StreamCut: The connection has ended.
    """
    raw = bytearray(HEAD_BYTES)
    await stream.read_into(memoryview(raw), idle=idle)
    return Head.unpack(raw)


async def read_record(stream: Stream, terms: Terms, *, idle: bool = False) -> tuple[Head, str]:
    """Read a record that is no chunk, with its text.

    Raises:
        Damaged: It was damaged on its way.
        DecodeError: It is none, or a chunk.
        StreamCut: The connection has ended.
    """
    head = await read_head(stream, idle=idle)
    if head.kind is Kind.CHUNK:
        raise DecodeError("a chunk came on a bulk connection where none was asked for")
    raw = bytearray(head.length)
    await stream.read_into(memoryview(raw))
    if terms.sum(raw) != head.checksum:
        raise Damaged(f"the text of a record {head.kind.name} was damaged on its way")
    return head, raw.decode("utf-8", "backslashreplace")


# --- sending -----------------------------------------------------------------------------


async def send_chunks(stream: Stream, source: Source, start: int, terms: Terms) -> None:
    """Send a buffer's bytes from an offset on.

    Raises:
        StreamCut: The connection has ended.
    """
    ahead = None
    for offset in range(start, source.nbytes, CHUNK_BYTES):
        head, body = await (ahead or prepare(source, offset, terms))
        following = offset + CHUNK_BYTES
        ahead = prepared(source, following, terms) if following < source.nbytes else None
        begun = terms.clock()
        await write_chunk(stream, head, body)
        if terms.judge is not None and head.length > INLINE_BYTES:
            terms.judge.sent(head.length, terms.clock() - begun)


async def write_chunk(stream: Stream, head: Head, body: Buffer) -> None:
    """Write a chunk; a small one in one piece, for which the other side wakes once."""
    if head.length <= INLINE_BYTES:
        await stream.write(b"".join((head.pack(), body)))
    else:
        await stream.write(head.pack())
        await stream.write(body)


def prepared(source: Source, offset: int, terms: Terms) -> asyncio.Future[tuple[Head, Buffer]]:
    """Begin to make a chunk ready, in a thread."""
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(terms.threads, chunk_of, source, offset, terms)


async def prepare(source: Source, offset: int, terms: Terms) -> tuple[Head, Buffer]:
    """Make a chunk ready."""
    size = min(CHUNK_BYTES, source.nbytes - offset) if source.is_ready else CHUNK_BYTES
    return await terms.look_after(partial(chunk_of, source, offset, terms), size)


def chunk_of(source: Source, offset: int, terms: Terms) -> tuple[Head, Buffer]:
    """Return a chunk's head, and its bytes as they are sent."""
    chunk = source.part(offset, CHUNK_BYTES)
    size, body = chunk.nbytes, packed_of(chunk, terms)
    head = Head(
        kind=Kind.CHUNK, packed=body is not None, offset=offset, size=size,
        length=size if body is None else len(body), checksum=terms.sum(chunk),
    )  # fmt: skip
    return head, chunk if body is None else body


def packed_of(chunk: memoryview, terms: Terms) -> bytes | None:
    """Return a chunk compressed, if that is worth it."""
    judge = terms.judge
    if judge is None or not judge.wants():
        return None
    begun = terms.clock()
    packed = compression.compress(chunk)
    worth = judge.compressed(chunk.nbytes, len(packed), terms.clock() - begun)
    return packed if worth and len(packed) < chunk.nbytes else None


# --- receiving ---------------------------------------------------------------------------


async def receive_chunks(stream: Stream, landing: Landing, terms: Terms) -> None:
    """Receive what a landing still lacks; what has arrived stays there, whatever happens.

    Raises:
        Damaged: A chunk was damaged on its way; all before it is good.
        DecodeError: What comes does not stand where it should, or is too long or too short.
        StreamCut: The connection has ended.
    """
    try:
        await fill(stream, landing, terms)
    except Damaged:
        landing.damaged += 1
        raise


async def fill(stream: Stream, landing: Landing, terms: Terms) -> None:
    """Do as ``receive_chunks``, each chunk's check beside the next one's way."""
    checking: asyncio.Future[int] | None = None
    place = landing.good
    try:
        while place < landing.size:
            head = await read_head(stream)
            check_place(head, place, landing.size)
            view = landing.data[place : place + head.size]
            body = memoryview(bytearray(head.length)) if head.packed else view
            await stream.read_into(body)
            before, checking = checking, None
            if before is not None:
                landing.arrived(await before)
            checking = check_later(head, body, view, terms)
            place += head.size
    finally:
        if checking is not None:
            landing.arrived(await checking)


def check_later(
    head: Head, body: memoryview, view: memoryview, terms: Terms
) -> asyncio.Future[int]:
    """Begin to check a chunk."""
    loop = asyncio.get_running_loop()
    if head.size > INLINE_BYTES:
        return loop.run_in_executor(terms.threads, check, head, body, view, terms)
    done: asyncio.Future[int] = loop.create_future()
    done.set_result(check(head, body, view, terms))
    return done


def check(head: Head, body: memoryview, view: memoryview, terms: Terms) -> int:
    """Return where a chunk ends that has arrived as it was sent.

    Raises:
        Damaged: It has not.
    """
    if head.packed:
        try:
            compression.decompress_into(body, view)
        except DecodeError as error:
            raise Damaged(f"{error}") from None
    if terms.sum(view) != head.checksum:
        raise Damaged(f"the chunk at byte {head.offset} was damaged on its way")
    return head.offset + head.size


def check_place(head: Head, place: int, size: int) -> None:
    """Look whether a chunk is the one that comes next, before anything of it is read.

    Raises:
        DecodeError: It is not.
    """
    if head.kind is not Kind.CHUNK:
        raise DecodeError(f"a record {head.kind.name} came among a buffer's chunks")
    if head.offset != place:
        raise DecodeError(f"a chunk at byte {head.offset} came where the one at {place} is next")
    if place + head.size > size:
        raise DecodeError(
            f"a chunk of {head.size} bytes at byte {place} goes beyond the buffer's {size}"
        )

"""A buffer's chunks between two ends of a socket, one of which may lie."""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asyncbridge.errors import DecodeError, TooLarge
from asyncbridge.tasks import spawn
from asyncbridge.transport.chunks import (
    Landing,
    Terms,
    read_record,
    receive_chunks,
    send_chunks,
    write_record,
)
from asyncbridge.transport.outgoing import source_of
from asyncbridge.transport.records import CHUNK_BYTES, Damaged, Head, Kind
from asyncbridge.transport.stream import Stream, StreamCut

pytestmark = pytest.mark.asyncio

DATA = bytes(range(251)) * (CHUNK_BYTES // 100)


@pytest.fixture
def terms() -> Iterator[Terms]:
    """Return what two sides have agreed on."""
    with ThreadPoolExecutor(1) as threads:
        yield Terms(threads=threads, checksum="crc32")


@asynccontextmanager
async def pair() -> AsyncGenerator[tuple[Stream, Stream], None]:
    """Yield the two ends of a connection."""
    loop = asyncio.get_running_loop()
    near, far = [
        Stream((await loop.create_connection(asyncio.Protocol, sock=end))[0], None)
        for end in socket.socketpair()
    ]
    try:
        yield near, far
    finally:
        near.abort()
        far.abort()
        await asyncio.sleep(0)


def chunk(offset: int, data: bytes, **changes: Any) -> bytes:
    """Return a chunk as an honest sender writes it, but for the changes."""
    fields: dict[str, Any] = {
        "size": len(data),
        "length": len(data),
        "checksum": zlib.crc32(data),
        **changes,
    }
    return Head(kind=Kind.CHUNK, offset=offset, **fields).pack() + data


async def received(terms: Terms, *pieces: bytes, size: int = 6) -> Landing:
    """Receive what a peer writes before it hangs up."""
    landing = Landing(size)
    async with pair() as (near, far):
        for piece in pieces:
            await near.write(piece)
        near.close()
        try:
            await receive_chunks(far, landing, terms)
        except (DecodeError, Damaged, StreamCut) as error:
            error.add_note(f"{landing.good} good, {landing.damaged} damaged")
            raise
    return landing


@pytest.mark.parametrize("start", [0, 1, CHUNK_BYTES, len(DATA) - 1, len(DATA)])
async def test_from_any_byte(terms: Terms, start: int) -> None:
    """What is there already is not sent, and all is right in the end."""
    landing = Landing(len(DATA))
    landing.data[:start] = DATA[:start]
    landing.good = start
    async with pair() as (near, far):
        sending = spawn(send_chunks(near, source_of(DATA), start, terms), name="sending")
        await receive_chunks(far, landing, terms)
        await sending
    assert landing.data == DATA
    assert landing.good == len(DATA)


async def test_an_honest_sender(terms: Terms) -> None:
    """Chunks may be of any sizes."""
    landing = await received(terms, chunk(0, b"abc"), chunk(3, b"d"), chunk(4, b"ef"))
    assert bytes(landing.data) == b"abcdef"


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([chunk(0, b"abc"), chunk(0, b"abc")], "at byte 0 came where the one at 3 is next"),
        ([chunk(0, b"abc"), chunk(4, b"ef")], "at byte 4 came where the one at 3 is next"),
        ([chunk(1, b"abc")], "at byte 1 came where the one at 0 is next"),
        ([chunk(0, b"abcdefg")], "of 7 bytes at byte 0 goes beyond the buffer's 6"),
        ([chunk(0, b"abc"), chunk(3, b"defg")], "of 4 bytes at byte 3 goes beyond"),
        ([chunk(0, b"abc", size=4)], "CHUNK .* with 3 bytes behind it, for 4"),
        ([chunk(0, b"")], "CHUNK .* with 0 bytes behind it, for 0"),
        ([Head(kind=Kind.HAVE).pack()], "a record HAVE came among a buffer's chunks"),
    ],
    ids=["twice", "left out", "shifted", "longer", "longer at the end", "a lie", "empty", "other"],
)
async def test_a_sender_that_lies(terms: Terms, pieces: list[bytes], message: str) -> None:
    """Chunks that are not the ones that come next are errors that say what was wrong."""
    with pytest.raises(DecodeError, match=message):
        await received(terms, *pieces)


async def test_a_sender_that_ends_early(terms: Terms) -> None:
    """What was whole is kept."""
    with pytest.raises(StreamCut) as caught:
        await received(terms, chunk(0, b"abc"), chunk(3, b"def")[:-1])
    assert caught.value.__notes__ == ["3 good, 0 damaged"]


@pytest.mark.parametrize("place", [0, 10, 35, 36, 38])
async def test_damage(terms: Terms, place: int) -> None:
    """In a chunk or in its head, it is known, and counted; what came before it is kept."""
    piece = bytearray(chunk(3, b"def"))
    piece[place] ^= 16
    with pytest.raises(Damaged) as caught:
        await received(terms, chunk(0, b"abc"), bytes(piece))
    assert caught.value.__notes__ == ["3 good, 1 damaged"]


async def test_records(terms: Terms) -> None:
    """A record without a chunk comes with its text; a long one is cut."""
    async with pair() as (near, far):
        await write_record(near, Head(kind=Kind.PUT, size=7), terms, "7-0")
        head, text = await read_record(far, terms)
        assert (head.kind, head.size, text) == (Kind.PUT, 7, "7-0")
        await write_record(near, Head(kind=Kind.REFUSED), terms, "x" * 5000)
        assert (await read_record(far, terms))[1] == "x" * 1024
        await near.write(chunk(0, b"abc"))
        with pytest.raises(DecodeError, match="a chunk came .* where none was asked for"):
            await read_record(far, terms)


async def test_a_text_that_is_damaged(terms: Terms) -> None:
    """A buffer's name is not taken for another one."""
    async with pair() as (near, far):
        head = Head(kind=Kind.PUT, size=7, length=3, checksum=zlib.crc32(b"7-0"))
        await near.write(head.pack() + b"7-1")
        with pytest.raises(Damaged, match="PUT"):
            await read_record(far, terms)


async def test_a_landing_takes_no_memory_before_bytes_come() -> None:
    """A place is reserved for what is announced; over a limit, or what there is, it is not."""
    landing = Landing(1 << 33)
    assert landing.data.nbytes == 1 << 33
    with pytest.raises(TooLarge, match="of 11 bytes, where the limit is 10"):
        Landing(11, limit=10)
    for size in (1 << 60, 1 << 63, (1 << 64) - 1):
        with pytest.raises(TooLarge, match=f"no memory for a buffer of {size} bytes"):
            Landing(size)

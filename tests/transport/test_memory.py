"""The pair in memory: real frames, and a channel's contract."""

from __future__ import annotations

import asyncio

import pytest

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Completed, Message, Output, Ping, Pong
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.tasks import spawn
from asyncbridge.transport.bulk import BulkStore
from asyncbridge.transport.contract import ChannelClosed
from asyncbridge.transport.memory import MemoryBulk, MemoryChannel, channel_pair

pytestmark = pytest.mark.asyncio

MIB = 1024 * 1024


async def test_both_ways_in_order() -> None:
    """Each end reads what the other wrote, frame by frame."""
    left, right = channel_pair()
    await left.write([Ping(nonce=1), Ping(nonce=2)])
    await left.write([Ping(nonce=3)])
    await right.write([Pong(nonce=9)])
    assert await right.read() == [Ping(nonce=1), Ping(nonce=2)]
    assert await right.read() == [Ping(nonce=3)]
    assert await left.read() == [Pong(nonce=9)]
    assert (left.frames_written, right.frames_written) == (2, 1)


async def test_bytes_cross_and_not_objects() -> None:
    """What arrives shares no memory with what was written."""
    left, right = channel_pair()
    data = bytearray(b"before")
    await left.write([Completed(id=1, value=encode(memoryview(data), path="result"))])
    data[:] = b"after!"
    (message,) = await right.read()
    assert isinstance(message, Completed)
    assert bytes(decode(message.value)) == b"before"  # type: ignore[call-overload] # bytes-like


async def test_a_read_waits() -> None:
    """A read that comes first gets the next frame."""
    left, right = channel_pair()
    reading = spawn(right.read(), name="read")
    await asyncio.sleep(0)
    await left.write([Ping(nonce=1)])
    assert await reading == [Ping(nonce=1)]


@pytest.mark.parametrize("near", [True, False])
async def test_closed(near: bool) -> None:
    """Once either end is closed, neither can write, and both read the end, as often as asked."""
    left, right = channel_pair()
    await (left if near else right).close()
    for channel in (left, right):
        with pytest.raises(ChannelClosed):
            await channel.write([Ping(nonce=1)])
        for _ in range(2):
            with pytest.raises(ChannelClosed):
                await channel.read()


async def test_what_was_written_before_the_end_is_read() -> None:
    """Frames that were on their way when the peer closed still arrive."""
    left, right = channel_pair()
    await left.write([Ping(nonce=1)])
    await left.close()
    assert await right.read() == [Ping(nonce=1)]
    with pytest.raises(ChannelClosed):
        await right.read()


@pytest.mark.parametrize("near", [True, False])
async def test_a_pending_read_ends(near: bool) -> None:
    """A read that waits ends when either end is closed."""
    left, right = channel_pair()
    reading = spawn(left.read(), name="read")
    await asyncio.sleep(0)
    await (left if near else right).close()
    with pytest.raises(ChannelClosed):
        await reading


async def test_close_twice() -> None:
    """A second close does nothing."""
    left, _ = channel_pair()
    await left.close()
    await left.close()


async def test_an_end_without_a_peer() -> None:
    """A channel that was never joined is a closed one."""
    with pytest.raises(ChannelClosed):
        await MemoryChannel().write([Ping(nonce=1)])


async def test_more_than_a_frame_holds() -> None:
    """Messages that do not fit one frame together travel in several."""
    left, right = channel_pair()
    sent: list[Message] = [Output(id=n, stream="stdout", text="x" * (30 * MIB)) for n in range(3)]
    await left.write(sent)
    got: list[Message] = []
    while len(got) < 3:
        got += await right.read()
    assert got == sent


async def test_bulk_both_ways() -> None:
    """A buffer is copied into the store, and out of it."""
    store = BulkStore()
    bulk = MemoryBulk(store)
    source = bytearray(b"abc")
    await bulk.send("1-0", source)
    source[0] = 0
    future = store._arrival("1-0")
    assert await future == b"abc"
    offered = bytearray(b"value")
    store.offer(1, {"1-1": memoryview(offered)})
    got = await bulk.receive("1-1", 5)
    offered[0] = 0
    assert got == b"value"


async def test_bulk_of_another_size() -> None:
    """A fetched buffer has the size that the message told."""
    store = BulkStore()
    store.offer(1, {"1-1": b"value"})
    with pytest.raises(DecodeError, match="1-1 has 5 bytes, not 6"):
        await MemoryBulk(store).receive("1-1", 6)


async def test_bulk_that_is_not_there() -> None:
    """A buffer that the worker does not hold is named."""
    with pytest.raises(ChannelClosed, match="no bulk buffer 1-1"):
        await MemoryBulk(BulkStore()).receive("1-1", 6)

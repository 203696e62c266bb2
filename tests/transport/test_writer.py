"""The task that writes: what is ready in one turn of the loop shares a frame."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from asyncbridge.protocol.messages import Message, Ping
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import Channel, ChannelClosed
from asyncbridge.transport.memory import channel_pair
from asyncbridge.transport.writer import Writer

pytestmark = pytest.mark.asyncio


class SlowChannel(Channel):
    """Takes one write at a time, and each only when it is told to."""

    def __init__(self) -> None:
        self.writes: list[list[Message]] = []
        self.taken = asyncio.Semaphore(0)
        self.entered = asyncio.Event()

    async def write(self, messages: Sequence[Message]) -> None:
        self.writes.append(list(messages))
        self.entered.set()
        await self.taken.acquire()

    async def read(self) -> list[Message]:
        raise ChannelClosed("nothing is read here")

    async def close(self) -> None:
        pass


class Source:
    """What waits to be written."""

    def __init__(self) -> None:
        self.ready: list[Message] = []
        self.written: list[list[Message]] = []

    def add(self, nonce: int) -> None:
        self.ready.append(Ping(nonce=nonce))

    def outgoing(self) -> list[Message]:
        messages, self.ready = self.ready, []
        return messages


@asynccontextmanager
async def running(channel: Channel, source: Source) -> AsyncGenerator[Writer, None]:
    """Run a writer for a while."""
    writer = Writer(channel, source.outgoing, source.written.append)
    task = spawn(writer.run(), name="write")
    yield writer
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_one_turn_one_frame() -> None:
    """However often it is woken in a turn of the loop, one frame holds it all."""
    near, far = channel_pair()
    source = Source()
    async with running(near, source) as writer:
        for nonce in range(5):
            source.add(nonce)
            writer.wake()
        assert await far.read() == [Ping(nonce=nonce) for nonce in range(5)]
    assert near.frames_written == 1


async def test_woken_for_nothing() -> None:
    """A wake-up with nothing to write writes nothing, and the next one works."""
    near, far = channel_pair()
    source = Source()
    async with running(near, source) as writer:
        writer.wake()
        for _ in range(3):
            await asyncio.sleep(0)
        source.add(1)
        writer.wake()
        assert await far.read() == [Ping(nonce=1)]
    assert near.frames_written == 1


async def test_what_can_wait_goes_with_what_comes_meanwhile() -> None:
    """What may wait shares the frame of what is written before its time; then nothing is due."""
    near, far = channel_pair()
    source = Source()
    async with running(near, source) as writer:
        source.add(1)
        writer.wake_later(3600)
        await asyncio.sleep(0)
        assert near.frames_written == 0
        source.add(2)
        writer.wake()
        assert await far.read() == [Ping(nonce=1), Ping(nonce=2)]
        source.add(3)
        writer.wake_later(0)  # not kept back by the time of the first
        assert await far.read() == [Ping(nonce=3)]
    assert near.frames_written == 2


async def test_batches_while_the_peer_is_slow() -> None:
    """What becomes ready during a write goes together in the next one, also without a wake-up."""
    channel, source = SlowChannel(), Source()
    async with running(channel, source) as writer:
        source.add(1)
        writer.wake()
        await channel.entered.wait()
        channel.entered.clear()
        source.add(2)
        source.add(3)
        assert source.written == []
        channel.taken.release()
        await channel.entered.wait()
        assert channel.writes == [[Ping(nonce=1)], [Ping(nonce=2), Ping(nonce=3)]]
        assert source.written == [[Ping(nonce=1)]]


async def test_flush() -> None:
    """A flush writes all that is ready, and needs no task."""
    near, far = channel_pair()
    source = Source()
    source.add(1)
    await Writer(near, source.outgoing).flush()
    assert await far.read() == [Ping(nonce=1)]
    assert source.ready == []


async def test_the_channel_ends() -> None:
    """The end of the channel is the writer's end, and is told."""
    near, far = channel_pair()
    source = Source()
    writer = Writer(near, source.outgoing, source.written.append)
    task = spawn(writer.run(), name="write")
    await far.close()
    source.add(1)
    writer.wake()
    with pytest.raises(ChannelClosed):
        await task
    assert source.written == []


class PromptChannel(SlowChannel):
    """One that takes the first of each frame at once."""

    @property
    def writes_at_once(self) -> bool:
        return True


async def test_what_is_pushed_is_written_without_a_turn_of_the_loop() -> None:
    """Once: while the peer is slow, the rest waits for the task, and keeps its place."""
    channel, source = PromptChannel(), Source()
    async with running(channel, source) as writer:
        for nonce in range(3):
            source.add(nonce)
            writer.push()
        assert channel.writes == [[Ping(nonce=0)]]
        assert source.written == []
        channel.taken.release()
        channel.taken.release()
        while len(source.written) < 2:
            await asyncio.sleep(0)
    assert source.written == [[Ping(nonce=0)], [Ping(nonce=1), Ping(nonce=2)]]


async def test_where_a_write_may_wait_nothing_is_pushed() -> None:
    """It is left to the task."""
    channel, source = SlowChannel(), Source()
    writer = Writer(channel, source.outgoing, source.written.append)
    source.add(1)
    writer.push()
    assert channel.writes == []


async def test_an_error_of_what_is_pushed_ends_the_task() -> None:
    """As that of any other write."""

    class BrokenChannel(PromptChannel):
        async def write(self, messages: Sequence[Message]) -> None:
            raise ChannelClosed("cut")

    channel, source = BrokenChannel(), Source()
    writer = Writer(channel, source.outgoing)
    source.add(1)
    writer.push()
    with pytest.raises(ChannelClosed, match="cut"):
        await writer.run()

"""The worker's store of bulk buffers, both directions."""

from __future__ import annotations

import asyncio

import pytest

from asyncbridge.errors import DecodeError, TooLarge
from asyncbridge.protocol.messages import BulkRef
from asyncbridge.tasks import spawn
from asyncbridge.transport.bulk import BulkStore, Incoming


def test_incoming_grows_with_what_arrives() -> None:
    """Nothing is allocated for what is announced, only for what comes."""
    incoming = Incoming(1 << 60)
    assert incoming.data == b""
    incoming.feed(b"ab")
    incoming.feed(b"c")
    assert incoming.data == b"abc"


def test_incoming_over_its_limit() -> None:
    """The first byte over the announced size is refused, and not kept."""
    incoming = Incoming(3)
    incoming.feed(b"abc")
    with pytest.raises(TooLarge, match="announced with 3 bytes brings more"):
        incoming.feed(b"d")
    assert incoming.data == b"abc"


@pytest.mark.asyncio
async def test_data_before_the_command() -> None:
    """A buffer that comes ahead of its command waits for it."""
    store = BulkStore()
    store.arrived("1-0", bytearray(b"abc"))
    assert await store.arrival(BulkRef(id="1-0", size=3)) == b"abc"


@pytest.mark.asyncio
async def test_the_command_before_its_data() -> None:
    """A command that comes ahead of its buffer waits for it."""
    store = BulkStore()
    waiting = spawn(store.arrival(BulkRef(id="1-0", size=3)), name="arrival")
    await asyncio.sleep(0)
    assert not waiting.done()
    store.arrived("1-0", bytearray(b"abc"))
    assert await waiting == b"abc"


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.asyncio
async def test_another_size_than_the_command_says(size: int) -> None:
    """A buffer that is shorter or longer than its command says is refused, with both sizes."""
    store = BulkStore()
    store.arrived("1-0", bytearray(b"abc"))
    with pytest.raises(DecodeError, match=f"1-0 has 3 bytes, not {size}"):
        await store.arrival(BulkRef(id="1-0", size=size))


@pytest.mark.asyncio
async def test_a_buffer_that_comes_twice() -> None:
    """A second buffer of an id is refused while the first one waits."""
    store = BulkStore()
    store.arrived("1-0", bytearray(b"abc"))
    with pytest.raises(DecodeError, match="1-0 came twice"):
        store.arrived("1-0", bytearray(b"xyz"))
    assert await store.arrival(BulkRef(id="1-0", size=3)) == b"abc"


@pytest.mark.asyncio
async def test_the_store_lets_go_of_what_has_arrived() -> None:
    """A buffer belongs to its command once that has it."""
    store = BulkStore()
    store.arrived("1-0", bytearray(b"abc"))
    await store.arrival(BulkRef(id="1-0", size=3))
    assert store._arrivals == {}


def test_an_offer_stays_until_it_is_acknowledged() -> None:
    """A buffer can be fetched again, after a connection broke, until its command is done with."""
    store = BulkStore()
    store.offer(1, {"1-0": b"a", "1-1": b"b"})
    store.offer(2, {"2-0": b"c"})
    assert store.take("1-0") == store.take("1-0") == b"a"
    store.acknowledged(1)
    assert [store.take(name) for name in ("1-0", "1-1", "2-0")] == [None, None, b"c"]


def test_an_acknowledgement_of_nothing() -> None:
    """Most commands offer no buffers, and are acknowledged all the same; also twice."""
    store = BulkStore()
    store.acknowledged(1)
    store.offer(1, {"1-0": b"a"})
    store.acknowledged(1)
    store.acknowledged(1)
    assert store.take("1-0") is None


@pytest.mark.asyncio
async def test_close() -> None:
    """Closing lets go of everything, and cancels who waits."""
    store = BulkStore()
    store.offer(1, {"1-0": b"a"})
    waiting = spawn(store.arrival(BulkRef(id="2-0", size=3)), name="arrival")
    await asyncio.sleep(0)
    store.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert store.take("1-0") is None

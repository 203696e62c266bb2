"""The worker's store of bulk buffers, both directions."""

from __future__ import annotations

import asyncio

import pytest

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import BulkRef
from asyncbridge.tasks import spawn
from asyncbridge.transport.bulk import REMEMBERED, BulkStore, NotComing


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


@pytest.mark.asyncio
async def test_a_landing_stays_until_its_buffer_is_whole() -> None:
    """A buffer whose connection was cut goes on where it was; then it is its command's."""
    store = BulkStore()
    landing = store.landing("1-0", 3)
    assert landing is not None
    landing.data[:] = b"abc"
    assert store.landing("1-0", 3) is landing
    store.landed("1-0")
    assert await store.arrival(BulkRef(id="1-0", size=3)) == b"abc"
    assert store.landing("1-0", 3) is None


def test_a_landing_of_another_size() -> None:
    """A buffer does not change its size on the way."""
    store = BulkStore()
    store.landing("1-0", 3)
    with pytest.raises(DecodeError, match="1-0 was announced with 3 bytes before, and now with 4"):
        store.landing("1-0", 4)


@pytest.mark.asyncio
async def test_what_has_landed_is_remembered_for_a_while() -> None:
    """Its sender may ask again; but a session's store does not grow with all that it has seen."""
    store = BulkStore()
    for number in range(REMEMBERED + 1):
        store.landing(f"{number}", 0)
        store.landed(f"{number}")
    assert store.landing("1", 0) is None
    assert store.landing("0", 0) is not None
    assert len(store._landed) == REMEMBERED


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


@pytest.mark.asyncio
async def test_buffers_that_will_not_come() -> None:
    """Who waits for them is told; those that are here are let go of, as are those that come late."""
    store = BulkStore()
    store.arrived("1-0", b"abc")
    waiting = spawn(store.arrival(BulkRef(id="1-1", size=3)), name="arrival", on_error=print)
    await asyncio.sleep(0)
    landing = store.landing("1-2", 3)
    assert landing is not None
    store.abandon(["1-0", "1-1", "1-2"])
    with pytest.raises(NotComing):
        await waiting
    for name in ("1-0", "1-1", "1-2"):
        with pytest.raises(NotComing):
            await store.arrival(BulkRef(id=name, size=3))
        assert store.landing(name, 3) is None
    store.arrived("1-1", b"abc")
    store.landed("1-2")
    assert store._arrivals == {}
    assert store._landings == {}

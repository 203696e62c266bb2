"""What is kept of what was streamed: until when, and who may have it again."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from asyncbridge.errors import RemoteProtocolError
from asyncbridge.transport.origins import REMEMBERED
from asyncbridge.worker.keeping import KeptBuffers, Room

pytestmark = pytest.mark.asyncio


def sha(data: bytes | bytearray | memoryview) -> str:
    """Return what a client would compare."""
    return hashlib.sha256(data).hexdigest()


async def test_a_buffer_is_used_again() -> None:
    """The very same memory, once nobody has an array over it."""
    kept = KeptBuffers(Room(8 * REMEMBERED))
    data = bytearray(b"x" * REMEMBERED)
    array = np.frombuffer(kept.keep("1-0", data), np.uint8)
    assert array.flags.writeable
    del array
    assert await kept.recall("2-0", "1-0") == sha(data)
    again = kept.reuse("2-0")
    data[0] = 7
    assert again[0] == 7, "no copy"
    assert kept.size == REMEMBERED


async def test_one_that_is_looked_at_is_copied() -> None:
    """What code in the worker still has is not given to another command."""
    kept = KeptBuffers(Room(8 * REMEMBERED))
    held = kept.keep("1-0", bytearray(b"x" * REMEMBERED))
    assert isinstance(held, memoryview)
    digest = await kept.recall("2-0", "1-0")
    held[0] = 0
    again = kept.reuse("2-0")
    assert sha(again) == digest
    again[1] = 0
    assert held[1] == ord("x")


async def test_one_is_given_to_one() -> None:
    """Two that ask at the same time do not get the same memory."""
    kept = KeptBuffers(Room(8 * REMEMBERED))
    kept.keep("1-0", bytearray(b"x" * REMEMBERED))
    for name in ("2-0", "3-0"):
        await kept.recall(name, "1-0")
    one, two = kept.reuse("2-0"), kept.reuse("3-0")
    one[0] = 0
    assert two[0] == ord("x")


async def test_what_the_client_streams_after_all() -> None:
    """Then what was held for it is free again."""
    kept = KeptBuffers(Room(8 * REMEMBERED))
    kept.keep("1-0", bytearray(REMEMBERED))
    await kept.recall("2-0", "1-0")
    kept.keep("2-0", bytearray(REMEMBERED))
    with pytest.raises(RemoteProtocolError, match="2-0"):
        kept.reuse("2-0")
    await kept.recall("3-0", "1-0")
    assert kept.reuse("3-0").obj is kept._kept["1-0"]._watch()  # type: ignore[misc] # there is one


async def test_what_is_not_there() -> None:
    """No digest; and what was never recalled is not to be had."""
    kept = KeptBuffers(Room(8 * REMEMBERED))
    assert await kept.recall("2-0", "1-0") == ""
    with pytest.raises(RemoteProtocolError, match="never recalled"):
        kept.reuse("2-0")
    kept.drop("1-0")


async def test_small_and_huge_ones_are_not_kept() -> None:
    """They are handed on as they are."""
    kept = KeptBuffers(Room(REMEMBERED))
    for data in (bytearray(REMEMBERED - 1), bytearray(REMEMBERED + 1)):
        assert kept.keep("1-0", data) is data
    assert kept.size == 0


async def test_sessions_share_the_room() -> None:
    """What was asked for longest ago goes; and a session that ends takes its own along."""
    room = Room(3 * REMEMBERED)
    one, two = KeptBuffers(room), KeptBuffers(room)
    one.keep("1-0", bytearray(REMEMBERED))
    one.keep("2-0", bytearray(REMEMBERED))
    two.keep("1-0", bytearray(REMEMBERED))
    await one.recall("3-0", "1-0")
    two.keep("2-0", bytearray(REMEMBERED))
    assert (set(one._kept), set(two._kept)) == ({"1-0"}, {"1-0", "2-0"})
    two.keep("3-0", bytearray(2 * REMEMBERED))
    assert (set(one._kept), set(two._kept)) == (set(), {"2-0", "3-0"})
    assert len(one.reuse("3-0")) == REMEMBERED, "what was promised is there"
    two.close()
    assert (room.size, two.size) == (0, 0)


async def test_a_buffer_goes_while_it_is_looked_at() -> None:
    """Who has an array over it keeps that."""
    room = Room(REMEMBERED)
    kept = KeptBuffers(room)
    held = kept.keep("1-0", bytearray(b"x" * REMEMBERED))
    kept.keep("2-0", bytearray(REMEMBERED))
    assert set(kept._kept) == {"2-0"}
    assert bytes(held[:2]) == b"xx"

"""Bulk buffers of a session: through shared memory where the worker has shown that it sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from asyncbridge.client.transfers import Transfers
from asyncbridge.errors import DecodeError, TooLarge
from asyncbridge.protocol.limits import TransferLimits
from asyncbridge.protocol.messages import BulkRef, Message, Payload, Placed, Returned, Welcome
from asyncbridge.transport.arena import Arena
from asyncbridge.transport.bulk import BulkStore
from asyncbridge.transport.leases import Lease
from asyncbridge.transport.memory import MemoryBulk
from tests.limits import HANG_S

pytestmark = pytest.mark.asyncio

SIZE = 100_000


class Rig:
    """A session's transfers, and a worker's arena."""

    def __init__(self, root: Path) -> None:
        self.store = BulkStore()
        self.said: list[Message] = []
        self.errors: list[BaseException] = []
        self.arena = Arena(Lease(str(root)), 1 << 20)
        self.worker = Arena(Lease(str(root)), 1 << 20)
        self.transfers = Transfers(
            MemoryBulk(self.store),
            self.errors.append,
            arena=self.arena,
            post=self.said.append,
            limits=TransferLimits(in_flight=2 * SIZE, largest=5 * SIZE),
        )

    async def meet(
        self, *, proof: str | None = None, arena: str | None = None, largest: int = 0
    ) -> None:
        """Let the worker answer the hello."""
        await self.transfers.meet(
            Welcome(
                version=1, incarnation="i", window=1, window_bytes=1, frame_bytes=1, state="ready",
                arena=self.worker.lease.name if arena is None else arena,
                proof=self.arena.lease.proof if proof is None else proof, largest=largest,
            )
        )  # fmt: skip

    def place(self, data: bytes, *, segment: str | None = None) -> Payload:
        """Let the worker say where a value's buffer is; return the value."""
        made = self.worker.place(data)
        assert made is not None
        name = made.name if segment is None else segment
        self.transfers.placed(Placed(id="1-0", segment=name, offset=0, size=len(data)))
        return Payload(header=None, buffers=(BulkRef(id="1-0", size=SIZE),), size=SIZE)

    async def close(self) -> None:
        self.transfers.close()
        await self.transfers.closed()
        self.worker.close()


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Return transfers, of which nothing may be left."""
    made = Rig(tmp_path)
    yield made
    await made.close()
    assert list(tmp_path.iterdir()) == []


async def uploaded(rig: Rig) -> None:
    """Wait until a buffer has gone either way."""
    rig.transfers.upload({"1-0": bytes(SIZE)})
    async with asyncio.timeout(HANG_S):
        while not rig.said and not rig.store._arrivals:
            await asyncio.sleep(0)


async def test_shared(rig: Rig) -> None:
    """With a worker that has the proof, nothing goes by the lane."""
    await rig.meet()
    await uploaded(rig)
    assert [type(message) for message in rig.said] == [Placed]
    whole = await rig.transfers.fetch(rig.place(b"x" * SIZE))
    assert whole.buffers[0] == b"x" * SIZE


@pytest.mark.parametrize(
    "answer", [{"proof": ""}, {"proof": "0" * 32}, {"arena": ""}, {"arena": "0" * 32}]
)
async def test_not_shared(rig: Rig, answer: dict[str, Any]) -> None:
    """Without the proof, or with no arena that is here, all goes by the lane."""
    await rig.meet(**answer)
    await uploaded(rig)
    assert rig.said == []
    value = rig.place(b"x" * SIZE)
    rig.store.offer(1, {"1-0": b"y" * SIZE})
    assert (await rig.transfers.fetch(value)).buffers[0] == b"y" * SIZE


@pytest.mark.parametrize("writable", [False, True])
async def test_who_may_write(rig: Rig, writable: bool) -> None:
    """A fetched buffer is read-only unless it was asked for."""
    await rig.meet()
    (buffer,) = (await rig.transfers.fetch(rig.place(bytes(SIZE)), writable=writable)).buffers
    assert isinstance(buffer, memoryview)
    assert buffer.readonly is not writable


async def test_another_size_than_the_value_says(rig: Rig) -> None:
    """Such a buffer is refused, with both sizes."""
    await rig.meet()
    with pytest.raises(DecodeError, match="1-0 has 3 bytes, not 100000"):
        await rig.transfers.fetch(rig.place(b"abc"))


async def test_a_segment_that_cannot_be_mapped(rig: Rig) -> None:
    """The buffer is fetched by the lane instead, and the segment goes back."""
    await rig.meet()
    value = rig.place(b"x" * SIZE, segment="0" * 32)
    rig.store.offer(1, {"1-0": b"y" * SIZE})
    assert (await rig.transfers.fetch(value)).buffers[0] == b"y" * SIZE
    assert rig.said == [Returned(ids=("1-0",))]


async def test_a_value_that_nobody_waits_for(rig: Rig) -> None:
    """Its segments go back at once, and once."""
    await rig.meet()
    value = rig.place(b"x" * SIZE)
    rig.transfers.decline(value)
    rig.transfers.decline(value)
    assert rig.said == [Returned(ids=("1-0",))]


async def test_what_comes_back_is_lent_again(rig: Rig) -> None:
    """The worker says what it looks at no more."""
    await rig.meet()
    await uploaded(rig)
    rig.transfers.returned(Returned(ids=("1-0",)))
    assert rig.arena.warm(SIZE) is not None


async def test_closed(rig: Rig) -> None:
    """Nothing is uploaded any more; a second close does nothing."""
    await rig.meet()
    await rig.close()
    rig.transfers.close()
    rig.transfers.upload({"1-0": bytes(SIZE)})
    await asyncio.sleep(0)
    assert rig.said == []
    assert rig.store._arrivals == {}


async def test_a_result_that_is_too_large(rig: Rig) -> None:
    """It is refused by what is said of it, and given back unseen."""
    await rig.meet()
    value = rig.place(b"x" * SIZE)
    whole = Payload(header=None, buffers=(*value.buffers, BulkRef(id="1-1", size=5 * SIZE)),
                    size=6 * SIZE)  # fmt: skip
    with pytest.raises(TooLarge, match="the result has 600000 bytes, and the limit is 500000"):
        await rig.transfers.fetch(whole)
    assert rig.said == [Returned(ids=("1-0",))]


@pytest.mark.parametrize("extra", [0, 1 << 20])
async def test_a_value_that_cannot_be_read(rig: Rig, extra: int) -> None:
    """The error says where in what, and in which process, whichever thread has found it."""
    lacking = {"$": "registered", "n": "money", "e": 1, "v": 1}
    value = Payload(header=[0, lacking], size=100 + extra)
    outcome = await rig.transfers.decode(value)
    with pytest.raises(DecodeError, match=r"^result\[1\]: .* under 'money' in the client; both"):
        outcome.unwrap()
    outcome = await rig.transfers.decode(value, path="part 3 of the result")
    with pytest.raises(DecodeError, match=r"^part 3 of the result\[1\]: no type"):
        outcome.unwrap()


@pytest.mark.parametrize(("there", "limit"), [(0, 5 * SIZE), (SIZE, SIZE), (9 * SIZE, 5 * SIZE)])
async def test_how_large_bindings_may_be(rig: Rig, there: int, limit: int) -> None:
    """The smaller one of both sides' limits holds."""
    await rig.meet(largest=there)
    assert rig.transfers.largest == limit


async def test_uploads_wait_for_one_another(rig: Rig) -> None:
    """All arrive, in order, though fewer fit on the way than there are."""
    rig.transfers.upload({f"1-{number}": bytes(SIZE) for number in range(7)})
    async with asyncio.timeout(HANG_S):
        while len(rig.store._arrivals) < 7:
            assert rig.transfers._uploads.size <= 2 * SIZE
            await asyncio.sleep(0)
    assert list(rig.store._arrivals) == [f"1-{number}" for number in range(7)]


async def test_what_it_tells(rig: Rig) -> None:
    """No memory is told of that is not shared."""
    assert rig.transfers.info({}).client is None
    assert not rig.transfers.shares_memory
    await rig.meet()
    await uploaded(rig)
    own = rig.transfers.info({}).client
    assert own is not None
    assert own.lent == own.total > SIZE
    assert rig.transfers.shares_memory

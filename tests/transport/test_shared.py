"""Two ends that lend each other memory: who holds what, and until when."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Message, Placed, Returned
from asyncbridge.transport import shared as shared_module
from asyncbridge.transport.arena import Arena
from asyncbridge.transport.leases import Lease, Peering, user_folder
from asyncbridge.transport.origins import Tally
from asyncbridge.transport.shared import COPY_INLINE, SharedMemory

pytestmark = pytest.mark.asyncio

MIB = 1024 * 1024


class End:
    """One process's end, whose messages are taken by hand."""

    def __init__(self, root: Path) -> None:
        self.arena = Arena(Lease(str(root)), 16 * MIB)
        self.said: list[Message] = []
        self.tally = Tally()

    def meet(self, other: End) -> None:
        peering = Peering(self.arena.lease.root, other.arena.lease.name)
        self.shared = SharedMemory(self.arena, peering, self.said.append, tally=self.tally)

    def placed(self) -> Placed:
        """Return what was said last."""
        message = self.said.pop()
        assert isinstance(message, Placed)
        return message

    async def returned(self) -> tuple[str, ...]:
        """Return what was given back, once the loop has looked."""
        await asyncio.sleep(0)
        message = self.said.pop()
        assert isinstance(message, Returned)
        return message.ids


class Pair:
    """A lender and a borrower."""

    def __init__(self, root: Path) -> None:
        self.lender, self.borrower = End(root), End(root)
        self.lender.meet(self.borrower)
        self.borrower.meet(self.lender)

    async def across(self, data: bytes, name: str = "1-0") -> memoryview:
        """Lend a buffer, and borrow it at the other end."""
        assert await self.lender.shared.lend(name, data) is not None
        return await self.borrower.shared.borrow(self.lender.placed())

    def close(self) -> None:
        for end in (self.lender, self.borrower):
            end.shared.close()
            end.arena.close()


@pytest_asyncio.fixture
async def pair(tmp_path: Path, no_leaks: None) -> AsyncIterator[Pair]:
    """Two ends in one process; nothing may be left of them."""
    made = Pair(tmp_path)
    yield made
    made.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [1, COPY_INLINE, COPY_INLINE + 1, 3 * MIB])
async def test_a_buffer_crosses(pair: Pair, size: int) -> None:
    """What is borrowed is what was lent, whichever way it was copied, also the second time."""
    data = np.random.default_rng(7).bytes(size)
    for _ in range(2):
        view = await pair.across(data)
        assert view == data
        del view
        pair.lender.shared.returned(await pair.borrower.returned())


async def test_the_reader_copies_nothing(pair: Pair) -> None:
    """Both ends look at the same memory."""
    view = await pair.across(bytes(5000))
    segment = pair.lender.shared._lent["1-0"]
    segment.view()[7] = 9
    assert view[7] == 9


async def test_it_goes_back_with_the_last_array(pair: Pair) -> None:
    """And not before; then the same segment is lent again, through the same mapping."""
    view = await pair.across(bytes(MIB))
    first = pair.lender.shared._lent["1-0"]
    kept = np.frombuffer(view, np.uint8)[::2][100:]
    del view
    await asyncio.sleep(0)
    assert pair.borrower.said == []
    del kept
    assert await pair.borrower.returned() == ("1-0",)
    pair.lender.shared.returned(["1-0"])
    await pair.across(bytes(MIB), "2-0")
    assert pair.lender.shared._lent["2-0"] is first
    assert len(pair.borrower.shared._mappings) == 1


async def test_what_goes_back_at_once_is_told_at_once(pair: Pair) -> None:
    """As many buffers as are garbage share a message."""
    views = [await pair.across(b"x", name) for name in ("1-0", "1-1", "1-2")]
    views.clear()
    pair.borrower.shared.give_back()
    (message,) = pair.borrower.said
    assert isinstance(message, Returned)
    assert sorted(message.ids) == ["1-0", "1-1", "1-2"]


async def test_what_was_never_lent_comes_back(pair: Pair) -> None:
    """Nothing happens: the other side may say what it likes."""
    pair.lender.shared.returned(["9-9"])
    await pair.across(b"x")
    pair.lender.shared.returned(["1-0", "1-0"])
    assert len(pair.lender.arena._free) == 1


async def test_declined(pair: Pair) -> None:
    """A buffer that nobody looks at goes back unmapped."""
    await pair.lender.shared.lend("1-0", b"x")
    pair.borrower.shared.decline(pair.lender.placed().id)
    assert pair.borrower.said == [Returned(ids=("1-0",))]


async def test_arrays_outlive_the_connection(pair: Pair) -> None:
    """What a closed lender had lent is never used again, and stays as it is."""
    view = await pair.across(b"abc")
    pair.close()
    assert bytes(view) == b"abc"
    del view
    await asyncio.sleep(0)
    assert pair.borrower.said == []


async def test_lent_when_it_is_too_late(pair: Pair) -> None:
    """A copy that ends behind the connection's end is not told of, and its segment is free."""
    segment = pair.lender.shared.place(b"abc")
    assert segment is not None
    pair.lender.shared.close()
    pair.lender.shared.tell("1-0", segment)
    assert pair.lender.said == []
    assert pair.lender.arena.warm(3) is segment


async def test_no_room(pair: Pair) -> None:
    """Then nothing is told, and the caller has to find another way."""
    assert await pair.lender.shared.lend("1-0", bytes(17 * MIB)) is None
    pair.lender.arena.close()
    assert await pair.lender.shared.lend("1-0", b"x") is None
    assert pair.lender.said == []


async def test_a_segment_that_was_replaced_is_unmapped(pair: Pair) -> None:
    """A reader lets go of a file that is gone when it maps the one in its place."""
    view = await pair.across(bytes(10 * MIB))
    del view
    pair.lender.shared.returned(await pair.borrower.returned())
    await pair.across(bytes(16 * MIB), "2-0")
    assert list(pair.borrower.shared._mappings) == [pair.lender.shared._lent["2-0"].name]


@pytest.mark.parametrize(
    ("offset", "size", "match"),
    [
        (0, 5000, "beyond its segment of 4096 bytes"),
        (64, 4096, "beyond its segment of 4096 bytes"),
        (2**62, 1, "beyond its segment"),
        (-64, 64, "no place"),
        (1, 64, "no place"),
        (0, 0, "no place"),
        (0, -1, "no place"),
    ],
)
@pytest.mark.parametrize("known", [False, True])
async def test_a_lie_about_the_place(
    pair: Pair, offset: int, size: int, match: str, known: bool
) -> None:
    """Offset and size are held against the file before anything is made of them."""
    await pair.lender.shared.lend("1-0", b"x")
    honest = pair.lender.placed()
    if known:
        await pair.borrower.shared.borrow(honest)
    lie = Placed(id="2-0", segment=honest.segment, offset=offset, size=size)
    with pytest.raises(DecodeError, match=match):
        await pair.borrower.shared.borrow(lie)
    with pytest.raises(DecodeError, match=match):
        pair.borrower.shared.view(lie)


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "lease", "", "0" * 32])
async def test_a_file_that_is_no_segment(pair: Pair, name: str, tmp_path: Path) -> None:
    """No path leads out of the other side's arena, and a link in it is not followed."""
    folder = Path(user_folder(str(tmp_path)), pair.lender.arena.lease.name)
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(4096))
    (folder / ("0" * 32)).symlink_to(secret)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
    with pytest.raises(OSError):
        await pair.borrower.shared.borrow(Placed(id="1-0", segment=name, offset=0, size=64))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - as above
    secret.unlink()


async def again(pair: Pair, array: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    """Send an array, look whether it came right, and return its segment's name."""
    assert await pair.lender.shared.lend("1-0", array.data) is not None
    placed = pair.lender.placed()
    view = await pair.borrower.shared.borrow(placed)
    assert bytes(view) == array.tobytes()
    view[:8] = bytes(8)
    del view
    pair.lender.shared.returned(await pair.borrower.returned())
    return placed.segment


async def test_what_was_lent_is_lent_again(pair: Pair) -> None:
    """Its own segment: unchanged, changed by either side, and beside others."""
    one, two = np.zeros(MIB), np.full(MIB // 5, 2.0)
    names = [await again(pair, one), await again(pair, two)]
    tally = pair.lender.tally
    assert (tally.hits, tally.misses) == (0, 0)
    assert [await again(pair, one), await again(pair, two)] == names
    assert (tally.hits, tally.misses, tally.saved) == (1, 1, one.nbytes), "the reader wrote to two"
    one[MIB // 2] = 1
    assert await again(pair, one) == names[0]
    assert (tally.hits, tally.misses) == (1, 2)


async def test_what_is_not_compared_is_not_counted(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An array over the size that is worth a look is copied again: neither a hit nor a miss."""
    monkeypatch.setattr(shared_module, "COMPARED", MIB)
    array = np.zeros(MIB)
    assert await again(pair, array) == await again(pair, array)
    assert (pair.lender.tally.hits, pair.lender.tally.misses) == (0, 0)


async def test_what_is_lent_is_not_lent_again(pair: Pair) -> None:
    """The other side may write to it: a second one at the same time is a segment of its own."""
    array = np.ones(MIB)
    await pair.lender.shared.lend("1-0", array.data)
    await pair.lender.shared.lend("1-1", array.data)
    segments = {message.segment for message in pair.lender.said if isinstance(message, Placed)}
    assert len(segments) == 2
    assert (pair.lender.tally.hits, pair.lender.tally.misses) == (0, 0)


async def test_an_array_in_the_place_of_another(pair: Pair) -> None:
    """Whatever is at an address, its own bytes arrive."""
    for number in range(4):
        array = np.full(MIB, float(number))
        await again(pair, array)
        del array


async def test_two_that_map_at_the_same_time(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapping that is added while others are looked through does no harm."""
    borrower, real = pair.borrower.shared, Peering.has
    held = [await pair.across(bytes(MIB + number), f"{number}-0") for number in range(3)]

    def meanwhile(self: Peering, name: str) -> bool:
        borrower._mappings[f"another, beside {name}"] = next(iter(borrower._mappings.values()))
        return real(self, name)

    monkeypatch.setattr(Peering, "has", meanwhile)
    held.append(await pair.across(bytes(2 * MIB), "9-0"))
    assert [len(view) for view in held] == [MIB, MIB + 1, MIB + 2, 2 * MIB]


async def test_mapping_after_the_end(pair: Pair) -> None:
    """It fails as a file that is not there does: whoever waits has lost its connection."""
    assert await pair.lender.shared.lend("1-0", bytes(MIB)) is not None
    placed = pair.lender.placed()
    pair.borrower.shared.close()
    with pytest.raises(OSError, match="has ended"):
        await pair.borrower.shared.borrow(placed)

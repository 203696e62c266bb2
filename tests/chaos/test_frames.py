from __future__ import annotations

import asyncio

import pytest

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Ping
from asyncbridge.serialization.frames import Place, pack, unpack
from tests.chaos.frames import Injector
from tests.chaos.plan import Step
from tests.limits import HANG_S

pytestmark = pytest.mark.asyncio


def frame(number: int) -> bytes:
    """Return a frame of one message."""
    return pack([Ping(nonce=number)], place=Place(number, 0))


async def passed(kind: str, count: int = 4, after: int = 1) -> tuple[list[bytes], asyncio.Event]:
    """Return what arrives of some frames, and what is set when the connection is cut."""
    cut = asyncio.Event()
    injector = Injector(cut.set)
    injector.arm(Step(number=0, kind=kind, way="there", after=after, chance=0.5))
    held: list[bytes] = []
    arrived = [
        each
        for number in range(count)
        for each in await injector.tamper("there", frame(number), held)
    ]
    assert await injector.tamper("back", frame(9), []) == [frame(9)]
    assert injector.struck == 1
    return arrived, cut


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [("drop", [0, 2, 3]), ("duplicate", [0, 1, 1, 2, 3]), ("reorder", [0, 2, 1, 3]),
     ("delay", [0, 1, 2, 3])],
)  # fmt: skip
async def test_whole_frames(kind: str, numbers: list[int]) -> None:
    """One frame is dropped, doubled, or changes places with the next one; once."""
    arrived, _ = await passed(kind)
    assert arrived == [frame(number) for number in numbers]


@pytest.mark.parametrize("kind", ["flip", "shorten"])
async def test_damaged_frames(kind: str) -> None:
    """One frame has another bit, or is shorter; nobody takes it for a frame."""
    arrived, _ = await passed(kind)
    assert [arrived[0], *arrived[2:]] == [frame(0), frame(2), frame(3)]
    assert arrived[1] != frame(1)
    with pytest.raises(DecodeError):
        unpack(arrived[1])


@pytest.mark.parametrize("kind", ["drop", "reorder"])
async def test_a_lost_frame_ends_the_connection(kind: str) -> None:
    """Soon, whether another one comes or not."""
    _, cut = await passed(kind, count=2)
    async with asyncio.timeout(HANG_S):
        await cut.wait()


async def test_a_watch_sees_all_and_may_lose_some() -> None:
    """By their messages."""
    injector = Injector(lambda: None)
    injector.watch = lambda way, messages: messages != [Ping(nonce=1)]
    got = [await injector.tamper("back", frame(number), []) for number in range(3)]
    assert got == [[frame(0)], [], [frame(2)]]

"""What is streamed again, and what the worker uses once more."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from asyncbridge.client import resending
from asyncbridge.client.resending import Resender
from asyncbridge.protocol.messages import Digest, Message, Recall, Reuse
from asyncbridge.tasks import spawn
from asyncbridge.transport.memory import MemoryBulk
from asyncbridge.worker.keeping import KeptBuffers, Room

pytestmark = pytest.mark.asyncio

MIB = 1024 * 1024


class Lane(MemoryBulk):
    """A lane that notes what was streamed, into what a worker keeps."""

    def __init__(self, kept: KeptBuffers) -> None:
        self.sent: list[str] = []
        self._there = kept

    async def send(self, buffer_id: str, buffer: Any) -> None:
        self.sent.append(buffer_id)
        self._there.keep(buffer_id, bytearray(buffer))


class Rig:
    """A resender, and the worker's end that answers it."""

    def __init__(self, room: int) -> None:
        self.kept = KeptBuffers(Room(room))
        self.lane = Lane(self.kept)
        self.said: list[Message] = []
        self.arrived: dict[str, bytes] = {}
        self.answers = True
        self.resender = Resender(self.lane, self.post)
        self.resender.keeps = room

    def post(self, message: Message) -> None:
        self.said.append(message)
        if isinstance(message, Recall) and not message.id:
            self.kept.drop(message.kept)
        elif isinstance(message, Recall) and self.answers:
            spawn(self._answer(message), name="answer")
        elif isinstance(message, Reuse):
            self.arrived[message.id] = bytes(self.kept.reuse(message.id))

    async def _answer(self, message: Recall) -> None:
        digest = await self.kept.recall(message.id, message.kept)
        self.resender.told(Digest(id=message.id, digest=digest))

    async def send(self, buffer_id: str, array: np.ndarray[Any, Any]) -> bool:
        """Send an array; tell whether it was streamed."""
        await self.resender.send(buffer_id, array.data.cast("B"))
        return buffer_id in self.lane.sent

    @property
    def counts(self) -> tuple[int, int]:
        return self.resender.tally.hits, self.resender.tally.misses


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    """Both ends, with room for 8 MiB."""
    made = Rig(8 * MIB)
    yield made
    made.resender.close()
    made.kept.close()


async def test_nothing_is_asked_at_the_first_time(rig: Rig) -> None:
    """No message, no hash."""
    assert await rig.send("1-0", np.ones(MIB, np.uint8))
    assert rig.said == []


async def test_the_same_array_is_not_streamed_again(rig: Rig) -> None:
    """However often; the worker uses what it has."""
    array = np.random.default_rng(7).random(MIB // 8)
    await rig.send("1-0", array)
    for number in range(2, 5):
        assert not await rig.send(f"{number}-0", array)
        assert rig.arrived[f"{number}-0"] == array.tobytes()
    assert rig.counts == (3, 0)
    assert rig.resender.tally.saved == 3 * array.nbytes


@pytest.mark.parametrize("change", [
    lambda array: array.__setitem__(MIB // 2, 1),
    lambda array: array.__setitem__(-1, 1),
    lambda array: array[10:20].fill(1),
    lambda array: array.reshape(4, -1).T[7, 1:].fill(1),
])  # fmt: skip
async def test_a_change_here_is_seen(
    rig: Rig, change: Callable[[np.ndarray[Any, Any]], None]
) -> None:
    """In the middle, at the end, through views."""
    array = np.zeros(MIB, np.uint8)
    await rig.send("1-0", array)
    change(array)
    assert await rig.send("2-0", array)
    assert rig.counts == (0, 1)
    assert not await rig.send("3-0", array)
    assert rig.arrived["3-0"] == array.tobytes()


async def test_a_change_there_is_seen(rig: Rig) -> None:
    """Code may write to the worker's array."""
    array = np.zeros(MIB, np.uint8)
    await rig.send("1-0", array)
    rig.kept._kept["1-0"].lend()[5] = 9
    assert await rig.send("2-0", array)
    assert rig.counts == (0, 1)


async def test_what_the_worker_has_let_go_of(rig: Rig) -> None:
    """It is streamed again at once."""
    array = np.zeros(MIB, np.uint8)
    await rig.send("1-0", array)
    rig.kept.drop("1-0")
    assert await rig.send("2-0", array)
    assert not await rig.send("3-0", array)


async def test_one_that_always_changes_is_asked_about_less_often(rig: Rig) -> None:
    """To hash it in vain costs more than it could save."""
    array = np.zeros(MIB, np.uint8)
    for number in range(100):
        array[0] = number
        assert await rig.send(f"{number}-0", array)
    assert 3 < rig.counts[1] < 8
    assert rig.kept.size == MIB, "its former contents are kept nowhere"


async def test_garbage_is_forgotten(rig: Rig) -> None:
    """On both sides, when something else is sent."""
    for number in range(3):
        array = np.full(MIB, number, np.uint8)
        await rig.send(f"{number}-0", array)
        del array
        gc.collect()
    await rig.send("9-0", np.ones(2 * MIB, np.uint8))
    assert set(rig.kept._kept) == {"9-0"}


async def test_only_so_many_are_remembered(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was sent longest ago goes."""
    monkeypatch.setattr(resending, "REMEMBERED_COUNT", 2)
    arrays = [np.full(MIB, number, np.uint8) for number in range(3)]
    for number, array in enumerate(arrays):
        await rig.send(f"{number}-0", array)
    assert set(rig.kept._kept) == {"1-0", "2-0"}
    assert await rig.send("3-0", arrays[0])


async def test_a_worker_that_keeps_nothing(rig: Rig) -> None:
    """Nor so much: it is never asked."""
    array = np.zeros(9 * MIB, np.uint8)
    for number in range(2):
        assert await rig.send(f"{number}-0", array)
    rig.resender.keeps = 0
    for number in range(2, 4):
        assert await rig.send(f"{number}-0", array[:MIB])
    assert rig.said == []


async def test_a_session_that_ends(rig: Rig) -> None:
    """Who waits for the worker's answer waits no longer."""
    array = np.zeros(MIB, np.uint8)
    await rig.send("1-0", array)
    rig.answers = False
    sending = spawn(rig.send("2-0", array), name="second")
    while not rig.said:
        await asyncio.sleep(0)
    rig.resender.close()
    with pytest.raises(asyncio.CancelledError):
        await sending
    rig.resender.told(Digest(id="2-0", digest=""))  # too late

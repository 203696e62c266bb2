"""One session over many connections, in one process and over a real worker's socket."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from asyncbridge.errors import ConnectError, DecodeError
from asyncbridge.protocol.messages import Goodbye, Join, Joined, Message, Ping, Refused
from asyncbridge.serialization.frames import ORIGIN, Place, pack, place_of, unpack
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import ChannelClosed, NobodyThere, Wire
from asyncbridge.transport.resumable import DAMAGED, Dialled, Served
from asyncbridge.transport.retries import Patience

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.asyncio

LIMIT_S = 20.0
Fault = Callable[[bytes, list[bytes]], list[bytes]]
"""From a frame, and what is held back on its connection, to what arrives now."""


class MemoryWire(Wire):
    """One end of a connection in memory; real frames, which a test may change on their way."""

    def __init__(self, fault: Fault) -> None:
        self.inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.peer: MemoryWire | None = None
        self.closed = False
        self.frames = 0
        self._fault = fault
        self._held: list[bytes] = []

    async def send(self, messages: Sequence[Message], place: Place) -> None:
        await asyncio.sleep(0)
        if self.closed or self.peer is None:
            raise ChannelClosed("cut")
        self.frames += 1
        data = pack(messages, place=place)
        first = messages[0] if messages else None
        greets = isinstance(first, Join | Joined | Refused)  # what a connection begins with
        for each in [data] if greets else self._fault(data, self._held):
            self.peer.inbox.put_nowait(each)

    async def receive(self) -> tuple[list[Message], Place]:
        data = None if self.closed else await self.inbox.get()
        if data is None:
            self.closed = True
            raise ChannelClosed("cut")
        return unpack(data), place_of(data)

    async def close(self) -> None:
        for end in (self, self.peer):
            if end is not None and not end.closed:
                end.closed = True
                end.inbox.put_nowait(None)


def whole(data: bytes, held: list[bytes]) -> list[bytes]:
    """Let a frame pass."""
    return [data]


class Rig:
    """A client's end and a worker's, and the connections between them."""

    def __init__(self, *, lease: float = LIMIT_S, fault: Fault = whole) -> None:
        self.fault = fault
        self.served = Served(incarnation="w-1", lease=lease)
        self.changes: list[bool] = []
        self.dialled = Dialled(
            "s", self.dial, changed=self.changes.append, patience=Patience(sleep=self.sleep)
        )
        self.wires: list[MemoryWire] = []
        self.joins: list[Join] = []
        self.unreachable = 0
        self.refusal: Refused | None = None
        self.slept: list[float] = []
        self.clock = 0.0

    async def sleep(self, seconds: float) -> None:
        """Wait no longer than a turn of the loop."""
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def dial(self) -> Wire:
        """Open a connection, unless that is not to be."""
        if self.unreachable:
            self.unreachable -= 1
            raise ConnectError("nobody listens")
        near, far = MemoryWire(self.fault), MemoryWire(self.fault)
        near.peer, far.peer = far, near
        self.wires.append(near)
        spawn(self.serve(far), name="serve")
        return near

    async def serve(self, wire: MemoryWire) -> None:
        """Take a connection, as a worker does."""
        try:
            (join,), _ = await wire.receive()
        except (ChannelClosed, DecodeError, ValueError):
            await wire.close()
            return
        assert isinstance(join, Join)
        self.joins.append(join)
        if self.refusal is not None:
            await wire.send([self.refusal], ORIGIN)
            return
        await self.served.take(wire, join.received)

    async def open(self) -> None:
        """Begin."""
        await self.dialled.open(await self.dial())

    async def cut(self) -> None:
        """End the present connection."""
        await self.wires[-1].close()

    async def close(self) -> None:
        """End both."""
        await self.dialled.close()
        await self.served.close()


async def read(channel: Dialled | Served, count: int) -> list[int]:
    """Read so many pings; return which they are."""
    got: list[int] = []
    async with asyncio.timeout(LIMIT_S):
        while len(got) < count:
            got += [message.nonce for message in await channel.read() if isinstance(message, Ping)]
    return got


async def test_one_connection() -> None:
    """Messages go both ways, and the worker's first word is for the channel alone."""
    rig = Rig()
    await rig.open()
    await rig.dialled.write([Ping(nonce=1), Ping(nonce=2)])
    assert await read(rig.served, 2) == [1, 2]
    await rig.served.write([Ping(nonce=3)])
    assert await read(rig.dialled, 1) == [3]
    assert rig.joins == [Join(session="s")]
    await rig.close()


async def test_what_was_on_its_way_comes_over_the_next_connection() -> None:
    """In its order, and once."""
    rig = Rig()
    await rig.open()
    reading = spawn(read(rig.dialled, 1), name="read")
    await rig.served.write([Ping(nonce=9)])
    assert await reading == [9]
    await rig.cut()
    writing = spawn(rig.dialled.write([Ping(nonce=1)]), name="write")
    reading = spawn(read(rig.dialled, 1), name="read")
    assert await read(rig.served, 1) == [1]
    await writing
    await rig.dialled.write([Ping(nonce=2)])
    assert await read(rig.served, 1) == [2]
    await rig.served.write([Ping(nonce=3)])
    assert await reading == [3]
    assert rig.joins == [Join(session="s"), Join(session="s", incarnation="w-1", received=1)]
    assert rig.changes == [False, True]
    await rig.close()


async def test_a_worker_that_is_out_of_reach_for_a_while() -> None:
    """It is tried again and again, after waits that grow, and vary."""
    rig = Rig()
    await rig.open()
    reading = spawn(read(rig.dialled, 1), name="read")
    await rig.served.write([Ping(nonce=1)])
    assert await reading == [1]
    rig.unreachable = 12
    await rig.cut()
    reading = spawn(read(rig.dialled, 1), name="read")
    await rig.served.write([Ping(nonce=2)])
    assert await reading == [2]
    assert len(rig.slept) == 12
    assert 0.01 <= rig.slept[0] <= 0.02
    assert all(0.5 <= each <= 1.0 for each in rig.slept[6:])
    await rig.close()


@pytest.mark.parametrize("gone", ["refused", "out of reach"])
async def test_a_session_that_cannot_go_on(gone: str) -> None:
    """Its reader and its writers are told why."""
    rig = Rig()
    rig.dialled = Dialled("s", rig.dial, patience=Patience(whole=0.0, sleep=rig.sleep))
    await rig.open()
    reading = spawn(read(rig.dialled, 1), name="read")
    await rig.served.write([Ping(nonce=1)])
    assert await reading == [1]
    if gone == "refused":
        rig.refusal = Refused(code="session", message="nobody listens to it any more")
    rig.unreachable = 0 if gone == "refused" else 1
    await rig.cut()
    with pytest.raises(ChannelClosed, match="nobody listens"):
        await rig.dialled.read()
    with pytest.raises(ChannelClosed, match="nobody listens"):
        await rig.dialled.write([Ping(nonce=1)])
    await rig.close()


async def test_a_silent_connection_makes_room_for_another() -> None:
    """The one that is dead at its other end is closed; nothing is lost, nothing comes twice."""
    lost: list[bytes] = []

    def swallow(data: bytes, held: list[bytes]) -> list[bytes]:
        lost.append(data)
        return []

    rig = Rig()
    await rig.open()
    reading = spawn(read(rig.dialled, 1), name="read")
    await rig.served.write([Ping(nonce=1)])
    assert await reading == [1]
    first = rig.wires[0]
    assert first.peer is not None
    first._fault = first.peer._fault = swallow
    await rig.dialled.write([Ping(nonce=2)])
    await rig.served.write([Ping(nonce=3)])
    reading = spawn(read(rig.dialled, 2), name="read")
    assert len(lost) == 2
    rig.dialled.probe()
    rig.dialled.probe()  # one is enough
    assert await read(rig.served, 1) == [2]
    await rig.served.write([Ping(nonce=4)])
    assert await reading == [3, 4]
    assert (first.closed, len(rig.wires)) == (True, 2)
    await rig.close()


async def test_a_probe_that_comes_to_nothing_changes_nothing() -> None:
    """The worker is busy, or out of reach: the connection stays as it is."""
    rig = Rig()
    await rig.open()
    reading = spawn(read(rig.dialled, 2), name="read")
    await rig.served.write([Ping(nonce=1)])
    rig.unreachable = 1
    while not rig.dialled.is_connected or rig.dialled._joined is None:
        await asyncio.sleep(0)
    rig.dialled.probe()
    while rig.unreachable:
        await asyncio.sleep(0)
    await rig.served.write([Ping(nonce=2)])
    assert await reading == [1, 2]
    assert len(rig.wires) == 1
    await rig.close()


async def test_an_address_that_nobody_has_is_not_tried_again() -> None:
    """The process has ended, and its session with it."""
    rig = Rig()
    await rig.open()
    reading = spawn(read(rig.dialled, 1), name="read")
    await rig.served.write([Ping(nonce=1)])
    assert await reading == [1]

    async def nobody() -> Wire:
        raise NobodyThere("it has left its socket")

    rig.dialled._dial = nobody
    await rig.cut()
    with pytest.raises(ChannelClosed, match="left its socket"):
        await rig.dialled.read()
    assert len(rig.slept) <= 1
    await rig.close()


async def test_a_client_that_does_not_come_back() -> None:
    """The worker waits for so long, and no longer."""
    rig = Rig(lease=0.01)
    await rig.open()
    await rig.dialled.write([Ping(nonce=1)])
    assert await read(rig.served, 1) == [1]
    await rig.cut()
    with pytest.raises(ChannelClosed, match=r"did not come back within 0.01 s: cut"):
        await rig.served.read()
    await rig.close()


async def test_the_newer_connection_counts() -> None:
    """A client that opens another one knows better that the first has ended."""
    rig = Rig()
    await rig.open()
    await rig.dialled.write([Ping(nonce=1)])
    assert await read(rig.served, 1) == [1]
    other = await rig.dial()
    await other.send([Join(session="s", incarnation="w-1", received=0)], ORIGIN)
    (joined,), _ = await other.receive()
    assert joined == Joined(incarnation="w-1", received=1, lease_ms=int(LIMIT_S * 1000))
    assert rig.wires[0].closed
    await other.send([Ping(nonce=2)], Place(first=1))
    assert await read(rig.served, 1) == [2]
    await rig.close()


async def test_nothing_but_damage() -> None:
    """After some connections it is given up."""
    rig = Rig()
    await rig.open()
    reading = spawn(read(rig.dialled, 1), name="read")
    await rig.served.write([Ping(nonce=1)])
    assert await reading == [1]
    joined = len(rig.joins)

    def break_pings(data: bytes, held: list[bytes]) -> list[bytes]:
        kinds = {type(message) for message in unpack(data)}
        return [data[:-1] + b"?"] if kinds == {Ping} else [data]

    rig.fault = break_pings
    await rig.cut()
    writing = spawn(rig.served.write([Ping(nonce=2)]), name="write")
    with pytest.raises(DecodeError, match="damaged"):
        await rig.dialled.read()
    await writing
    assert len(rig.joins) == joined + DAMAGED + 1
    await rig.close()


async def test_closing() -> None:
    """Who waits is let go of, and nothing can be read or written after it."""
    rig = Rig()
    await rig.open()
    waiting = spawn(rig.dialled.read(), name="read")
    await asyncio.sleep(0)
    await rig.dialled.close()
    with pytest.raises(ChannelClosed):
        await waiting
    with pytest.raises(ChannelClosed):
        await rig.dialled.write([Goodbye()])
    await rig.close()


@pytest.mark.parametrize("seed", range(30))
async def test_faults_of_every_kind(seed: int) -> None:
    """Frames lost, doubled, swapped and damaged, and cuts: all comes, in order, once, both ways."""
    chance = random.Random(seed)

    def fault(data: bytes, held: list[bytes]) -> list[bytes]:
        kind = chance.random()
        if kind < 0.02:
            return []
        if kind < 0.04:
            return [data, data]
        if kind < 0.06:
            place = chance.randrange(len(data))
            return [data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]]
        if kind < 0.08:
            held.append(data)
            return []
        return [data, held.pop()] if held and kind < 0.2 else [data]

    rig = Rig(fault=fault)
    count = 300

    async def write(channel: Dialled | Served) -> None:
        sent = 0
        while sent < count:
            some = min(chance.randint(1, 5), count - sent)
            await channel.write([Ping(nonce=number) for number in range(sent, sent + some)])
            sent += some
            if chance.random() < 0.02:
                await rig.cut()
        # What is lost at the very end is noticed by what comes after it.
        while True:
            await channel.write([Goodbye()])
            await asyncio.sleep(0)

    rig.fault = whole
    await rig.open()
    rig.fault = fault
    ends = (rig.dialled, rig.served)
    got: dict[str, list[int]] = {"dialled": [], "served": []}
    tasks = [spawn(write(end), name="write") for end in ends]
    all_there = asyncio.Event()

    async def read_on(channel: Dialled | Served, numbers: list[int]) -> None:
        while True:
            new = await channel.read()
            numbers += [message.nonce for message in new if isinstance(message, Ping)]
            if all(len(each) == count for each in got.values()):
                all_there.set()

    tasks += [spawn(read_on(rig.dialled, got["dialled"]), name="read")]
    tasks += [spawn(read_on(rig.served, got["served"]), name="read")]
    async with asyncio.timeout(LIMIT_S):
        await all_there.wait()
    assert got == {"dialled": [*range(count)], "served": [*range(count)]}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await rig.close()

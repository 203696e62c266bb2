"""What a client of a name leaves, and what the next one gets, over pairs of channels."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import numpy as np
import pytest

from asyncbridge.protocol.messages import (
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    Acknowledge,
    BulkRef,
    Claim,
    Command,
    Completed,
    Detach,
    Failed,
    Goodbye,
    Hello,
    Holding,
    Message,
    Payload,
    Ping,
    Pong,
    Prioritize,
    Refused,
    Release,
    Withheld,
)
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.serialization.split import join, split
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import ChannelClosed
from asyncbridge.transport.memory import MemoryBulk, MemoryChannel, channel_pair
from asyncbridge.worker.backend import Backend
from asyncbridge.worker.engine import Engine
from asyncbridge.worker.executor import StepExecutor
from asyncbridge.worker.peer import Peer
from asyncbridge.worker.shelf import Shelf
from asyncbridge.worker.succession import Names
from tests.limits import HANG_S

pytestmark = pytest.mark.asyncio

M = TypeVar("M", bound=Message)
LARGE = 100_000


class Client:
    """A client's end, message by message."""

    def __init__(self, channel: MemoryChannel, peer: Peer, serving: asyncio.Task[None]) -> None:
        self.channel = channel
        self.peer = peer
        self.serving = serving
        self.bulk = MemoryBulk(peer.buffers.store)
        self.heard: list[Message] = []

    async def say(self, *messages: Message) -> None:
        await self.channel.write(messages)

    async def hear(self, kind: type[M]) -> M:
        """Read until a message of that kind comes, and return it."""
        async with asyncio.timeout(HANG_S):
            while True:
                for place, message in enumerate(self.heard):
                    if isinstance(message, kind):
                        del self.heard[place]
                        return message
                self.heard += await self.channel.read()

    async def pong(self) -> None:
        """Wait until the peer has taken all that was said before."""
        await self.say(Ping(nonce=1))
        await self.hear(Pong)

    async def value_of(self, command_id: int) -> object:
        """Claim a command, and return its value."""
        await self.say(Claim(id=command_id))
        message = await self.hear(Completed)
        assert message.id == command_id
        refs = [part for part in message.value.buffers if isinstance(part, BulkRef)]
        bulk = {ref.id: await self.bulk.receive(ref.id, ref.size) for ref in refs}
        return decode(join(message.value, bulk))

    async def die(self) -> None:
        """Go without a word."""
        await self.channel.close()
        while self.peer.session in self.peer._registry:
            await asyncio.sleep(0)


class Bench:
    """A worker, and the clients of one name that come to it."""

    def __init__(self, shelf: Shelf | None = None) -> None:
        self.executor = StepExecutor()
        self.engine = Engine(
            loop=asyncio.get_running_loop(), executor=self.executor, backend=Backend(None)
        )
        self.engine.start()
        self.executor.run_all()
        self.registry: dict[str, Peer] = {}
        self.names = Names()
        self.shelf = shelf or Shelf()
        self.clients = 0
        self.peers: list[Client] = []

    async def dial(self, name: str = "n") -> Client:
        """Have a client come, and hear its list."""
        self.clients += 1
        near, far = channel_pair()
        session = f"s{self.clients}"
        peer = Peer(self.engine, far, self.registry, name=name, shelf=self.shelf)
        self.names.succeed(name, session, peer)
        client = Client(near, peer, spawn(peer.serve(), name="serve"))
        self.peers.append(client)
        hello = Hello(oldest=OLDEST_VERSION, newest=PROTOCOL_VERSION, session=session)
        await client.say(hello)
        return client

    async def held(self, client: Client) -> list[tuple[int, str]]:
        """Return what the list says: ids and states."""
        return [(row[0], row[2]) for row in (await client.hear(Holding)).commands]

    async def run_all(self) -> None:
        """Run what has come into the queue, and have it told."""
        for _ in range(20):
            await asyncio.sleep(0)
        self.executor.run_all()
        for _ in range(5):
            await asyncio.sleep(0)

    async def close(self) -> None:
        """End everything."""
        for client in self.peers:
            await client.peer.hang_up()
            async with asyncio.timeout(HANG_S):
                await client.serving
        self.shelf.close()


def command(number: int, code: str) -> Command:
    """Return a command without bindings."""
    return Command(id=number, code=code)


def large(number: int) -> tuple[Payload, bytes]:
    """Return bindings with one bulk buffer, of the id ``<number>-0``, and that buffer."""
    payload, bulk = split(encode({"x": bytes(LARGE)}, path="bindings"), prefix=f"{number}")
    return payload, bytes(bulk[f"{number}-0"])


async def test_queued_commands_run_without_a_client() -> None:
    """Once each, in their order; the next client gets their values, and ids go on."""
    bench = Bench()
    first = await bench.dial()
    await first.say(command(1, "ran = [1]; ran"), command(2, "ran.append(2); ran"))
    await first.pong()
    await first.die()
    await bench.run_all()
    second = await bench.dial()
    assert await bench.held(second) == [(1, "completed"), (2, "completed")]
    assert await second.value_of(2) == [1, 2]
    assert await second.value_of(1) == [1]
    await second.say(command(3, "ran.append(3); ran"))
    await second.pong()
    await bench.run_all()
    assert decode((await second.hear(Completed)).value) == [1, 2, 3]
    await bench.close()


async def test_a_running_command_ends_for_its_heir() -> None:
    """What was taken up for one client is told to the next one that asks."""
    bench = Bench()
    first = await bench.dial()
    await first.say(command(1, "6 * 7"))
    await first.pong()
    second = await bench.dial()
    assert await bench.held(second) == [(1, "queued")]
    await second.say(Claim(id=1))
    await second.pong()
    await bench.run_all()
    assert decode((await second.hear(Completed)).value) == 42
    assert (await first.hear(Refused)).code == "taken"
    await bench.close()


async def test_a_large_result_waits_in_the_worker() -> None:
    """Of a client that is dead; the next one fetches it, and then it is let go of."""
    bench = Bench()
    first = await bench.dial()
    await first.say(command(1, "import numpy; numpy.arange(50_000)"))
    await first.pong()
    await bench.run_all()
    await first.hear(Completed)
    await first.die()
    second = await bench.dial()
    assert np.array_equal(np.asarray(await second.value_of(1)), np.arange(50_000))
    await second.say(Acknowledge(ids=(1,)))
    await second.pong()
    assert second.peer._protocol.ledger.is_empty
    assert second.peer.buffers.store.take("1-0") is None
    await bench.close()


async def test_bindings_that_had_not_come() -> None:
    """Their command fails unrun; one whose bindings are there, and those behind, run."""
    bench = Bench()
    first = await bench.dial()
    whole, buffer = large(2)
    await first.say(
        Command(id=1, code="len(x)", bindings=large(1)[0]),
        Command(id=2, code="len(x)", bindings=whole),
        command(3, "'behind'"),
        Release(names=("none",)),
    )
    await first.bulk.send("2-0", buffer)
    await first.pong()
    await first.die()
    await bench.run_all()
    second = await bench.dial()
    assert await bench.held(second) == [(1, "failed"), (2, "completed"), (3, "completed")]
    await second.say(Claim(id=1))
    failed = await second.hear(Failed)
    assert "gone before all of the command's large bindings" in failed.fault.message
    assert await second.value_of(2) == LARGE
    await bench.close()


async def test_where_what_is_left_stands() -> None:
    """As it was moved meanwhile."""
    bench = Bench()
    first = await bench.dial()
    await first.say(command(1, "1"), command(2, "2"), Prioritize(id=2, priority=7))
    await first.pong()
    await first.die()
    second = await bench.dial()
    assert (await second.hear(Holding)).standing == ((1, 0, 0, ()), (2, 7, 0, ()))
    await bench.close()


async def test_detach() -> None:
    """The worker answers, and keeps all."""
    bench = Bench()
    first = await bench.dial()
    await first.say(command(1, "1"), Detach())
    await first.hear(Goodbye)
    await bench.run_all()
    second = await bench.dial()
    assert await bench.held(second) == [(1, "completed")]
    await bench.close()


async def test_goodbye_ends_what_the_client_waits_for() -> None:
    """And leaves what an earlier one has left; with nothing left, the session is over."""
    bench = Bench()
    first = await bench.dial()
    await first.say(command(1, "ran = ['first']"))
    await first.pong()
    await first.die()
    second = await bench.dial()
    await second.say(command(2, "ran.append('second')"), Goodbye())
    while "s2" in bench.registry or not second.peer._protocol.session:
        await asyncio.sleep(0)
    await bench.run_all()
    third = await bench.dial()
    assert await bench.held(third) == [(1, "completed")]
    await third.value_of(1)
    await third.say(command(3, "ran"), Acknowledge(ids=(1,)))
    await third.pong()
    await bench.run_all()
    assert decode((await third.hear(Completed)).value) == ["first"]
    await third.say(Acknowledge(ids=(3,)), Goodbye())
    async with asyncio.timeout(HANG_S):
        await third.serving
    await bench.close()


async def test_a_second_peer_of_a_name_fences_the_first() -> None:
    """Whose connection ends, and whose commands from then on reach nobody."""
    bench = Bench()
    first = await bench.dial()
    await first.pong()
    second = await bench.dial()
    await second.pong()
    refused = await first.hear(Refused)
    assert refused.message == "another client has taken over session 'n'"
    with pytest.raises(ChannelClosed):
        while True:
            await first.channel.read()
    assert bench.names.why_fenced("s1") == refused.message
    assert bench.names.why_fenced("s2") == ""
    await bench.close()


async def test_other_names_are_others() -> None:
    """What one holds, another does not see."""
    bench = Bench()
    first = await bench.dial("a")
    await first.say(command(1, "1"))
    await first.pong()
    other = await bench.dial("b")
    assert await bench.held(other) == []
    await first.pong()
    await bench.close()


async def test_outcomes_go_to_files_and_come_back() -> None:
    """With their large buffers, to the next client, in whatever order it asks."""
    bench = Bench(Shelf(memory=1))
    first = await bench.dial()
    for number in range(1, 6):
        await first.say(command(number, f"import numpy; numpy.full(20_000, {number})"))
    await first.pong()
    await first.die()
    await bench.run_all()
    await bench.shelf.rested.wait()
    assert bench.shelf.memory < 2 * 20_000 * 8  # the newest alone
    assert bench.shelf.filed > 4 * 20_000 * 8
    second = await bench.dial()
    for number in (3, 5, 1, 4, 2):
        value = np.asarray(await second.value_of(number))
        assert np.array_equal(value, np.full(20_000, number))
        await second.say(Acknowledge(ids=(number,)))
    await second.pong()
    assert (bench.shelf.memory, bench.shelf.filed) == (0, 0)
    await bench.close()


async def test_the_oldest_outcomes_are_dropped_for_want_of_room() -> None:
    """Who asks is told so, and when; the newer ones are there."""
    bench = Bench(Shelf(memory=1, limit=1_000_000, clock=lambda: 0.0))
    first = await bench.dial()
    for number in range(1, 41):
        await first.say(command(number, f"import numpy; numpy.full(10_000, {number})"))
    await first.pong()
    await first.die()
    await bench.run_all()
    await bench.shelf.rested.wait()
    assert bench.shelf.filed <= 1_000_000
    second = await bench.dial()
    await second.say(Claim(id=1))
    withheld = await second.hear(Withheld)
    assert withheld.code == "dropped"
    assert "command 1 was dropped at 1970-01-01 00:00:00 UTC: there was no room" in withheld.message
    assert np.asarray(await second.value_of(40))[0] == 40
    assert np.asarray(await second.value_of(36))[0] == 36
    await bench.close()


async def test_a_client_that_does_not_read_takes_no_more_than_that() -> None:
    """Its outcomes go to files, too, and reach it when it reads again, once and in order."""
    bench = Bench(Shelf(memory=200_000))
    first = await bench.dial()
    text = "x" * 20_000
    for number in range(1, 101):
        await first.say(command(number, f"{text!r} + '{number}'"))
        await asyncio.sleep(0)
        bench.executor.run_all()
    first.peer._writer._ready.clear()
    await bench.run_all()
    await bench.shelf.rested.wait()
    assert bench.shelf.memory < 400_000
    values: list[object] = []
    async with asyncio.timeout(HANG_S):
        while len(values) < 100:
            some = await first.channel.read()
            values += [decode(message.value) for message in some if isinstance(message, Completed)]
    assert values == [f"{text}{number}" for number in range(1, 101)]
    await bench.close()

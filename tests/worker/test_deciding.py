"""What a session does about commands that halt, over its connection; more in test_halting.py."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from asyncbridge.protocol.limits import BULK_THRESHOLD
from asyncbridge.protocol.messages import (
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    Command,
    Completed,
    Decide,
    Decided,
    Dropped,
    Failed,
    Halted,
    Halting,
    Hello,
    Message,
)
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.serialization.split import split
from asyncbridge.tasks import spawn
from asyncbridge.transport.memory import MemoryBulk, channel_pair
from asyncbridge.worker.backend import Backend
from asyncbridge.worker.engine import Engine
from asyncbridge.worker.executor import StepExecutor
from asyncbridge.worker.peer import Peer

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


class Bench:
    """A session that has said hello, on a stepped executor."""

    def __init__(self) -> None:
        self.executor = StepExecutor()
        self.engine = Engine(
            loop=asyncio.get_running_loop(), executor=self.executor, backend=Backend(None)
        )
        self.engine.start()
        self.channel, far = channel_pair()
        self.peer = Peer(self.engine, far, {})
        self.serving = spawn(self.peer.serve(), name="peer")
        self.read: list[Message] = []

    async def say(self, *messages: Message) -> None:
        """Write these, and let them be handled."""
        await self.channel.write(list(messages))
        for _ in range(10):
            await asyncio.sleep(0)
            self.executor.run_all()

    async def until(self, kind: type[Message]) -> Message:
        """Return the next message of a kind."""
        while True:
            for place, message in enumerate(self.read):
                if isinstance(message, kind):
                    del self.read[: place + 1]
                    return message
            self.executor.run_all()
            self.read += await self.channel.read()

    async def halted(self, *behind: Command) -> Halted:
        """Let the first command fail, with others behind it."""
        hello = Hello(oldest=OLDEST_VERSION, newest=PROTOCOL_VERSION, session="s")
        await self.say(hello, Halting(on=True), Command(id=1, code="1 / 0"), *behind)
        halted = await self.until(Halted)
        assert isinstance(halted, Halted)
        return halted

    async def close(self) -> None:
        """End the session."""
        await self.channel.close()
        await self.serving
        self.executor.run_all()


async def test_a_halt_that_no_timer_takes() -> None:
    """A client that is not ours may send anything: beyond the longest limit it is that one."""
    bench = Bench()
    hello = Hello(oldest=OLDEST_VERSION, newest=PROTOCOL_VERSION, session="s")
    await bench.say(hello, Halting(on=True, timeout_ms=2**60), Command(id=1, code="1 / 0"))
    halted = await bench.until(Halted)
    assert isinstance(halted, Halted)
    await bench.say(Decide(number=1, error=halted.error, kind="raise", newest=1))
    assert await bench.until(Failed) == Failed(id=1, fault=halted.fault)
    await bench.close()


async def test_what_was_sent_before_is_dropped_when_it_comes() -> None:
    """By its id, however late it comes; what was sent afterwards runs."""
    bench = Bench()
    halted = await bench.halted(Command(id=2, code="2"))
    await bench.say(Decide(number=1, error=halted.error, kind="drop", newest=4))
    assert await bench.until(Dropped) == Dropped(ids=(2,), because=1, error=halted.error)
    assert await bench.until(Failed) == Failed(id=1, fault=halted.fault)
    assert await bench.until(Decided) == Decided(number=1)
    await bench.say(Command(id=3, code="3"), Command(id=4, code="4"), Command(id=5, code="5"))
    assert await bench.until(Dropped) == Dropped(ids=(3,), because=1, error=halted.error)
    assert await bench.until(Dropped) == Dropped(ids=(4,), because=1, error=halted.error)
    completed = await bench.until(Completed)
    assert isinstance(completed, Completed)
    assert completed.id == 5
    await bench.close()


async def test_what_comes_before_the_client_knows_of_a_drop_is_dropped() -> None:
    """Whatever its id, until the client has said which was its newest when it heard of it."""
    bench = Bench()
    halted = await bench.halted(Command(id=2, code="2"))
    other = Peer(bench.engine, channel_pair()[1], {})  # which is not the command's own
    bench.engine.halts.decide(other, Decide(number=1, error=halted.error, kind="drop", newest=9))
    dropped = Dropped(ids=(2,), because=1, error=halted.error, asks=True)
    assert await bench.until(Dropped) == dropped
    said = Decide(number=1, error="0-1", kind="drop", newest=9)
    await bench.say(Command(id=3, code="3"), said, Command(id=4, code="4"))
    for number in (3, 4):
        assert await bench.until(Dropped) == Dropped(ids=(number,), because=1, error=halted.error)
    await bench.say(Decide(number=2, error=halted.error, kind="drop", newest=5))
    await bench.say(Command(id=5, code="5"), Command(id=6, code="6"))
    assert await bench.until(Dropped) == Dropped(ids=(5,), because=1, error=halted.error)
    completed = await bench.until(Completed)
    assert isinstance(completed, Completed)
    assert completed.id == 6
    await bench.close()


async def test_large_values_of_a_decision_are_waited_for() -> None:
    """Commands behind are held until they are here."""
    bench = Bench()
    halted = await bench.halted()
    array = np.ones(BULK_THRESHOLD, np.uint8)
    values, bulk = split(encode({"x": array}), prefix="d1")
    decision = Decide(number=1, error=halted.error, kind="replace", code="int(x.sum())",
                      values=values)  # fmt: skip
    await bench.say(decision)
    assert bench.engine.halts.info()
    lane = MemoryBulk(bench.peer.buffers.store)
    for name, buffer in bulk.items():
        await lane.send(name, buffer)
    completed = await bench.until(Completed)
    assert isinstance(completed, Completed)
    assert decode(completed.value) == BULK_THRESHOLD
    assert not bench.engine.halts.info()
    await bench.close()


async def test_whether_an_error_is_known() -> None:
    """It is once it has halted; a refusal tells that apart from one about nothing."""
    bench = Bench()
    halted = await bench.halted()
    await bench.say(
        Decide(number=1, error="0-1", kind="raise"),
        Decide(number=2, error=halted.error, kind="raise", epoch=7),
        Decide(number=3, error=halted.error, kind="raise"),
        Decide(number=4, error=halted.error, kind="ignore"),
    )
    answers = [await bench.until(Decided) for _ in range(4)]
    assert [(bool(a.refusal), a.unknown) for a in answers if isinstance(a, Decided)] == [
        (True, True), (True, False), (False, False), (True, False),
    ]  # fmt: skip
    await bench.close()


async def test_the_end_of_a_session_ends_its_halt() -> None:
    """Its commands' room in the queue is free."""
    bench = Bench()
    await bench.halted(Command(id=2, code="2"))
    await bench.close()
    assert (bench.engine.halts.info(), bench.engine.queue.count) == ([], 0)

"""A session's connection over a pair of channels, with a stepped executor."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from asyncbridge.protocol.limits import DEFAULT_WINDOW
from asyncbridge.protocol.messages import (
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    Accepted,
    Acknowledge,
    Buffer,
    BulkRef,
    Cancel,
    Cancelled,
    Command,
    Completed,
    Digest,
    Failed,
    Goodbye,
    Hello,
    Info,
    InfoRequest,
    Message,
    Payload,
    Ping,
    Placed,
    Pong,
    Recall,
    Refused,
    Release,
    Reuse,
    Welcome,
)
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.serialization.split import split
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import ChannelClosed
from asyncbridge.transport.memory import MemoryBulk, MemoryChannel, channel_pair
from asyncbridge.worker.backend import Backend
from asyncbridge.worker.engine import Engine
from asyncbridge.worker.executor import StepExecutor
from asyncbridge.worker.keeping import Room
from asyncbridge.worker.peer import Peer
from tests.limits import HANG_S

pytestmark = pytest.mark.asyncio

M = TypeVar("M", bound=Message)
MIB = 1024 * 1024
LARGE = 100_000


class Client:
    """The client's end of a connection, message by message."""

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
            while not any(isinstance(message, kind) for message in self.heard):
                self.heard += await self.channel.read()
        for place, message in enumerate(self.heard):
            if isinstance(message, kind):
                del self.heard[place]
                return message
        raise AssertionError

    async def pong(self) -> None:
        """Wait until the peer has taken all that was said before."""
        await self.say(Ping(nonce=1))
        await self.hear(Pong)

    async def end(self) -> None:
        """Read to the end of the connection, which the peer's task reaches without an error."""
        async with asyncio.timeout(HANG_S):
            with pytest.raises(ChannelClosed):
                while True:
                    self.heard += await self.channel.read()
            await self.serving


class Bench:
    """An engine, and the sessions that are connected to it."""

    def __init__(self) -> None:
        self.executor = StepExecutor()
        self.engine = Engine(
            loop=asyncio.get_running_loop(), executor=self.executor, backend=Backend(None)
        )
        self.engine.start()
        self.executor.run_all()
        self.registry: dict[str, Peer] = {}

    def dial(self) -> Client:
        near, far = channel_pair()
        peer = Peer(self.engine, far, self.registry, room=Room(4 * MIB), largest=9 * MIB)
        return Client(near, peer, spawn(peer.serve(), name="serve"))

    @asynccontextmanager
    async def session(self, name: str = "s") -> AsyncGenerator[Client, None]:
        """Open a session for a while."""
        client = self.dial()
        await client.say(hello(name))
        await client.hear(Welcome)
        try:
            yield client
        finally:
            await client.channel.close()
            await client.serving

    async def work(self, client: Client) -> None:
        """Run all that a client has sent so far."""
        await client.pong()
        await until(lambda: not client.peer._lane)
        self.executor.run_all()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    for _ in range(100):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to hold")


def hello(session: str = "s") -> Hello:
    """Return a client's first message."""
    return Hello(oldest=OLDEST_VERSION, newest=PROTOCOL_VERSION, session=session)


def value_of(message: Completed) -> object:
    """Return a completed command's value."""
    return decode(message.value)


def goodbye_of(client: Client) -> str:
    """Return the reason that the worker gave as its last word."""
    last = client.heard[-1]
    assert isinstance(last, Goodbye)
    return last.reason


def large_bindings(number: int) -> tuple[Payload, bytes]:
    """Return bindings with one bulk buffer, of the id ``<number>-0``, and that buffer."""
    payload, bulk = split(encode({"x": bytes(LARGE)}, path="bindings"), prefix=f"{number}")
    return payload, bytes(bulk[f"{number}-0"])


# --- the greeting ------------------------------------------------------------------------


async def test_welcome() -> None:
    """A hello is answered with the engine's incarnation and the window; the session is known."""
    bench = Bench()
    client = bench.dial()
    await client.say(hello("name"))
    welcome = await client.hear(Welcome)
    assert welcome.incarnation == bench.engine.incarnation
    assert (welcome.window, welcome.window_bytes) == (DEFAULT_WINDOW.count, DEFAULT_WINDOW.size)
    assert welcome.state == bench.engine.state
    assert (client.peer.session, bench.registry, bench.engine.peers) == (
        "name",
        {"name": client.peer},
        {client.peer},
    )
    await client.say(Goodbye())
    await client.end()
    assert (bench.registry, bench.engine.peers) == ({}, set())


async def test_refused() -> None:
    """A refusal is sent before the connection ends; nothing is left of it."""
    bench = Bench()
    client = bench.dial()
    await client.say(Hello(oldest=PROTOCOL_VERSION + 1, newest=PROTOCOL_VERSION + 1, session="s"))
    refused = await client.hear(Refused)
    assert refused.code == "version"
    await client.end()
    assert (bench.registry, bench.engine.peers) == ({}, set())


async def test_a_session_has_one_connection() -> None:
    """A second connection of a session is refused, and the first goes on."""
    bench = Bench()
    async with bench.session("s") as first:
        second = bench.dial()
        await second.say(hello("s"))
        assert (await second.hear(Refused)).code == "session"
        await second.end()
        assert bench.registry == {"s": first.peer}
        await first.pong()


async def test_a_session_can_come_back() -> None:
    """Once its connection has ended, a session's name is free again."""
    bench = Bench()
    for _ in range(2):
        async with bench.session("s") as client:
            await client.pong()


# --- commands ----------------------------------------------------------------------------


async def test_a_command() -> None:
    """A command is accepted and completed."""
    bench = Bench()
    async with bench.session() as client:
        await client.say(Command(id=1, code="a + 1", bindings=encode({"a": 41})))
        assert (await client.hear(Accepted)).ids == (1,)
        await bench.work(client)
        assert value_of(await client.hear(Completed)) == 42


async def test_one_frame_for_a_short_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a command has come is told in one frame with its outcome, if that is there in time."""
    monkeypatch.setattr("asyncbridge.worker.peer.ACCEPT_SECONDS", 3600.0)
    bench = Bench()
    async with bench.session() as client:
        await client.say(Command(id=1, code="1 + 1"))
        await until(lambda: bench.executor.pending > 0)
        bench.executor.run_all()
        kinds = [type(message) for message in await client.channel.read()]
        assert kinds == [Accepted, Completed]


async def test_a_failure() -> None:
    """A failure is told with its fault, and what depends on it with its cause."""
    bench = Bench()
    async with bench.session() as client:
        await client.say(Command(id=1, code="1 / 0"), Command(id=2, code="2", after=(1,)))
        await bench.work(client)
        first, second = await client.hear(Failed), await client.hear(Failed)
        assert (first.id, first.fault.type, first.because) == (1, "ZeroDivisionError", None)
        assert (second.id, second.fault, second.because) == (2, first.fault, 1)


async def test_cancel() -> None:
    """A queued command is taken out; one that is unknown, or finished, is no matter."""
    bench = Bench()
    async with bench.session() as client:
        await client.say(Command(id=1, code="1"), Command(id=2, code="2"), Cancel(id=1))
        assert (await client.hear(Cancelled)).id == 1
        await bench.work(client)
        assert (await client.hear(Completed)).id == 2
        await client.say(Cancel(id=2), Cancel(id=7))
        await client.pong()


async def test_dependents_of_a_cancelled_command() -> None:
    """What depends on a command that was taken out is not run either."""
    bench = Bench()
    async with bench.session() as client:
        await client.say(
            Command(id=1, code="1"), Cancel(id=1), Command(id=2, code="ran = True", after=(1,))
        )
        await bench.work(client)
        failed = await client.hear(Failed)
        assert (failed.id, failed.because) == (2, 1)
        assert bench.engine.namespace.names() == ()


async def test_cancel_of_a_running_command() -> None:
    """A command that runs is not taken out: it completes."""
    bench = Bench()
    async with bench.session() as client:
        await client.say(Command(id=1, code="1"))
        await bench.work(client)
        await client.say(Cancel(id=1))
        assert (await client.hear(Completed)).id == 1


async def test_info() -> None:
    """An info request is answered while commands wait."""
    bench = Bench()
    async with bench.session() as client:
        await client.say(Command(id=1, code="1"), InfoRequest(id=5))
        info = await client.hear(Info)
        assert (info.id, info.info["sessions"]) == (5, 1)


async def test_release() -> None:
    """Names are released after the commands that came before."""
    bench = Bench()
    async with bench.session() as client:
        await client.say(
            Command(id=1, code="None", bindings=encode({"b": 5}), lifetime="collected"),
            Command(id=2, code="b"),
        )
        await until(lambda: bench.executor.pending == 2)
        await client.say(Release(names=("b",)))
        await bench.work(client)
        await client.hear(Completed)
        assert value_of(await client.hear(Completed)) == 5
        assert bench.engine.namespace.names() == ()


# --- bulk --------------------------------------------------------------------------------


@pytest.mark.parametrize("data_first", [True, False])
async def test_bulk_to_the_worker(data_first: bool) -> None:
    """A command is queued once its data is there, whichever comes first."""
    bench = Bench()
    payload, data = large_bindings(1)
    async with bench.session() as client:
        if data_first:
            await client.bulk.send("1-0", data)
        await client.say(Command(id=1, code="len(x)", bindings=payload))
        await client.pong()
        if not data_first:
            assert bench.executor.pending == 0
            await client.bulk.send("1-0", data)
        await until(lambda: bench.executor.pending == 1)
        bench.executor.run_all()
        assert value_of(await client.hear(Completed)) == LARGE


async def test_order_is_kept() -> None:
    """A command does not overtake one whose data is still on the way."""
    bench = Bench()
    payload, data = large_bindings(1)
    async with bench.session() as client:
        await client.say(
            Command(id=1, code="order = ['1']", bindings=payload),
            Command(id=2, code="order.append('2'); order"),
        )
        await client.pong()
        assert bench.executor.pending == 0
        await client.bulk.send("1-0", data)
        await until(lambda: bench.executor.pending == 2)
        bench.executor.run_all()
        await client.hear(Completed)
        assert value_of(await client.hear(Completed)) == ["1", "2"]


@pytest.mark.parametrize("large", [False, True])
async def test_a_release_waits_for_commands_that_wait(large: bool) -> None:
    """A release takes effect after the commands that came before it, wherever they still are."""
    bench = Bench()
    payload, data = large_bindings(2)
    async with bench.session() as client:
        bind = Command(id=1, code="None", bindings=encode({"b": 5}), lifetime="collected")
        await client.say(bind)
        await bench.work(client)
        await client.hear(Completed)
        use = Command(id=2, code="b", bindings=payload if large else None)
        await client.say(use, Release(names=("b",)))
        await client.pong()
        bench.executor.run_all()
        if large:
            await client.bulk.send("2-0", data)
            await until(lambda: bench.executor.pending > 0)
        await bench.work(client)
        await client.pong()
        outcomes = [m for m in client.heard if isinstance(m, Completed | Failed)]
        assert [value_of(m) if isinstance(m, Completed) else m.fault.text for m in outcomes] == [5]
        assert bench.engine.namespace.names() == ()


async def test_a_command_aside_lets_others_pass() -> None:
    """While its data is on the way; those that depend on it wait, and so does a release."""
    bench = Bench()
    payload, data = large_bindings(1)
    async with bench.session() as client:
        await client.say(
            Command(id=1, code="None", bindings=payload, lifetime="collected", aside=True),
            Command(id=2, code="2"),
            Release(names=("x",)),
            Command(id=3, code="3", after=(1,)),
            Command(id=4, code="4"),
        )
        await until(lambda: bench.executor.pending == 1)
        bench.executor.run_all()
        assert (await client.hear(Completed)).id == 2
        assert bench.executor.pending == 0
        await client.bulk.send("1-0", data)
        await until(lambda: bench.executor.pending == 4)
        bench.executor.run_all()
        outcomes = [await client.hear(Completed) for _ in range(3)]
        assert [outcome.id for outcome in outcomes] == [1, 3, 4]
        assert bench.engine.namespace.names() == ()


async def test_a_command_aside_whose_session_ends() -> None:
    """It ends with it, and what waits behind it."""
    bench = Bench()
    payload, _ = large_bindings(1)
    async with bench.session() as client:
        await client.say(
            Command(id=1, code="None", bindings=payload, aside=True),
            Release(names=("x",)),
            Command(id=2, code="2", after=(1,)),
        )
        await client.pong()
    assert bench.engine.queue.count == 0


async def test_memory_that_nobody_shares() -> None:
    """A client that says where a buffer lies, and has shown no such place, is cut off."""
    bench = Bench()
    async with bench.session() as client:
        await client.say(Placed(id="1-0", segment="0" * 32, offset=0, size=64))
        assert "shares no memory" in (await client.hear(Goodbye)).reason


async def test_another_session_does_not_wait() -> None:
    """A session whose data is on the way holds back none but itself."""
    bench = Bench()
    payload, _ = large_bindings(1)
    async with bench.session("slow") as slow, bench.session("quick") as quick:
        await slow.say(Command(id=1, code="len(x)", bindings=payload))
        await slow.pong()
        await quick.say(Command(id=1, code="7"))
        await bench.work(quick)
        assert value_of(await quick.hear(Completed)) == 7


async def test_cancelled_while_its_data_is_on_the_way() -> None:
    """Such a command is finished at once; its data is let go of when it has come."""
    bench = Bench()
    payload, data = large_bindings(1)
    async with bench.session() as client:
        await client.say(Command(id=1, code="len(x)", bindings=payload))
        await client.pong()
        await client.say(Cancel(id=1), Command(id=2, code="2"))
        assert (await client.hear(Cancelled)).id == 1
        await client.bulk.send("1-0", data)
        await until(lambda: bench.executor.pending == 1)
        bench.executor.run_all()
        assert (await client.hear(Completed)).id == 2
        assert client.peer.buffers.store._arrivals == {}


async def test_cancelled_because_its_data_will_not_come() -> None:
    """Those behind it go at once, one that waits for its place likewise; late data is dropped."""
    bench = Bench()
    async with bench.session() as client:
        for number in (1, 2):
            payload, _ = large_bindings(number)
            await client.say(Command(id=number, code="len(x)", bindings=payload))
        await client.say(Command(id=3, code="3"))
        await client.pong()
        await client.say(Cancel(id=2, lacking=True), Cancel(id=1, lacking=True))
        assert [(await client.hear(Cancelled)).id for _ in range(2)] == [2, 1]
        await until(lambda: bench.executor.pending == 1)
        bench.executor.run_all()
        assert (await client.hear(Completed)).id == 3
        await client.bulk.send("1-0", large_bindings(1)[1])
        assert client.peer.buffers.store._arrivals == {}


@pytest.mark.parametrize("size", [LARGE - 1, LARGE + 1])
async def test_data_of_another_size(size: int, caplog: pytest.LogCaptureFixture) -> None:
    """A client whose data is not what its command says is cut off, and the log says why."""
    bench = Bench()
    payload, _ = large_bindings(1)
    client = bench.dial()
    await client.say(hello(), Command(id=1, code="len(x)", bindings=payload))
    await client.hear(Accepted)
    with caplog.at_level(logging.WARNING):
        await client.bulk.send("1-0", bytes(size))
        await client.end()
    assert f"session s is cut off: bulk buffer 1-0 has {size} bytes, not" in caplog.text
    assert f"bulk buffer 1-0 has {size} bytes, not" in goodbye_of(client)
    assert bench.engine.queue.count == 0


async def test_bulk_to_the_client() -> None:
    """A value's large buffers wait to be fetched until its outcome is acknowledged."""
    bench = Bench()
    async with bench.session() as client:
        await client.say(Command(id=1, code=f"bytes({LARGE})"))
        await bench.work(client)
        completed = await client.hear(Completed)
        (ref,) = completed.value.buffers
        assert isinstance(ref, BulkRef)
        assert await client.bulk.receive(ref.id, ref.size) == bytes(LARGE)
        await client.say(Acknowledge(ids=(1,)))
        await client.pong()
        with pytest.raises(ChannelClosed):
            await client.bulk.receive(ref.id, ref.size)


# --- the end -----------------------------------------------------------------------------


@pytest.mark.parametrize("polite", [True, False])
async def test_queued_commands_end_with_the_connection(polite: bool) -> None:
    """A session's queued commands never run once it is gone, however it went."""
    bench = Bench()
    client = bench.dial()
    await client.say(hello(), Command(id=1, code="ran = True"))
    await client.hear(Accepted)
    await until(lambda: bench.executor.pending == 1)
    if polite:
        await client.say(Goodbye())
    else:
        await client.channel.close()
    await client.serving
    bench.executor.run_all()
    assert bench.engine.namespace.names() == ()
    assert bench.engine.queue.count == 0


async def test_a_running_command_outlives_its_connection() -> None:
    """A command that runs when the connection ends finishes, for nobody, and makes room."""
    bench = Bench()
    client = bench.dial()
    await client.say(hello(), Command(id=1, code=f"ran = True; bytes({LARGE})"))
    await client.hear(Accepted)
    await until(lambda: bench.executor.pending == 1)
    bench.executor.run_all()  # what came of it has not been delivered yet
    client.peer._close()
    await until(lambda: bench.engine.queue.count == 0)
    assert client.peer.buffers.store._offers == {}
    assert bench.engine.namespace.names() == ("ran",)
    await client.channel.close()
    await client.serving


async def test_what_was_told_last_is_written() -> None:
    """Answers to what stands ahead of a goodbye still leave."""
    bench = Bench()
    client = bench.dial()
    await client.say(hello(), Ping(nonce=3), Goodbye())
    await client.end()
    assert Pong(nonce=3) in client.heard


async def test_a_broken_protocol(caplog: pytest.LogCaptureFixture) -> None:
    """A client that breaks the protocol is cut off, and the log says why; others go on."""
    bench = Bench()
    async with bench.session("good") as good:
        bad = bench.dial()
        await bad.say(hello("bad"), Command(id=2, code="1"))
        await bad.hear(Accepted)
        with caplog.at_level(logging.WARNING):
            await bad.say(Command(id=0, code="1"))
            await bad.end()
        assert "session bad is cut off: command id 0" in caplog.text
        assert "does not keep to the protocol: command id 0" in goodbye_of(bad)
        assert bench.registry == {"good": good.peer}
        await good.pong()


async def test_no_frame(caplog: pytest.LogCaptureFixture) -> None:
    """A client that sends what is no frame is cut off."""
    client = Bench().dial()
    assert client.channel._peer is not None
    with caplog.at_level(logging.WARNING):
        client.channel._peer._inbox.put_nowait(b"GET / HTTP/1.1\r\n\r\n")
        await client.end()
    assert "no frame" in caplog.text


def arrays(number: int) -> tuple[Command, Payload, dict[str, Buffer]]:
    """Return a command with 1 MiB beside it, and that."""
    value = encode({"x": np.ones(MIB, np.uint8)}, path="bindings")
    payload, bulk = split(value, prefix=f"{number}")
    return Command(id=number, code="int(x.sum())", bindings=payload), payload, bulk


async def test_a_streamed_buffer_is_used_again() -> None:
    """The worker tells its digest, and the client's word stands for the second upload."""
    bench = Bench()
    async with bench.session() as client:
        first, _, bulk = arrays(1)
        await client.say(first)
        landing = client.peer.buffers.store.landing("1-0", MIB)
        assert landing is not None
        landing.data[:] = memoryview(bulk["1-0"])
        client.peer.buffers.store.landed("1-0")
        await bench.work(client)
        assert decode((await client.hear(Completed)).value) == MIB
        await client.say(arrays(2)[0], Recall(id="2-0", kept="1-0"))
        told = await client.hear(Digest)
        assert told == Digest(id="2-0", digest=hashlib.sha256(bulk["1-0"]).hexdigest())
        await client.say(Reuse(id="2-0"), InfoRequest(id=1))
        assert (await client.hear(Info)).info["transfers"]["kept"] == MIB
        await bench.work(client)
        assert decode((await client.hear(Completed)).value) == MIB
        await client.say(Recall(id="", kept="1-0"), Recall(id="3-0", kept="1-0"))
        assert (await client.hear(Digest)).digest == ""


async def test_reuse_of_what_was_not_recalled() -> None:
    """It breaks the protocol."""
    async with Bench().session() as client:
        await client.say(Reuse(id="2-0"))
        assert "never recalled" in (await client.hear(Goodbye)).reason
        await client.end()


async def test_what_it_tells_in_its_welcome() -> None:
    """How much it keeps, and how much it takes."""
    client = Bench().dial()
    await client.say(hello())
    welcome = await client.hear(Welcome)
    assert (welcome.keeps, welcome.largest) == (4 * MIB, 9 * MIB)
    await client.channel.close()
    await client.serving


async def test_a_result_that_the_client_does_not_take() -> None:
    """Its command fails, with both sizes and what to do."""
    bench = Bench()
    client = bench.dial()
    await client.say(replace(hello(), largest=1000))
    await client.say(Command(id=1, code="b'x' * 1001"), Command(id=2, code="b'x' * 900"))
    await bench.work(client)
    failed = await client.hear(Failed)
    assert failed.fault.type == "asyncbridge.errors.TooLarge"
    assert "the limit is 1000: ask for parts of it" in failed.fault.message
    assert (await client.hear(Completed)).id == 2
    await client.channel.close()
    await client.serving

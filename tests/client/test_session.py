from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio

from asyncbridge.client.drafts import Bindings, Unwritten
from asyncbridge.client.naming import dependencies
from asyncbridge.client.output import OutputRouter
from asyncbridge.client.pending import Pending
from asyncbridge.client.rejections import Rejections
from asyncbridge.client.session import Session
from asyncbridge.errors import (
    AsyncBridgeError,
    BridgeClosed,
    ConnectError,
    DependencyError,
    ProtocolVersionError,
    RemoteError,
    SerializationError,
    WorkerLost,
    WorkerStartError,
)
from asyncbridge.lifetime import Finalizers
from asyncbridge.promise import OutputLine, Promise
from asyncbridge.promise.progress import WatchedPromise
from asyncbridge.protocol import messages as m
from asyncbridge.protocol.limits import DEFAULT_BACKLOG, FRAME_BYTES
from asyncbridge.serialization.codec import encode
from asyncbridge.serialization.deferred import Outgoing, Undecided, whole
from asyncbridge.serialization.drafts import Draft
from asyncbridge.serialization.frames import pack, unpack
from asyncbridge.transport.contract import Bulk, Channel, ChannelClosed, Link
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from asyncbridge.client.held import Held
    from asyncbridge.errors import AsyncBridgeError

pytestmark = pytest.mark.asyncio

WELCOME = m.Welcome(
    version=m.PROTOCOL_VERSION, incarnation="i", window=2, window_bytes=1 << 20,
    frame_bytes=1 << 20, state="ready",
)  # fmt: skip


class ScriptedChannel(Channel):
    """A worker's end that says what the test tells it to; ``slow`` makes writing wait."""

    def __init__(self) -> None:
        self.written: list[m.Message] = []
        self.inbox: asyncio.Queue[list[m.Message] | Exception] = asyncio.Queue()
        self.slow: asyncio.Event | None = None
        self.closed = False

    def say(self, *messages: m.Message) -> None:
        """Let the client read these."""
        self.inbox.put_nowait(unpack(pack(messages), max_bytes=FRAME_BYTES))

    def fail(self, error: Exception) -> None:
        """Let the client's next read fail."""
        self.inbox.put_nowait(error)

    async def write(self, messages: Sequence[m.Message]) -> None:
        self.written.extend(messages)
        if self.slow is not None:
            await self.slow.wait()

    async def read(self) -> list[m.Message]:
        got = await self.inbox.get()
        if isinstance(got, Exception):
            raise got
        return got

    async def close(self) -> None:
        self.closed = True


class ScriptedBulk(Bulk):
    """Buffers that are there, or not."""

    def __init__(self) -> None:
        self.sent: dict[str, bytes] = {}
        self.offered: dict[str, bytearray] = {}

    async def send(self, buffer_id: str, buffer: Outgoing) -> None:
        self.sent[buffer_id] = bytes(whole(buffer))

    async def receive(self, buffer_id: str, size: int) -> bytearray:
        if buffer_id not in self.offered:
            raise ChannelClosed("gone")
        return self.offered[buffer_id]

    def close(self) -> None:
        self.closed = True


class Gated(Undecided):
    """A buffer that is looked at once the test says so."""

    def __init__(self, content: bytes) -> None:
        self.nbytes = len(content) + 1000
        self.content = content
        self.gate = threading.Event()

    def decide(self) -> tuple[Outgoing, None]:
        self.gate.wait()
        return self.content, None

    def draft(self) -> Draft:
        """Return bindings that are made of it."""
        return Draft(header=b'{"x":{"$":"bytes","b":0}}', buffers=(self,), size=self.nbytes + 25)


class Rig:
    """A session on a scripted worker."""

    def __init__(self) -> None:
        self.channel, self.bulk = ScriptedChannel(), ScriptedBulk()
        self.released: deque[int] = deque()
        self.recounted: list[tuple[int, int]] = []
        self.ended = 0
        self.promises: list[Promise[Any]] = []
        self.verdicts: list[str] = []
        self.output = OutputRouter()
        self.home = Rejections()
        self.session = Session(
            name="s", link=Link(channel=self.channel, bulk=self.bulk), backlog=DEFAULT_BACKLOG,
            output=self.output, finalizers=Finalizers(lambda: None),
            released=self.released.append, verdict=self.verdict, ended=self.end,
            recounted=lambda before, size: self.recounted.append((before, size)),
        )  # fmt: skip

    async def verdict(self, reason: str) -> WorkerLost:
        self.verdicts.append(reason)
        return WorkerLost("it died", signal="SIGKILL")

    def end(self, error: AsyncBridgeError) -> Held | None:
        self.ended += 1
        return None

    def send(
        self,
        value: object = None,
        promise: Promise[Any] | None = None,
        bindings: Bindings | None = None,
        after: Sequence[Promise[Any]] = (),
    ) -> Promise[Any]:
        """Submit a command."""
        if value is not None:
            bindings = encode({"x": value})
        if promise is None:
            promise = Promise(loop=asyncio.get_running_loop())
        item = Pending(
            promise, code="x", bindings=bindings, lifetime="command", label="", after=dependencies(after, self.home), home=self.home, annotate=None, origin="here",
        )  # fmt: skip
        promise._attach(item)
        self.session.submit(item)
        self.promises.append(promise)
        return promise

    def sent(self, kind: type[m.Message]) -> list[Any]:
        """Return what was written of one kind."""
        return [message for message in self.channel.written if isinstance(message, kind)]


def log_of(promise: Promise[Any]) -> list[OutputLine]:
    """Return the lines that are there."""
    return promise.output()._log.events


async def turns() -> None:
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    """Return a session that is open."""
    rig = Rig()
    rig.channel.say(WELCOME)
    await rig.session.open()
    yield rig
    await rig.session.close()
    for promise in rig.promises:  # seen to: not each test is about each promise
        if promise.done() and not promise.cancelled():
            promise.exception()


def completed(number: int, value: object) -> m.Completed:
    """Return a worker's notification."""
    return m.Completed(id=number, value=encode(value))


async def test_a_refusal_is_raised_by_opening() -> None:
    """By its kind."""
    for code, error in (("session", ConnectError), ("version", ProtocolVersionError)):
        rig = Rig()
        rig.channel.say(m.Refused(code=code, message="no"))  # type: ignore[arg-type]
        with pytest.raises(error, match="no"):
            await rig.session.open()


async def test_a_connection_that_ends_at_the_hello_is_a_connect_error() -> None:
    """With the channel's own words."""
    rig = Rig()
    rig.channel.fail(ChannelClosed("reset"))
    with pytest.raises(ConnectError, match="reset"):
        await rig.session.open()


async def test_commands_leave_as_the_window_allows(rig: Rig) -> None:
    """The rest waits in the client until an outcome makes room."""
    promises = [rig.send() for _ in range(3)]
    await turns()
    assert [c.id for c in rig.sent(m.Command)] == [1, 2]
    rig.channel.say(m.Accepted(ids=(1, 2)), m.Started(id=1), completed(1, "one"))
    assert await promises[0] == "one"
    await turns()
    assert [c.id for c in rig.sent(m.Command)] == [1, 2, 3]


async def test_what_a_command_prints_is_told_by_its_promise(rig: Rig) -> None:
    """All of it before its outcome; what comes behind that is the bridge's alone."""
    first, second = rig.send(), rig.send()
    reader = rig.output.reader(asyncio.get_running_loop())
    rig.channel.say(
        m.Accepted(ids=(1, 2)),
        m.Started(id=1),
        m.Output(id=1, stream="stdout", text="one\nhal"),
        m.Output(id=None, stream="stderr", text="the worker\n"),
        m.Output(id=1, stream="stdout", text="f"),
        completed(1, 0),
        m.Output(id=1, stream="stdout", text="behind\n"),
        m.Output(id=2, stream="stderr", text="two\n"),
        m.Cancelled(id=2),
    )
    seen = await first.then(lambda _: [line.text for line in log_of(first)])
    await turns()
    assert seen == [line.text for line in log_of(first)] == ["one", "half"]
    assert [line.text for line in log_of(second)] == ["two"]
    rig.output.end()
    everyone = [line.text async for line in reader]
    assert everyone == ["one", "the worker", "half", "behind", "two"]


async def test_room_is_given_back_for_every_command_that_has_left(rig: Rig) -> None:
    """Once each."""
    for _ in range(3):
        rig.send()
    await turns()
    assert list(rig.released) == [1, 1]


async def test_room_is_given_back_when_the_outcome_is_faster_than_the_write(rig: Rig) -> None:
    """A frame may be read and answered while the client still waits for the socket's buffer."""
    rig.channel.slow = asyncio.Event()
    promise = rig.send()
    await turns()
    rig.channel.say(m.Accepted(ids=(1,)), m.Started(id=1), completed(1, "fast"))
    assert await promise == "fast"
    rig.channel.slow.set()
    await turns()
    assert list(rig.released) == [1]


async def test_large_buffers_go_by_the_bulk_lane(rig: Rig) -> None:
    """The command has references in their place."""
    rig.send(bytes(100_000))
    await turns()
    (command,) = rig.sent(m.Command)
    (ref,) = command.bindings.buffers
    assert rig.bulk.sent == {ref.id: bytes(100_000)}


async def left(rig: Rig, count: int) -> None:
    """Wait until commands have been written."""
    async with asyncio.timeout(HANG_S):
        while len(rig.sent(m.Command)) < count:
            await asyncio.sleep(0)


async def test_a_command_waits_until_its_bindings_are_looked_through(rig: Rig) -> None:
    """In its place: those behind it wait along, and room is given back as it was taken."""
    gated = Gated(b"z" * 100_000)
    rig.send(bindings=gated.draft())
    rig.send()
    await turns()
    assert rig.sent(m.Command) == []
    assert rig.session.protocol.backlogged == 2
    gated.gate.set()
    await left(rig, 2)
    await turns()
    first, second = rig.sent(m.Command)
    assert (first.id, second.id) == (1, 2)
    assert first.bindings.buffers == (m.BulkRef(id="1-0", size=100_000),)
    assert rig.bulk.sent == {"1-0": b"z" * 100_000}
    assert list(rig.released) == [1 + gated.draft().size, 1]


async def test_what_comes_out_small_travels_with_its_command(rig: Rig) -> None:
    """As the columns of a short one-hot matrix do."""
    gated = Gated(b"z")
    gated.gate.set()
    rig.send(bindings=gated.draft())
    await left(rig, 1)
    assert rig.sent(m.Command)[0].bindings.buffers == (b"z",)
    assert rig.bulk.sent == {}


async def test_a_command_is_cancelled_while_it_is_looked_through(rig: Rig) -> None:
    """Nothing of it is sent, and the next one goes at once."""
    gated = Gated(b"z")
    promise = rig.send(bindings=gated.draft())
    rig.send()
    await turns()
    assert promise.cancel()
    await left(rig, 1)
    gated.gate.set()
    await rig.session._transfers.apart(str, 0)  # the thread is free, so it has come to its end
    await turns()
    assert promise.cancelled()
    assert [command.id for command in rig.sent(m.Command)] == [2]


async def test_the_session_ends_while_a_command_is_looked_through(rig: Rig) -> None:
    """The promise is rejected, and what the thread comes to is dropped."""
    gated = Gated(b"z")
    promise = rig.send(bindings=gated.draft())
    await turns()
    await rig.session.close()
    gated.gate.set()
    with pytest.raises(BridgeClosed):
        await promise
    assert rig.sent(m.Command) == []


async def test_bindings_that_are_written_later(rig: Rig) -> None:
    """Their command keeps its place, and counts for what they are once that is known."""
    gate = threading.Event()

    def write() -> m.Payload:
        gate.wait()
        return encode({"x": "y" * 100})

    rig.send(bindings=Unwritten(write, {}))
    rig.send()
    await turns()
    assert rig.sent(m.Command) == []
    gate.set()
    await left(rig, 2)
    first, second = rig.sent(m.Command)
    assert (first.id, second.id) == (1, 2)
    size = 1 + first.bindings.size
    assert rig.recounted == [(1 + Unwritten.size, size)]
    assert list(rig.released) == [size, 1]


async def test_bindings_that_cannot_be_written(rig: Rig) -> None:
    """The promise is rejected, what depends on it fails with it, and the session goes on."""

    def write() -> m.Payload:
        return encode({"x": object()}, path="bindings")

    promise = rig.send(bindings=Unwritten(write, {"x": "argument 0"}))
    dependent = rig.send(after=[promise])
    other = rig.send()
    with pytest.raises(SerializationError, match=r"^argument 0: object of type object"):
        await promise
    with pytest.raises(DependencyError, match="argument 0: object of type object"):
        await dependent
    await left(rig, 1)
    assert [command.id for command in rig.sent(m.Command)] == [3]
    assert list(rig.released) == [1 + Unwritten.size, 1, 1]
    rig.channel.say(m.Accepted(ids=(3,)), m.Started(id=3), completed(3, "there"))
    assert await other == "there"


async def test_what_depends_on_a_failure_and_has_left_is_the_workers_to_fail(rig: Rig) -> None:
    """It is not told to stop it: that would be a cancellation, and the cause would be lost."""
    failing = rig.send()
    dependent = rig.send(after=[failing])
    await left(rig, 2)
    rig.channel.say(m.Failed(id=1, fault=m.Fault(type="ValueError", message="no")))
    with pytest.raises(RemoteError, match="no"):
        await failing
    await turns()
    assert rig.sent(m.Cancel) == []
    assert not dependent.done()


async def test_a_value_of_few_bytes_that_is_much_work_is_read_in_a_thread(rig: Rig) -> None:
    """Such as a one-hot matrix: nothing of it comes by the bulk lane."""
    matrix = np.zeros((1000, 250), np.float32)
    matrix[np.arange(1000), np.arange(1000) % 250] = 1
    promise = rig.send()
    await turns()
    rig.channel.say(m.Accepted(ids=(1,)), m.Started(id=1), completed(1, matrix))
    await turns()
    assert rig.session._transfers._copiers is not None
    np.testing.assert_array_equal(await promise, matrix, strict=True)
    rig.send()
    await left(rig, 2)
    assert rig.sent(m.Acknowledge) == [m.Acknowledge(ids=(1,))]


async def test_a_large_value_is_fetched_before_its_promise_is_fulfilled(rig: Rig) -> None:
    """And nothing is lost when it cannot be."""
    for fetched in (True, False):
        promise = rig.send()
        await turns()
        number = promise.command_id
        assert number is not None
        rig.bulk.offered = {"b": bytearray(b"z" * 100_000)} if fetched else {}
        whole = encode(b"z" * 100_000)
        value = m.Payload(
            header=whole.header, buffers=(m.BulkRef(id="b", size=100_000),), size=whole.size
        )
        rig.channel.say(
            m.Accepted(ids=(number,)), m.Started(id=number), m.Completed(id=number, value=value)
        )
        if fetched:
            assert await promise == b"z" * 100_000
        else:
            with pytest.raises(WorkerLost) as caught:
                await promise
            assert caught.value.phase == "finished_unreported"


async def test_a_failure_is_a_remote_error_with_its_origin(rig: Rig) -> None:
    """Where the command was sent."""
    promise = rig.send()
    await turns()
    rig.channel.say(m.Failed(id=1, fault=m.Fault(type="ValueError", message="no")))
    with pytest.raises(RemoteError, match="sent from here"):
        await promise


async def test_a_second_outcome_is_ignored(rig: Rig) -> None:
    """It is observed once."""
    promise = rig.send()
    await turns()
    rig.channel.say(completed(1, "a"), completed(1, "b"))
    assert await promise == "a"
    await turns()
    assert not rig.session.closed.done()


async def test_an_end_of_the_connection_asks_how_the_worker_ended(rig: Rig) -> None:
    """Everything unfinished is rejected with that, once."""
    promises = [rig.send() for _ in range(3)]
    info = asyncio.ensure_future(rig.session.info())  # noqa: TID251 - looked at later
    await turns()
    rig.channel.say(m.Accepted(ids=(1, 2)), m.Started(id=1))
    await turns()
    rig.channel.fail(ChannelClosed("reset"))
    await turns()
    assert rig.verdicts == ["reset"]
    phases = []
    for promise in promises:
        with pytest.raises(WorkerLost, match="it died") as caught:
            await promise
        phases.append(caught.value.phase)
    assert phases == ["started", "unknown", "not_started"]
    with pytest.raises(WorkerLost):
        await info
    assert rig.ended == 1
    with pytest.raises(BridgeClosed):
        rig.send()


@pytest.mark.parametrize(
    "message",
    [
        m.Completed(id=9, value=encode(1)),
        m.Started(id=9),
        m.Failed(id=9, fault=m.Fault(type="E", message="")),
        m.Pong(nonce=1),
        m.Info(id=9, info={}),
    ],
)
async def test_what_nobody_asked_for_is_ignored(rig: Rig, message: m.Message) -> None:
    """An outcome of a command that is unknown may be a late one."""
    rig.channel.say(message)
    await turns()
    assert not rig.session.closed.done()


@pytest.mark.parametrize("message", [m.Ping(nonce=1), WELCOME])
async def test_a_breach_of_the_protocol_ends_the_session(rig: Rig, message: m.Message) -> None:
    """With the breach in the text."""
    promise = rig.send()
    await turns()
    rig.channel.say(message)
    with pytest.raises(WorkerLost, match="broke the protocol"):
        await promise


async def test_a_value_that_is_no_value_rejects_its_own_promise_alone(rig: Rig) -> None:
    """The others go on."""
    bad, good = rig.send(), rig.send()
    await turns()
    value = m.Payload(header={"$": "nonsense"})
    rig.channel.say(m.Completed(id=1, value=value), completed(2, "good"))
    with pytest.raises(AsyncBridgeError):
        await bad
    assert await good == "good"


async def test_a_report_that_cannot_be_read_is_left_out(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; the command, and its other reports, go on."""
    promise = WatchedPromise[object](loop=asyncio.get_running_loop())
    rig.send(promise=promise)
    await turns()
    for header in ({"$": "nonsense"}, "good"):
        rig.channel.say(m.Progress(id=1, value=m.Payload(header=header)))
    rig.channel.say(m.Progress(id=99, value=m.Payload(header="of none")), completed(1, 3))
    assert await promise == 3
    assert [value async for value in promise.progress()] == ["good"]
    assert "a report of" in caplog.text


async def test_a_backend_that_failed_rejects_what_waits_and_what_comes(rig: Rig) -> None:
    """And gives its room back, what never left the client included."""
    promises = [rig.send() for _ in range(4)]
    await turns()
    fault = m.Fault(type="ImportError", message="no libcuda", text="Traceback")
    rig.channel.say(m.StateChanged(state="failed", fault=fault))
    await turns()
    promises.append(rig.send())
    for promise in promises:
        with pytest.raises(WorkerStartError, match="no libcuda"):
            await promise
    assert len(rig.released) == 5


async def test_a_goodbye_of_the_worker_ends_the_session(rig: Rig) -> None:
    """With its reason."""
    promise = rig.send()
    await turns()
    rig.channel.say(m.Goodbye(reason="shutting down"))
    with pytest.raises(WorkerLost, match="shutting down"):
        await promise


async def test_closing_says_goodbye_and_rejects_what_is_unfinished(rig: Rig) -> None:
    """Acknowledgements go ahead of it."""
    done, unfinished = rig.send(), rig.send()
    await turns()
    rig.channel.say(completed(1, 1))
    await done
    await rig.session.close()
    with pytest.raises(BridgeClosed, match="before the command had finished: command 2"):
        await unfinished
    assert [type(message) for message in rig.channel.written[-2:]] == [m.Acknowledge, m.Goodbye]
    assert rig.channel.closed


async def test_closing_does_not_wait_for_a_worker_that_reads_no_more(rig: Rig) -> None:
    """A goodbye is a courtesy."""
    rig.channel.slow = asyncio.Event()
    async with asyncio.timeout(HANG_S):
        await rig.session.close()
    assert rig.channel.closed


async def test_a_cancel_asks_the_worker_whose_answer_decides(rig: Rig) -> None:
    """A command that has left the client is pending until then."""
    promise = rig.send()
    await turns()
    assert promise.cancel()
    await turns()
    assert rig.sent(m.Cancel) == [m.Cancel(id=1)]
    assert not promise.done()
    rig.channel.say(m.Cancelled(id=1))
    with pytest.raises(asyncio.CancelledError):
        await promise


async def test_a_cancel_that_comes_too_late_leaves_the_value(rig: Rig) -> None:
    """The command had finished by then."""
    promise = rig.send()
    await turns()
    assert promise.cancel()
    rig.channel.say(completed(1, "there"))
    assert await promise == "there"


async def test_the_times_of_a_command_are_those_of_its_notifications(rig: Rig) -> None:
    """It began when the worker says so; its place in the queue is told while it waits there."""
    first, second = rig.send(), rig.send()
    await turns()
    assert (second.state, second.position) == ("pending", 1)
    rig.channel.say(m.Accepted(ids=(1, 2)))
    await turns()
    assert [(each.state, each.position) for each in (first, second)] == [
        ("queued", 0),
        ("queued", 1),
    ]
    assert (first.ran_for, second.ran_for) == (None, None)
    rig.channel.say(m.Started(id=1))
    await turns()
    assert first.ran_for is not None
    assert second.ran_for is None
    rig.channel.say(m.Completed(id=1, value=encode(None)))
    await first
    assert first.ran_for == first.ran_for
    assert second.position == 0

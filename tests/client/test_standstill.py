"""Waits that can never end are ended, and no others: with a fake worker and its real queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest

import asyncbridge
from asyncbridge.client import Bridge
from asyncbridge.client.standstill import Standstill
from asyncbridge.decisions import Ignore
from asyncbridge.errors import DeadlockError, RemoteError, SourceError
from asyncbridge.models.mirrors.prediction import Prediction
from asyncbridge.promise import Promise
from asyncbridge.protocol.limits import Bound
from asyncbridge.tasks import spawn
from asyncbridge.testing import FakeWorker
from tests.limits import HANG_S

pytestmark = pytest.mark.usefixtures("no_leaks", "impatient")

PARTS = """
from asyncbridge.worker import parts
def predict(count):
    if not parts.are_wanted():
        return list(range(count))
    for number in range(count):
        parts.give(number)
"""
MANY = 100


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let both sides look soon."""
    monkeypatch.setattr("asyncbridge.worker.streams.TELL_AFTER_S", 0.001)
    monkeypatch.setattr("asyncbridge.worker.parts.TELL_AFTER_S", 0.001)
    monkeypatch.setattr("asyncbridge.client.standstill.LOOK_EVERY_S", 0.001)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Awaitable[None]]:
    """Return what waits until a standstill was looked at several times."""
    looks = 0
    look = Standstill._look

    def counted(standstill: Standstill) -> None:
        nonlocal looks
        look(standstill)
        looks += 1

    async def some() -> None:
        until = looks + 5
        while looks < until:
            await asyncio.sleep(0)

    monkeypatch.setattr(Standstill, "_look", counted)
    return some


def predict(bridge: Bridge, count: int = MANY) -> Prediction:
    """Send what stands for a prediction."""
    bridge.send(PARTS)
    factory = partial(Prediction, batch_size=1)
    promise: Any = bridge.send(f"predict({count})", name="predict", promise_factory=factory)
    assert isinstance(promise, Prediction)
    return promise


def total(bridge: Bridge, source: object) -> Promise[Any]:
    """Send a command that goes through a stream."""
    items = {"items": asyncbridge.stream(source)}  # type: ignore[arg-type]
    return bridge.send("sum(items)", items, name="total")


async def one_later(bridge: Bridge) -> int:
    """Await a command that is sent now."""
    value: int = await bridge.send("1", name="later")
    return value


async def gathered(bridge: Bridge) -> int:
    """Await two."""
    return sum(await asyncio.gather(bridge.send("1", name="later"), bridge.send("2")))


async def in_a_task(bridge: Bridge) -> int:
    """Await one in a task."""
    return await spawn(one_later(bridge), name="later")


async def chained(bridge: Bridge) -> int:
    """Await what is derived from one."""
    value: int = await bridge.send("1", name="later").then(abs)
    return value


async def without_a_limit(bridge: Bridge) -> int:
    """Await one by a method."""
    value: int = await bridge.send("1", name="later").wait()
    return value


WAITS = [one_later, gathered, in_a_task, chained, without_a_limit]


# --- what can never come -----------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("wait", WAITS)
async def test_in_a_source(wait: Callable[[Bridge], Awaitable[int]]) -> None:
    """The source is told what it awaits, and why in vain; the bridge goes on."""

    async def source() -> AsyncIterator[int]:
        yield 1
        yield await wait(bridge)

    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:
        with pytest.raises(SourceError) as caught:
            await total(bridge, source())
        assert isinstance(caught.value.__cause__, DeadlockError)
        told = str(caught.value.__cause__)
        assert told.startswith("later (number 2, sent from ")
        assert "it runs after total (number 1, " in told
        assert "which waits for the source of items, which waits here" in told
        assert await bridge.send("1 + 1") == 2


@pytest.mark.asyncio
async def test_a_source_may_go_on() -> None:
    """The wait alone has failed: the command that it was for comes in its turn."""
    later: list[Promise[int]] = []

    async def source() -> AsyncIterator[int]:
        yield 1
        later.append(bridge.send("5"))
        with pytest.raises(DeadlockError):
            await later[0]
        yield 2

    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:
        assert await total(bridge, source()) == 3
        assert await later[0] == 5


@pytest.mark.asyncio
async def test_a_source_that_awaits_its_own_command() -> None:
    """It waits for itself."""

    async def source() -> AsyncIterator[int]:
        yield 1
        await sent[0]

    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:
        sent = [total(bridge, source())]
        with pytest.raises(
            SourceError, match=r"total \(number 1, .* ever: it waits for the source"
        ):
            await sent[0]


@pytest.mark.asyncio
async def test_a_source_of_predictions() -> None:
    """Parts of a command that comes behind are waited for in vain as well."""
    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:

        async def source() -> AsyncIterator[int]:
            async for part in predict(bridge):
                yield part

        with pytest.raises(SourceError, match=r"predict \(number 3, .* would be awaited for ever"):
            await total(bridge, source())


def test_in_a_source_of_a_script() -> None:
    """It is told in its thread."""

    def source() -> Iterator[int]:
        yield 1
        yield bridge.send("1", name="later").wait_for_value()

    with FakeWorker(threaded=True).connect() as bridge:
        with pytest.raises(SourceError, match=r"later \(number 2") as caught:
            total(bridge, source()).wait_for_value(timeout=HANG_S)
        assert isinstance(caught.value.__cause__, DeadlockError)


@pytest.mark.asyncio
@pytest.mark.parametrize("wait", WAITS)
async def test_in_a_loop_over_parts(wait: Callable[[Bridge], Awaitable[int]]) -> None:
    """The body is told, and may go on with the next part."""
    parts: list[int] = []
    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:
        async for part in predict(bridge):
            parts.append(part)
            if part == 3:
                with pytest.raises(DeadlockError, match="predict .*waits for the loop over its"):
                    await wait(bridge)
    assert parts == list(range(MANY))


@pytest.mark.asyncio
async def test_in_a_loop_over_a_generator_over_parts() -> None:
    """What stands between changes nothing."""
    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:

        async def doubled() -> AsyncIterator[int]:
            async for part in predict(bridge):
                yield 2 * part

        with pytest.raises(DeadlockError):
            async for _ in doubled():
                await one_later(bridge)


def test_in_a_loop_of_a_script() -> None:
    """As in a task."""
    worker = FakeWorker(threaded=True)
    worker.window = Bound(count=1, size=1000)
    with worker.connect() as bridge:
        held = asyncbridge.stream(iter(range(3)))
        bridge.send(PARTS)
        bridge.send("list(items)", {"items": held})
        parts = 0
        with pytest.raises(DeadlockError, match="later .*waits for the loop over its parts"):
            for _ in predict(bridge):
                parts += 1
                bridge.send("1", name="later").wait_for_value()
        assert parts == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("wait", WAITS)
async def test_in_a_handler_of_errors(wait: Callable[[Bridge], Awaitable[int]]) -> None:
    """It is told, and may decide all the same; what it has sent comes in its turn."""
    told: list[str] = []
    async with asyncio.timeout(HANG_S), FakeWorker().connect() as bridge:

        @bridge.on_error
        async def handler(error: RemoteError) -> Ignore:
            try:
                await wait(bridge)
            except DeadlockError as caught:
                told.append(str(caught))
            return Ignore("decided")

        failed, behind = bridge.send("1 / 0", name="zero"), bridge.send("2")
        assert (await failed, await behind) == ("decided", 2)
    (text,) = told
    assert text.startswith("later (number 3, sent from ")
    assert "it stands behind zero (number 1), which is halted until this handler has deci" in text


@pytest.mark.asyncio
async def test_in_a_handler_that_fails_by_it() -> None:
    """The error stands, and says so; also where it is the halted command that is awaited."""
    async with asyncio.timeout(HANG_S), FakeWorker().connect() as bridge:
        bridge.on_error(lambda error: bridge.send("1"))
        with pytest.raises(RemoteError, match="handler of errors failed: DeadlockError: the comm"):
            await bridge.send("1 / 0")
        sent: list[Promise[Any]] = []
        bridge.on_error(lambda error: sent[0])
        sent.append(bridge.send("1 / 0"))
        with pytest.raises(RemoteError, match="awaited for ever: it is halted until this handler"):
            await sent[0]


# --- what goes on ------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_source_that_has_given_enough() -> None:
    """Its command ends without the item that it waits with."""
    awaited: list[asyncio.Task[Any]] = []

    async def source() -> AsyncIterator[int]:
        yield 1
        awaited.append(asyncio.current_task())  # type: ignore[arg-type]
        await one_later(bridge)

    code = "import time\nfirst = next(iter(items))\ntime.sleep(0.05)\nfirst"
    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:
        assert await bridge.send(code, {"items": asyncbridge.stream(source())}) == 1
        assert awaited


@pytest.mark.asyncio
async def test_a_thread_of_the_command_that_waits() -> None:
    """The command itself may end."""

    async def source() -> AsyncIterator[int]:
        yield 1
        await one_later(bridge)

    code = (
        "import threading, time\nturn = iter(items)\nfirst = next(turn)\n"
        "threading.Thread(target=lambda: list(turn), daemon=True).start()\ntime.sleep(0.05)\nfirst"
    )
    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:
        assert await bridge.send(code, {"items": asyncbridge.stream(source())}) == 1


@pytest.mark.asyncio
async def test_a_source_with_a_limit(looked: Callable[[], Awaitable[None]]) -> None:
    """It goes on when its time is over."""
    limits: list[asyncio.Timeout] = []

    async def source() -> AsyncIterator[int]:
        yield 1
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(HANG_S) as limit:
                limits.append(limit)
                await one_later(bridge)
        yield 2

    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:
        promise = total(bridge, source())
        while not limits:
            await asyncio.sleep(0)
        await looked()
        limits[0].reschedule(0)
        assert await promise == 3


@pytest.mark.asyncio
async def test_a_command_with_a_limit(looked: Callable[[], Awaitable[None]]) -> None:
    """Its time-out is an outcome."""
    later: list[Promise[int]] = []

    async def source() -> AsyncIterator[int]:
        yield 1
        later.append(bridge.send("1", timeout=HANG_S))
        with pytest.raises(asyncio.CancelledError):
            await later[0]
        yield 2

    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:
        promise = total(bridge, source())
        while not later:
            await asyncio.sleep(0)
        await looked()
        later[0].cancel()
        assert await promise == 3


@pytest.mark.asyncio
async def test_a_handler_with_a_limit() -> None:
    """It goes on when its time is over; so does one whose command has a limit, or is cancelled."""

    async def limited() -> None:
        async with asyncio.timeout(0.01):
            await bridge.send("1")

    async def cancelled() -> None:
        promise = bridge.send("1")
        promise.cancel()
        await promise

    waits: list[Callable[[], Awaitable[object]]] = [
        limited,
        lambda: bridge.send("1", timeout=0.01),
        cancelled,
        lambda: other.send("1"),
        lambda: bridge.info().then(str),
    ]
    caught: list[type[BaseException]] = []
    async with (
        asyncio.timeout(HANG_S),
        FakeWorker(threaded=True).connect() as other,
        FakeWorker(threaded=True).connect() as bridge,
    ):

        @bridge.on_error
        async def handler(error: RemoteError) -> Ignore:
            for wait in waits:
                try:
                    await wait()
                except (Exception, asyncio.CancelledError) as ended:
                    caught.append(type(ended))
            return Ignore("decided")

        assert await bridge.send("1 / 0") == "decided"
    assert caught == [TimeoutError, TimeoutError, asyncio.CancelledError]


@pytest.mark.asyncio
async def test_another_bridge() -> None:
    """Its commands stand behind nothing."""
    async with (
        asyncio.timeout(HANG_S),
        FakeWorker(threaded=True).connect() as other,
        FakeWorker(threaded=True).connect() as bridge,
    ):

        async def source() -> AsyncIterator[int]:
            yield await one_later(other)

        assert await total(bridge, source()) == 1
        assert [await one_later(other) async for _ in predict(bridge)] == [1] * MANY


@pytest.mark.asyncio
async def test_a_command_that_was_sent_before() -> None:
    """It has ended, or will."""
    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:
        before = bridge.send("1")
        assert [await before async for _ in predict(bridge)] == [1] * MANY


@pytest.mark.asyncio
async def test_few_parts() -> None:
    """A prediction that has room for all of them ends meanwhile."""
    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:
        assert [await one_later(bridge) async for _ in predict(bridge, 4)] == [1] * 4


@pytest.mark.asyncio
async def test_a_task_of_its_own(looked: Callable[[], Awaitable[None]]) -> None:
    """What the loop does not wait for may wait for what comes behind."""
    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:
        tasks: list[asyncio.Task[int]] = []
        async for _ in predict(bridge):
            if not tasks:
                tasks.append(spawn(one_later(bridge), name="later"))
                await looked()
        assert await tasks[0] == 1


@pytest.mark.asyncio
async def test_another_reader(looked: Callable[[], Awaitable[None]]) -> None:
    """Who holds the iterator, too, may read on."""
    async with asyncio.timeout(HANG_S), FakeWorker(threaded=True).connect() as bridge:
        steps: list[AsyncIterator[int]] = []

        async def first() -> int:
            steps.append(aiter(predict(bridge)))
            await anext(steps[0])
            return await one_later(bridge)

        waiting = spawn(first(), name="the first reader")
        await looked()
        assert len([part async for part in steps[0]]) == MANY - 1
        assert await waiting == 1

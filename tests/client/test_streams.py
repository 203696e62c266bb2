"""Streams through a fake worker: real frames, real queue, a thread for the commands."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator

import numpy as np
import pytest

import asyncbridge
from asyncbridge.client import Bridge
from asyncbridge.errors import RemoteError, SourceError, WorkerLost
from asyncbridge.protocol.streams import AHEAD, SMALL_AHEAD
from asyncbridge.testing import FakeWorker
from tests.limits import HANG_S

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]

SUM = "sum(int(batch.sum()) for batch in batches)"


def threaded() -> FakeWorker:
    """Return a worker whose commands may wait for items."""
    return FakeWorker(threaded=True)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something holds."""
    async with asyncio.timeout(HANG_S):
        while not condition():
            await asyncio.sleep(0)


class Watched:
    """Sources that tell what becomes of them."""

    def __init__(self) -> None:
        self.given = 0
        self.closed: list[str] = []
        self.stuck = asyncio.Event()
        self.threads: set[str] = set()

    def forever(self, rows: int = 1) -> Iterator[np.ndarray]:
        """Give arrays without end."""
        try:
            while True:
                self.given += 1
                self.threads.add(threading.current_thread().name)
                yield np.ones(rows)
        finally:
            self.closed.append(threading.current_thread().name)

    async def then_nothing(self, count: int) -> AsyncIterator[np.ndarray]:
        """Give some arrays, then let everybody wait."""
        try:
            for _ in range(count):
                self.given += 1
                yield np.ones(1)
            self.stuck.set()
            await asyncio.get_running_loop().create_future()
        finally:
            task = asyncio.current_task()
            assert task is not None
            self.closed.append(task.get_name())


async def test_a_generator_flows() -> None:
    """The command's code goes through it as through any iterable; it is advanced in a thread."""
    source = Watched()

    def thousand() -> Iterator[np.ndarray]:
        for _, batch in zip(range(1000), source.forever(), strict=False):
            yield batch

    async with threaded().connect() as bridge:
        total = await bridge.send(SUM, {"batches": asyncbridge.stream(thousand())})
    assert total == 1000
    assert source.threads == {"asyncbridge-source"}


@pytest.mark.parametrize("rows", [10, 20_000])
async def test_an_asynchronous_generator_flows(rows: int) -> None:
    """It is advanced on the loop; large arrays come whole as well."""

    async def some() -> AsyncIterator[np.ndarray]:
        for number in range(50):
            await asyncio.sleep(0)
            yield np.full(rows, number)

    async with threaded().connect() as bridge:
        total = await bridge.send(SUM, {"batches": asyncbridge.stream(some())})
    assert total == sum(range(50)) * rows


async def test_values_of_any_kind_flow() -> None:
    """Whatever has a wire form, with its exact type."""
    items = [1, "text", (2.5, None), {"a": np.arange(3)}]
    async with threaded().connect() as bridge:
        told = await bridge.send("[repr(i) for i in items]", {"items": asyncbridge.stream(items)})
    assert told == [repr(item) for item in items]


async def test_turns() -> None:
    """A list begins anew each time; a generator goes on where it was, and is used up once."""
    code = "first = next(iter(items)); [first, list(items), list(items)]"
    async with threaded().connect() as bridge:
        again = await bridge.send(code, {"items": asyncbridge.stream([1, 2, 3])})
        once = await bridge.send(code, {"items": asyncbridge.stream(iter([1, 2, 3]))})
        length = await bridge.send("len(items)", {"items": asyncbridge.stream([1, 2, 3])})
    assert again == [1, [1, 2, 3], [1, 2, 3]]
    assert once == [1, [2, 3], []]
    assert length == 3


async def test_a_function_is_called_for_each_turn() -> None:
    """In the source's thread; the generator of a turn that was left is closed."""
    source = Watched()

    def made() -> Iterator[np.ndarray]:
        source.threads.add(threading.current_thread().name)
        return source.forever()

    code = "[int(next(iter(items))[0]) for _ in range(3)]"
    async with threaded().connect() as bridge:
        assert await bridge.send(code, {"items": asyncbridge.stream(made)}) == [1, 1, 1]
        await until(lambda: len(source.closed) == 3)
    assert source.threads == {"asyncbridge-source"}


async def test_two_streams_of_one_command() -> None:
    """Each at its own pace."""
    bindings = {"a": asyncbridge.stream([1, 2]), "b": asyncbridge.stream(iter("xyz")), "c": 5}
    async with threaded().connect() as bridge:
        assert await bridge.send("[*zip(b, a), c]", bindings) == [("x", 1), ("y", 2), 5]


async def test_a_stream_for_a_function() -> None:
    """An argument of ``run`` may be one."""

    def total(items: list[int]) -> int:
        return sum(items)

    async with threaded().connect() as bridge:
        assert await bridge.run(total, asyncbridge.stream([1, 2, 3])) == 6


@pytest.mark.parametrize(
    ("rows", "bound"),
    # Of five small ones that were taken, the source is not told yet.
    [(1, SMALL_AHEAD.count), (200_000, 5 + AHEAD.count)],
)
async def test_a_source_is_not_ahead_of_its_use(rows: int, bound: int) -> None:
    """Of a command that has taken five items and takes no more."""
    source = Watched()
    go_on = threading.Event()
    code = "it = iter(items)\nfor _ in range(5): next(it)\ngate.wait()"
    worker = threaded()
    async with worker.connect() as bridge:
        await bridge.send("import threading")
        assert worker.engine is not None
        worker.engine.namespace.bind("gate", go_on)
        promise = bridge.send(code, {"items": asyncbridge.stream(source.forever(rows))})
        await until(lambda: source.given == bound)
        for _ in range(200):
            await asyncio.sleep(0)
        assert source.given == bound
        go_on.set()
        await promise
        await until(lambda: source.closed)
    assert source.closed == ["asyncbridge-source"]


async def test_items_do_not_pile_up() -> None:
    """Of thousands of batches a few are alive at any time."""
    alive: set[int] = set()
    most = 0

    def many() -> Iterator[np.ndarray]:
        nonlocal most
        for number in range(3000):
            batch = np.ones(9000)
            alive.add(number)
            weakref.finalize(batch, alive.discard, number)
            most = max(most, len(alive))
            yield batch

    async with threaded().connect() as bridge:
        assert await bridge.send(SUM, {"batches": asyncbridge.stream(many())}) == 3000 * 9000
    gc.collect()
    assert most <= AHEAD.count + 3
    assert len(alive) == 0


async def test_an_array_may_be_used_again() -> None:
    """A source may change what it has given as soon as it is asked for more."""

    def same() -> Iterator[np.ndarray]:
        batch = np.zeros(20_000, np.int64)
        for number in range(20):
            batch[:] = number
            yield batch

    code = "[int(batch[0]) for batch in batches]"
    async with threaded().connect() as bridge:
        assert await bridge.send(code, {"batches": asyncbridge.stream(same())}) == [*range(20)]


async def test_context_variables() -> None:
    """A source sees those of the call that sent it, in its thread and in its task."""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    def plain() -> Iterator[int]:
        yield variable.get()

    async def later() -> AsyncIterator[int]:
        yield variable.get()

    async with threaded().connect() as bridge:
        variable.set(1)
        first = bridge.send("list(i)", {"i": asyncbridge.stream(plain())})
        variable.set(2)
        second = bridge.send("list(i)", {"i": asyncbridge.stream(later())})
        variable.set(3)
        assert [await first, await second] == [[1], [2]]


# --- ends ----------------------------------------------------------------------------------


async def broken() -> AsyncIterator[int]:
    """Give an item, then fail."""
    yield 1
    raise KeyError("gone")


def broken_here() -> Iterator[int]:
    """As ``broken``."""
    yield 1
    raise KeyError("gone")


@pytest.mark.parametrize("source", [broken, broken_here])
async def test_what_a_source_raises(source: Callable[[], Iterator[int]]) -> None:
    """It is the promise's, with the very exception as its cause; the worker goes on."""
    async with threaded().connect() as bridge:
        with pytest.raises(SourceError, match="source of items raised KeyError after 1 ") as caught:
            await bridge.send("list(items)", {"items": asyncbridge.stream(source())})
        assert isinstance(caught.value.__cause__, KeyError)
        assert caught.value.__cause__.__traceback__ is not None
        assert await bridge.send("1 + 1") == 2


async def test_what_has_no_wire_form() -> None:
    """The source has not failed: what it gave is told with its place."""
    async with threaded().connect() as bridge:
        told = "the source of items gave what cannot be used: item 1 of items"
        with pytest.raises(SourceError, match=told):
            await bridge.send("list(items)", {"items": asyncbridge.stream([1, object()])})


async def test_code_may_deal_with_it() -> None:
    """A command that catches the failure gives its value."""
    code = "try: list(items)\nexcept RuntimeError as e: told = str(e)\ntold"
    async with threaded().connect() as bridge:
        told = await bridge.send(code, {"items": asyncbridge.stream(broken)})
        assert told == "the source of this stream raised KeyError: 'gone'"


async def test_a_command_that_fails_closes_the_source() -> None:
    """Its own error is told."""
    source = Watched()
    code = "for item in items: raise ValueError('mine')"
    async with threaded().connect() as bridge:
        with pytest.raises(RemoteError, match="mine"):
            await bridge.send(code, {"items": asyncbridge.stream(source.forever())})
        await until(lambda: source.closed)
    assert len(source.closed) == 1


async def test_a_command_that_never_asks() -> None:
    """Its source is not begun."""
    source = Watched()
    async with threaded().connect() as bridge:
        assert await bridge.send("1", {"items": asyncbridge.stream(source.forever())}) == 1
    assert source.given == 0


@pytest.mark.parametrize("mode", [None, "interrupt"])
async def test_cancelling_a_command_that_waits_for_an_item(mode: None) -> None:
    """It ends at once, and the source is closed in the task that advanced it."""
    source = Watched()
    async with threaded().connect() as bridge:
        promise = bridge.send("list(i)", {"i": asyncbridge.stream(source.then_nothing(3))})
        await source.stuck.wait()
        promise.cancel(mode=mode)
        with pytest.raises(asyncio.CancelledError):
            await promise
        await until(lambda: source.closed)
        assert await bridge.send("1 + 1") == 2
    assert source.closed == [source.closed[0]]
    assert source.closed[0].startswith("asyncbridge-stream-")


async def test_a_graceful_end() -> None:
    """The items end, and the command gives what it has made of them."""
    source = Watched()
    async with threaded().connect() as bridge:
        stream = asyncbridge.stream(source.then_nothing(3))
        promise = bridge.send("len(list(items))", {"items": stream})
        await source.stuck.wait()
        promise.cancel(mode="graceful")
        assert await promise == 3
        await until(lambda: source.closed)


async def test_cancelling_what_is_queued() -> None:
    """Its source is not begun, and its promise is cancelled."""
    source, other = Watched(), Watched()
    async with threaded().connect() as bridge:
        first = bridge.send("list(i)", {"i": asyncbridge.stream(other.then_nothing(1))})
        second = bridge.send("list(i)", {"i": asyncbridge.stream(source.then_nothing(1))})
        await other.stuck.wait()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    assert (source.given, source.closed) == (0, [])


async def test_a_worker_that_dies() -> None:
    """The promise tells, and the source is closed."""
    source = Watched()
    worker = threaded()
    async with worker.connect() as bridge:
        promise = bridge.send("list(i)", {"i": asyncbridge.stream(source.then_nothing(2))})
        await source.stuck.wait()
        worker.die()
        worker.cut()
        with pytest.raises(WorkerLost):
            await promise
        await until(lambda: source.closed)
    worker.stop()


async def test_closing_the_bridge() -> None:
    """Sources are closed by the time that it is closed."""
    source = Watched()
    async with threaded().connect() as bridge:
        promise = bridge.send("list(i)", {"i": asyncbridge.stream(source.then_nothing(2))})
        await source.stuck.wait()
        promise.cancel()
    assert len(source.closed) == 1


async def test_a_slow_source_holds_nothing_up() -> None:
    """What blocks in a plain generator blocks its own thread alone."""
    gate, stuck = threading.Event(), threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        stuck.set()
        gate.wait()
        yield 2

    async with threaded().connect() as bridge:
        promise = bridge.send("list(items)", {"items": asyncbridge.stream(slow())})
        await until(stuck.is_set)
        turns = [await bridge.info() for _ in range(20)]
        assert len(turns) == 20
        assert not promise.done()
        gate.set()
        assert await promise == [1, 2]


# --- bad input -----------------------------------------------------------------------------


async def test_a_stream_ends_with_its_command() -> None:
    """So it is no value to keep."""
    async with threaded().connect() as bridge:
        with pytest.raises(ValueError, match="a stream ends with the command"):
            bridge.put(asyncbridge.stream([1]))


async def test_a_stream_stands_for_itself() -> None:
    """Inside of another value it has no wire form."""
    async with threaded().connect() as bridge:
        with pytest.raises(asyncbridge.SerializationError, match=r'"a"\]\[0\]: .*a binding, or'):
            bridge.send("a", {"a": [asyncbridge.stream([1])]})


async def test_a_generator_is_told_of_streams() -> None:
    """So is a function; neither has a wire form."""

    async def later() -> AsyncIterator[int]:
        yield 1

    async with threaded().connect() as bridge:
        for value in (later(), iter([1]), broken_here, later):
            with pytest.raises(asyncbridge.SerializationError, match=r"asyncbridge\.stream\("):
                bridge.send("a", {"a": value})


async def test_a_stepped_worker_says_that_it_has_no_thread() -> None:
    """It would wait for itself for ever."""
    async with FakeWorker().connect() as bridge:
        with pytest.raises(RemoteError, match=r"FakeWorker\(threaded=True\)"):
            await bridge.send("list(items)", {"items": asyncbridge.stream([1])})


# --- values in parts -----------------------------------------------------------------------

PARTS = """
from asyncbridge.worker import parts
import numpy as np
for number in range({count}):
    parts.give(np.full({rows}, number)) if parts.are_wanted() else None
    given = number
"whole"
"""


def ask(bridge: Bridge, *, count: int, rows: int = 3) -> asyncbridge.Promise[object]:
    """Send a command that gives parts if somebody wants them."""
    return bridge.send(PARTS.format(count=count, rows=rows))


@pytest.mark.parametrize("rows", [3, 20_000])
async def test_a_value_in_parts(rows: int) -> None:
    """They come in their order; the promise has the command's own value."""
    async with threaded().connect() as bridge:
        promise = ask(bridge, count=100, rows=rows)
        assert promise._source is not None
        parts = promise._source.parts()  # type: ignore[attr-defined]  # a command's
        firsts = [int(part[0]) async for part in parts]
        assert firsts == [*range(100)]
        assert await promise == "whole"


async def test_a_slow_reader_holds_the_command_back() -> None:
    """It computes a bounded number of parts ahead."""
    worker = threaded()
    async with worker.connect() as bridge:
        promise = ask(bridge, count=10_000, rows=200_000)
        parts = promise._source.parts()  # type: ignore[union-attr]
        await anext(parts)
        space = worker.engine.namespace  # type: ignore[union-attr]
        await until(lambda: "given" in space.names() and space.value_of("given") == AHEAD.count)
        for _ in range(200):
            await asyncio.sleep(0)
        assert space.value_of("given") == AHEAD.count
        parts.leave()
        promise.cancel(mode="graceful")
        with pytest.raises(asyncio.CancelledError):
            await promise


async def test_a_command_that_has_left_gives_no_parts() -> None:
    """It is too late to ask; the value comes whole."""
    async with threaded().connect() as bridge:
        promise = ask(bridge, count=3)
        await until(lambda: promise.state != "pending")
        assert promise._source.parts() is None  # type: ignore[union-attr]
        assert await promise == "whole"


async def test_parts_are_had_once() -> None:
    """A second reader would get what the first did not."""
    async with threaded().connect() as bridge:
        promise = ask(bridge, count=3)
        parts = promise._source.parts()  # type: ignore[union-attr]
        with pytest.raises(RuntimeError, match="gone through already"):
            promise._source.parts()  # type: ignore[union-attr]
        assert len([part async for part in parts]) == 3

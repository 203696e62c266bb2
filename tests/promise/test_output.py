"""What a command prints, told by its promise."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import asyncbridge
from asyncbridge.errors import RemoteError, WorkerLost
from asyncbridge.promise import LogReader, OutputLine, Promise
from asyncbridge.promise.output import BYTES_KEPT, LINES_KEPT, OutputLog
from asyncbridge.tasks import spawn
from asyncbridge.testing import FakeWorker
from tests.promise.conftest import add_one, outcome, pending, turns
from tests.promise.test_source import Owner


def printing(*texts: str) -> tuple[Promise[Any], Owner]:
    """Return a promise whose command has printed these lines."""
    promise, owner = pending(), Owner()
    promise._attach(owner)
    printed(owner, *texts)
    return promise, owner


def printed(owner: Owner, *texts: str) -> None:
    """Let a command print lines."""
    for text in texts:
        owner.output.add(OutputLine(text=text, stream="stdout", command_id=owner.id))


async def rest(reader: LogReader[OutputLine]) -> list[str]:
    """Return the texts of all lines up to the end."""
    return [line.text async for line in reader]


# --- readers ---


@pytest.mark.asyncio
async def test_each_reader_sees_all_lines() -> None:
    """Early, late, or after the end: each once, in order."""
    promise, owner = printing()
    early = promise.output()
    printed(owner, "a", "b")
    assert (await anext(early)).text == "a"
    late = promise.output()
    waiting = spawn(rest(promise.output()), name="reader")
    await asyncio.sleep(0)
    printed(owner, "c")
    owner.output.end()
    promise._settle(0)
    assert await rest(early) == ["b", "c"]
    assert await rest(late) == await waiting == ["a", "b", "c"]
    assert await rest(promise.output()) == ["a", "b", "c"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "make",
    [
        pending,
        lambda: printing()[0].then(add_one),
        lambda: Promise.all([printing()[0]]),
        lambda: printing()[0].finally_(list),
    ],
)
async def test_a_promise_without_a_command_prints_nothing(make: Callable[[], Promise[Any]]) -> None:
    """It says which one to ask."""
    with pytest.raises(ValueError, match="no command that prints: ask the promise that `send`"):
        make().output()


@pytest.mark.asyncio
async def test_the_lines_that_are_kept_are_bounded() -> None:
    """By their number, and what is missing is counted."""
    promise, owner = printing()
    reader = promise.output()
    printed(owner, *map(str, range(2 * LINES_KEPT)))
    owner.output.end()
    assert LINES_KEPT <= len(owner.output.events) <= LINES_KEPT * 5 // 4
    texts = await rest(reader)
    assert (texts[-1], len(texts) + reader.dropped) == (str(2 * LINES_KEPT - 1), 2 * LINES_KEPT)


def test_the_memory_of_the_lines_is_bounded() -> None:
    """Lines as long as they get do not fill it, whatever alphabet they are in."""
    log = OutputLog()
    for letter in ("a", "\u4e16", "\U0001f600"):
        for number in range(100):
            text = f"{number} " + letter * 50_000
            log.add(OutputLine(text=text, stream="stdout", command_id=1))
            assert sum(sys.getsizeof(line.text) for line in log.events) <= BYTES_KEPT * 5 // 4
    assert len(log.events) >= 10


# --- over the bridge ---

PRINT = "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three', end='')\n"


@pytest.mark.asyncio
async def test_lines_have_their_stream_and_their_command() -> None:
    """Those of another command are not among them; what has no line end is a line."""
    async with FakeWorker().connect() as bridge:
        other, promise = bridge.send("print('other')"), bridge.send(PRINT)
        lines = [line async for line in promise.output()]
        assert lines == [
            OutputLine(text="one", stream="stdout", command_id=promise.command_id),
            OutputLine(text="two", stream="stderr", command_id=promise.command_id),
            OutputLine(text="three", stream="stdout", command_id=promise.command_id),
        ]
        assert await rest(other.output()) == ["other"]


@pytest.mark.asyncio
async def test_a_handler_sees_all_that_was_printed() -> None:
    """The lines are there before the value."""
    async with FakeWorker().connect() as bridge:
        promise = bridge.send(PRINT + "0")
        held = promise.then(lambda _: rest(promise.output()))
        assert await asyncio.wait_for(held, 5) == ["one", "two", "three"]


@pytest.mark.asyncio
async def test_a_failure_ends_the_lines() -> None:
    """The error is the promise's alone."""
    async with FakeWorker().connect() as bridge:
        promise = bridge.send(PRINT + "1 / 0")
        assert await rest(promise.output()) == ["one", "two", "three"]
        assert isinstance(await outcome(promise), RemoteError)


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["cancelled", "lost", "never run"])
async def test_they_end_with_a_command_that_does_not_run(how: str) -> None:
    """A reader that waits ends; so does one that comes after."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        first = bridge.send("1 / 0")
        promise = bridge.send("print('never')", after=[first])
        reading = spawn(rest(promise.output()), name="reader")
        await bridge.info()
        if how == "cancelled":
            promise.cancel()
            await bridge.info()  # it has arrived
        elif how == "lost":
            worker.die()
        worker.run_all()
        assert await asyncio.wait_for(reading, 5) == await rest(promise.output()) == []
        expected = asyncbridge.DependencyError if how == "never run" else WorkerLost
        error = await outcome(promise)
        assert isinstance(error, asyncio.CancelledError if how == "cancelled" else expected)
        await outcome(first)


@pytest.mark.asyncio
async def test_a_command_outlives_its_promises_time() -> None:
    """What it prints when the ``timeout`` of ``send`` is over is told as well, until it ends."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promise = bridge.send("print('late')")
        await bridge.info()
        promise.set_exception(TimeoutError("no outcome"))  # as ``timeout`` does
        reading = spawn(rest(promise.output()), name="reader")
        worker.run_all()
        assert await asyncio.wait_for(reading, 5) == ["late"]
        assert isinstance(await outcome(promise), TimeoutError)


@pytest.mark.asyncio
async def test_a_command_that_prints_nothing_has_no_log() -> None:
    """Its promise costs no more; a reader that asks later ends at once."""
    async with FakeWorker().connect() as bridge:
        promise = bridge.send("1")
        await promise
        source: Any = promise._source
        assert source._output is None
        assert await asyncio.wait_for(rest(promise.output()), 5) == []


@pytest.mark.asyncio
async def test_the_lines_live_as_long_as_the_promise() -> None:
    """Or as a reader that goes on to read."""
    async with FakeWorker().connect() as bridge:

        async def read_late() -> tuple[LogReader[OutputLine], Callable[[], object]]:
            promise = bridge.send("print('kept')")
            await promise
            reader = promise.output()
            return reader, weakref.ref(promise)

        reader, promise = await spawn(read_late(), name="reader")
        log = weakref.ref(reader._log)
        await turns()
        assert promise() is None
        assert await rest(reader) == ["kept"]
        del reader
        assert log() is None


def test_a_script_reads_the_lines() -> None:
    """With a bridge that has a loop of its own; also when it is closed."""
    with FakeWorker().connect() as bridge:
        promise = bridge.send("for n in range(3): print(n)")
        assert [line.text for line in promise.output()] == ["0", "1", "2"]
        promise.wait_for_value(10)
    assert [line.text for line in promise.output()] == ["0", "1", "2"]
    assert asyncio.run(rest(promise.output())) == ["0", "1", "2"]


@pytest.mark.asyncio
async def test_another_loop_reads_the_lines() -> None:
    """In a thread of its own."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promise = bridge.send("print('far')")
        await bridge.info()
        loop = asyncio.get_running_loop()
        reading = loop.run_in_executor(None, asyncio.run, rest(promise.output()))
        worker.run_all()
        assert await reading == ["far"]
        await promise


def test_the_public_names() -> None:
    """The line is the one that ``bridge.output()`` gives, too."""
    assert asyncbridge.OutputLine is OutputLine

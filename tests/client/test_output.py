from __future__ import annotations

import asyncio
import logging

import pytest

from asyncbridge.client.loop_thread import LoopThread
from asyncbridge.client.output import OutputRouter
from asyncbridge.promise.output import LINES_KEPT, OutputLine
from asyncbridge.protocol.messages import Output
from tests.client.test_pending import new
from tests.limits import HANG_S

pytestmark = pytest.mark.asyncio


def said(text: str, *, command: int | None = 1, dropped: int = 0) -> Output:
    """Return a piece of standard output."""
    return Output(id=command, stream="stdout", text=text, dropped=dropped)


async def texts(router: OutputRouter, *pieces: Output) -> list[str]:
    """Feed the pieces, end, and return the lines that come out."""
    reader = router.reader(asyncio.get_running_loop())
    for piece in pieces:
        router.feed(piece)
    router.end()
    return [line.text async for line in reader]


async def test_pieces_become_lines() -> None:
    """Wherever they were cut; empty lines stay, and what has no end is a line at the end."""
    assert await texts(OutputRouter(), said("a"), said("b\n\nc"), said("\n"), said("d")) == [
        "ab",
        "",
        "c",
        "d",
    ]


async def test_commands_and_streams_do_not_mix() -> None:
    """Each has a line of its own under way."""
    router = OutputRouter()
    reader = router.reader(asyncio.get_running_loop())
    router.feed(said("one "))
    router.feed(said("two ", command=2))
    router.feed(Output(id=1, stream="stderr", text="err\n"))
    router.feed(said("1\n"))
    router.feed(said("2\n", command=2))
    router.end()
    assert [line async for line in reader] == [
        OutputLine(text="err", stream="stderr", command_id=1),
        OutputLine(text="one 1", stream="stdout", command_id=1),
        OutputLine(text="two 2", stream="stdout", command_id=2),
    ]


async def test_a_command_that_has_finished_leaves_no_half_line() -> None:
    """What it wrote last is a line, once."""
    router = OutputRouter()
    reader = router.reader(asyncio.get_running_loop())
    router.feed(said("half"))
    item = new()
    item.id = 1
    router.flush(item)
    router.flush(item)
    router.end()
    assert [line.text async for line in reader] == ["half"]
    assert [line.text for line in item.output.events] == ["half"]


async def test_a_commands_lines_are_its_own_as_well() -> None:
    """The readers get them too, and none but them what nobody's command has printed."""
    router, item = OutputRouter(), new()
    reader = router.reader(asyncio.get_running_loop())
    router.feed(said("a\nb"), item)
    router.feed(said("worker\n", command=None), None)
    router.feed(said("b\nc\n", dropped=7), item)
    router.end()
    own = ["a", "[7 characters of output were dropped here]", "bb", "c"]
    assert [line.text for line in item.output.events] == own
    assert [line.text async for line in reader] == ["a", "worker", *own[1:]]


async def test_what_the_worker_dropped_is_told_in_its_place() -> None:
    """With how much it was."""
    lines = await texts(OutputRouter(), said("a\n"), said("b\n", dropped=99))
    assert lines == ["a", "[99 characters of output were dropped here]", "b"]


async def test_a_line_without_end_does_not_fill_the_memory() -> None:
    """What a command writes with no line end is cut into lines of a bounded length."""
    router = OutputRouter()
    for _ in range(64):
        router.feed(said("x" * 1024 * 1024))
    held = sum(len(rest) for rest in router._partial.values())
    assert held <= 2 * 1024 * 1024


async def test_a_reader_that_falls_behind_loses_the_oldest_lines_and_is_told() -> None:
    """The newest are kept."""
    router = OutputRouter()
    reader = router.reader(asyncio.get_running_loop())
    router.feed(said("".join(f"{n}\n" for n in range(2 * LINES_KEPT))))
    dropped = reader.dropped
    assert LINES_KEPT * 3 // 4 <= dropped <= LINES_KEPT
    assert (await anext(reader)).text == str(dropped)
    assert reader.dropped == dropped


async def test_lines_that_were_read_are_let_go() -> None:
    """A reader lives as long as its bridge, and gives each line once."""
    router = OutputRouter()
    reader = router.reader(asyncio.get_running_loop())
    router.feed(said("a\nb\nc\n"))
    assert [(await anext(reader)).text for _ in range(2)] == ["a", "b"]
    assert [line.text for line in reader._log.events] == ["c"]
    assert reader.dropped == 0


async def test_a_reader_waits_for_the_next_line() -> None:
    """It wakes with the line, and with the end."""
    router = OutputRouter()
    reader = router.reader(asyncio.get_running_loop())
    async with asyncio.timeout(HANG_S):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(anext(reader))
            await asyncio.sleep(0)
            router.feed(said("late\n"))
        assert task.result().text == "late"
        async with asyncio.TaskGroup() as group:
            end = group.create_task(anext(reader, None))
            await asyncio.sleep(0)
            router.end()
        assert end.result() is None


async def test_a_cancelled_read_loses_no_line() -> None:
    """Whoever reads next gets it."""
    router = OutputRouter()
    reader = router.reader(asyncio.get_running_loop())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(reader)
    router.feed(said("kept\n"))
    assert (await anext(reader)).text == "kept"


async def test_two_tasks_may_read_one_reader() -> None:
    """Each line goes to one of them, and the end to both."""
    router = OutputRouter()
    reader = router.reader(asyncio.get_running_loop())

    async def read() -> list[str]:
        return [line.text async for line in reader]

    async with asyncio.timeout(HANG_S), asyncio.TaskGroup() as group:
        tasks = [group.create_task(read()), group.create_task(read())]
        await asyncio.sleep(0)
        router.feed(said("a\nb\n"))
        await asyncio.sleep(0)
        router.end()
    assert sorted(text for task in tasks for text in task.result()) == ["a", "b"]


async def test_closing_a_reader_wakes_who_waits() -> None:
    """The iteration ends; nothing hangs."""
    router = OutputRouter()
    reader = router.reader(asyncio.get_running_loop())
    async with asyncio.timeout(HANG_S), asyncio.TaskGroup() as group:
        task = group.create_task(anext(reader, None))
        await asyncio.sleep(0)
        reader.close()
    assert task.result() is None


async def test_a_reader_made_after_the_end_ends_at_once() -> None:
    """It does not wait for lines that never come."""
    router = OutputRouter()
    router.end()
    reader = router.reader(asyncio.get_running_loop())
    async with asyncio.timeout(HANG_S):
        assert [line async for line in reader] == []


async def test_lines_go_to_the_logger(caplog: pytest.LogCaptureFixture) -> None:
    """A percent sign in them is no format."""
    with caplog.at_level(logging.INFO, logger="asyncbridge.output"):
        await texts(OutputRouter(), said("100 %s\n"))
    assert [record.getMessage() for record in caplog.records] == ["100 %s"]


def read_in_thread(router: OutputRouter, thread: LoopThread) -> list[str]:
    """Iterate without a loop here."""
    reader = router.reader(thread.loop)
    thread.soon(router.feed, said("a\nb\n"))
    thread.soon(router.end)
    return [line.text for line in reader]


async def test_a_plain_for_reads_from_another_thread() -> None:
    """What a sync bridge's reader does, until the end."""
    thread = LoopThread()
    try:
        lines = await asyncio.to_thread(read_in_thread, OutputRouter(), thread)
        assert lines == ["a", "b"]
    finally:
        thread.stop()


async def test_a_plain_for_ends_after_its_loop_has() -> None:
    """Lines that are here are given, although the loop is closed."""
    router, thread = OutputRouter(), LoopThread()
    reader = router.reader(thread.loop)
    thread.soon(router.feed, said("a\nb\n"))
    thread.soon(router.end)
    thread.stop()
    assert await asyncio.to_thread(lambda: [line.text for line in reader]) == ["a", "b"]


async def test_a_plain_for_on_the_loops_own_thread_is_refused() -> None:
    """It would wait for ever for itself."""
    router = OutputRouter()
    reader = router.reader(asyncio.get_running_loop())
    router.feed(said("a\n"))
    router.end()
    with pytest.raises(RuntimeError, match="async for"):
        next(reader)

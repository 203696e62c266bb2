from __future__ import annotations

import asyncio
import logging
import resource
from typing import TYPE_CHECKING

import pytest

from asyncbridge.client import connect
from asyncbridge.errors import RemoteError, WorkerLost
from asyncbridge.promise.output import LINES_KEPT
from asyncbridge.testing import kill_worker
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client import Bridge, OutputReader
    from tests.integration.conftest import Gate

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


async def lines_until(reader: OutputReader, *last: str) -> list[tuple[str, str, int | None]]:
    """Read until there was a line with each of these texts; of two streams any may come first."""
    lines, awaited = [], set(last)
    async with asyncio.timeout(HANG_S):
        async for line in reader:
            lines.append((line.text, line.stream, line.command_id))
            awaited.discard(line.text)
            if not awaited:
                break
    return lines


async def test_lines_come_with_their_stream_and_command(connected: Callable[[], Bridge]) -> None:
    """What a command printed last, without a line end, is a line as well."""
    async with connected() as bridge:
        reader = bridge.output()
        first = bridge.send("print('one')\nprint('two', end='')")
        second = bridge.send("import sys\nprint('three', file=sys.stderr)")
        await second
        lines = await lines_until(reader, "three")
    assert lines == [
        ("one", "stdout", first.command_id),
        ("two", "stdout", first.command_id),
        ("three", "stderr", second.command_id),
    ]


async def test_c_code_and_child_processes_are_captured(connected: Callable[[], Bridge]) -> None:
    """Whatever reaches the file descriptors is told as the command's."""
    code = (
        "import ctypes, os, subprocess\n"
        "libc = ctypes.CDLL(None)\nlibc.puts(b'from C'); libc.fflush(None)\n"
        "os.write(1, b'raw bytes\\n')\n"
        "subprocess.run(['echo', 'from a child'])\n"
        "os.write(2, b'\\xff bad\\n')\nNone"
    )
    async with connected() as bridge:
        reader = bridge.output()
        promise = bridge.send(code)
        await promise
        lines = await lines_until(reader, "from a child", "\ufffd bad")
    stdout = [text for text, stream, _ in lines if stream == "stdout"]
    assert stdout == ["from C", "raw bytes", "from a child"]
    assert {command for _, _, command in lines} == {promise.command_id}


async def test_lines_arrive_while_the_command_runs(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """Nobody has to wait for its end."""
    async with connected() as bridge:
        reader = bridge.output()
        promise = bridge.send("print('early', flush=True)\n" + gate.code)
        await gate.reached()
        assert await lines_until(reader, "early") == [("early", "stdout", promise.command_id)]
        gate.open()
        await promise


async def test_a_promise_tells_its_own_lines(connected: Callable[[], Bridge], gate: Gate) -> None:
    """While its command runs, and all of them before it has its value."""
    async with connected() as bridge:
        promise = bridge.send(
            "print('early', flush=True)\n" + gate.code + "\nprint('late', end='')"
        )
        other = bridge.send("import os\nos.write(2, b'other')\n1 / 0")

        async def look_back(_: object) -> list[str]:
            return [line.text async for line in promise.output()]

        late = promise.then(look_back)
        reader = promise.output()
        await gate.reached()
        assert (await anext(reader)).text == "early"
        gate.open()
        assert await late == ["early", "late"]
        assert [line.text async for line in reader] == ["late"]
        assert [(line.text, line.stream) async for line in other.output()] == [("other", "stderr")]
        with pytest.raises(RemoteError):
            await other


async def test_a_promise_tells_what_a_worker_printed_that_died(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """The lines end with it."""
    async with connected() as bridge:
        promise = bridge.send("print('last', flush=True)\n" + gate.code)
        await gate.reached()
        reader = promise.output()
        assert (await anext(reader)).text == "last"
        await kill_worker(bridge)
        assert await anext(reader, None) is None
        with pytest.raises(WorkerLost):
            await promise


async def test_every_reader_gets_every_line(connected: Callable[[], Bridge]) -> None:
    """A reader that is closed gets none, and its iteration ends."""
    async with connected() as bridge:
        one, two, closed = bridge.output(), bridge.output(), bridge.output()
        closed.close()
        await bridge.send("print('a')")
        assert [text for text, *_ in await lines_until(one, "a")] == ["a"]
        assert [text for text, *_ in await lines_until(two, "a")] == ["a"]
        assert [line async for line in closed] == []


async def test_output_goes_to_the_logger_too(
    connected: Callable[[], Bridge], caplog: pytest.LogCaptureFixture
) -> None:
    """At level INFO, with the stream and the command."""
    with caplog.at_level(logging.INFO, logger="asyncbridge.output"):
        async with connected() as bridge:
            promise = bridge.send("print('logged')")
            await promise
    (record,) = [r for r in caplog.records if r.getMessage() == "logged"]
    assert record.__dict__["stream"] == "stdout"
    assert record.__dict__["command_id"] == promise.command_id


@pytest.mark.slow
@pytest.mark.parametrize(
    "flood",
    [
        "for i in range(1_000_000): print('line', i)",
        "import os\nfor i in range(5_000): os.write(1, b'x' * 4095 + b'\\n')",
        "import subprocess\nsubprocess.run('yes flood | head -c 20000000', shell=True)\nNone",
        "import os\nos.write(2, b'e' * 60_000)\nfor i in range(200): os.write(1, b'z' * 65536)",
    ],
    ids=["print", "os.write", "child", "one long line"],
)
async def test_a_flood_of_output_neither_blocks_nor_fills_the_memory(
    connected: Callable[[], Bridge], flood: str
) -> None:
    """The command completes; a reader that does not read loses the oldest lines, counted."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with connected() as bridge:
        idle = bridge.output()
        async with asyncio.timeout(HANG_S):
            await bridge.send(flood)
            info = await bridge.info()
        assert info.memory < 300 * 1024 * 1024
        assert len(idle._log.events) <= LINES_KEPT * 5 // 4
        await bridge.send("print('after')")
        assert (await lines_until(idle, "after"))[-1][0] == "after"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 150, f"{grown} MiB"


@pytest.mark.slow
async def test_what_an_idle_reader_lost_is_counted(connected: Callable[[], Bridge]) -> None:
    """Every line is either there, or counted, or in the count of dropped characters."""
    async with connected() as bridge:
        idle = bridge.output()
        await bridge.send("for i in range(50_000): print(i)")
        await bridge.send("print('after')")
        kept = await lines_until(idle, "after")
    assert idle.dropped > 0
    if not any("characters of output were dropped" in text for text, *_ in kept):
        assert idle.dropped + len(kept) >= 50_001


async def test_output_after_the_end_of_the_bridge_ends_the_iteration(no_leaks: None) -> None:
    """Lines that are here are still given."""
    async with connect(backend=None) as bridge:
        reader = bridge.output()
        await bridge.send("print('last')")
    assert [line.text async for line in reader] == ["last"]


async def test_code_that_replaces_or_closes_stdout_harms_nobody(
    connected: Callable[[], Bridge],
) -> None:
    """The next command prints as ever."""
    async with connected() as bridge:
        reader = bridge.output()
        await bridge.send("import sys\nsys.stdout.close()\nNone")
        await bridge.send("print('still here')")
        assert (await lines_until(reader, "still here"))[-1][0] == "still here"

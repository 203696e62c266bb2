"""The log that readers share: its bounds, and readers in other threads and on other loops."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from itertools import chain

import pytest

import asyncbridge
from asyncbridge.promise.log import Log, LogReader
from asyncbridge.tasks import spawn


class Words(Log[str]):
    """A log of words, bounded by their letters."""

    def size_of(self, event: str) -> int:
        return len(event)


def here(log: Log[str]) -> LogReader[str]:
    """Return a reader of a log of the running loop."""
    return LogReader(log, asyncio.get_running_loop())


async def rest(reader: LogReader[str]) -> list[str]:
    """Return all up to the end."""
    return [event async for event in reader]


def ended(log: Log[str], *events: str) -> Log[str]:
    """Write events, and the end."""
    for event in events:
        log.add(event)
    log.end()
    return log


@pytest.mark.asyncio
async def test_the_number_of_events_is_bounded() -> None:
    """The newest are kept, and each reader can be asked what it has missed, and will miss."""
    log = Log[str](count=8)
    reader, up_to_date = here(log), here(log)
    for number in range(100):
        log.add(str(number))
        assert await anext(up_to_date) == str(number)
        assert len(log.events) <= 10
    log.end()
    missed = reader.dropped
    assert missed == 100 - len(log.events) >= 90
    assert await rest(reader) == [str(number) for number in range(missed, 100)]
    assert (reader.dropped, up_to_date.dropped) == (missed, 0)


@pytest.mark.asyncio
async def test_their_size_is_bounded() -> None:
    """By what each counts for; of what is too large by itself the newest stays."""
    log = Words(count=1000, size=40)
    reader = here(log)
    for _ in range(100):
        log.add("ten more .")
        assert sum(map(len, log.events)) <= 50
    assert len(log.events) >= 4
    log.add("x" * 1000)
    log.add("y" * 2000)
    assert log.events == ["y" * 2000]
    assert await rest(here(ended(log, "small"))) == ["small"]
    assert await rest(reader) == ["small"]
    assert reader.dropped == 102


@pytest.mark.asyncio
async def test_what_is_missed_on_the_way_adds_up() -> None:
    """A reader that falls behind twice has both in its count."""
    log = Log[str](count=4)
    reader = here(log)
    seen = []
    for start in (0, 10):
        for number in range(start, start + 10):
            log.add(str(number))
        seen.append(await anext(reader))
    log.end()
    seen += await rest(reader)
    assert len(seen) + reader.dropped == 20
    assert len(seen) == len(set(seen))


@pytest.mark.asyncio
async def test_tasks_may_share_a_reader() -> None:
    """Each event goes to one of them, and the end to all."""
    log = Log[str](count=100)
    reader = here(log)
    tasks = [spawn(rest(reader), name="reader") for _ in range(3)]
    await asyncio.sleep(0)
    log.add("a")
    await asyncio.sleep(0)
    ended(log, "b", "c")
    assert sorted(chain(*await asyncio.gather(*tasks))) == ["a", "b", "c"]


@pytest.mark.asyncio
async def test_threads_may_share_a_reader() -> None:
    """As above: none of them takes another's, and none ends before the last event."""
    log, loop = Log[str](count=10_000), asyncio.get_running_loop()
    reader = here(log)
    reading = [loop.run_in_executor(None, list, reader) for _ in range(3)]
    for number in range(500):
        log.add(str(number))
        if number % 7 == 0:
            await asyncio.sleep(0)
    log.end()
    seen = Counter(chain(*await asyncio.gather(*reading)))
    assert seen == Counter(map(str, range(500)))


def stop_once_asked(loop: asyncio.AbstractEventLoop, log: Log[str]) -> None:
    """Stop a loop as soon as a reader waits on it."""
    if log._waiters:
        loop.stop()
    else:
        loop.call_soon(stop_once_asked, loop, log)


def read_until_the_loop_stops(read: str) -> BaseException | None:
    """Return how a thread's reader ends, when the loop that it waits for stops."""
    loop, log = asyncio.new_event_loop(), Log[str](count=10)
    reader = LogReader(log, loop)
    raised: list[BaseException | None] = []

    def run() -> None:
        try:
            asyncio.run(rest(reader)) if read == "async for" else list(reader)
            raised.append(None)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    loop.call_soon(thread.start)
    loop.call_soon(stop_once_asked, loop, log)
    loop.run_forever()
    thread.join()
    loop.run_until_complete(asyncio.sleep(0))
    for task in asyncio.all_tasks(loop):
        task.cancel()
        loop.run_until_complete(asyncio.wait([task]))
    loop.close()
    return raised[0]


@pytest.mark.parametrize("read", ["for", "async for"])
def test_a_loop_that_stops_leaves_nobody_waiting(read: str) -> None:
    """Who waits for it from elsewhere gets an error that says so."""
    error = read_until_the_loop_stops(read)
    assert isinstance(error, RuntimeError)
    assert "the event loop does not run" in str(error)


def test_the_public_name() -> None:
    """What one calls it in annotations."""
    assert asyncbridge.LogReader is LogReader
    assert issubclass(asyncbridge.ProgressReader, LogReader)
    assert issubclass(asyncbridge.OutputReader, LogReader)

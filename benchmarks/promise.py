"""What a promise costs beside the ``asyncio.Future`` that it is: time, and memory."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncbridge.promise import Promise
from asyncbridge.promise.output import OutputLog
from asyncbridge.promise.times import Times
from benchmarks.measure import Figure, ratio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Work = Callable[[], Awaitable[None]]

LINKS = 1_000


class Owner:
    """The least that can settle a promise."""

    id = 1
    state = "queued"
    label = "the work"
    ahead = 0
    code = "work()"
    times = Times()
    output = OutputLog()

    def cancel(self, promise: Promise[Any], msg: object, mode: str | None) -> bool:
        """End it at once."""
        return promise._settle_cancelled(msg)


def measure(quick: bool) -> list[Figure]:
    """Alternate promises and futures that do the same; then count the bytes of promises."""
    repetitions, count = (5, 2_000) if quick else (25, 10_000)
    subjects = {
        "await while pending": (while_pending, while_pending, count, 1.5),
        "await when settled": (when_settled, when_settled, count, 2.2),
        f"a chain of {LINKS:,}": (chain_promises, chain_futures, 10, 2.0),
    }
    figures = []
    for name, (by_promise, by_future, times, bar) in subjects.items():
        promise = partial(by_promise, Promise, times)
        future = partial(by_future, asyncio.Future, times)
        runs = alternate(promise, future, repetitions)
        figures.append(ratio(f"{name}, promise / future", *runs, bar=bar))
    return [*figures, *(asyncio.run(sizes(count)))]


def alternate(first: Work, second: Work, repetitions: int) -> tuple[list[float], list[float]]:
    """Return the seconds of both; who goes first alternates, and the first pair is dropped."""
    seconds: dict[Work, list[float]] = {first: [], second: []}
    for index in range(repetitions + 1):
        for work in (first, second) if index % 2 else (second, first):
            seconds[work].append(asyncio.run(timed(work)))
    return seconds[first][1:], seconds[second][1:]


async def timed(work: Work) -> float:
    """Return the seconds that the work takes, without collections of what others left."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        await work()
        return time.perf_counter() - start
    finally:
        gc.enable()


async def while_pending(make: type[asyncio.Future[Any]], count: int) -> None:
    """Create each, await it, and have the loop settle it meanwhile."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        future = make(loop=loop)
        loop.call_soon(future.set_result, None)
        await future


async def when_settled(make: type[asyncio.Future[Any]], count: int) -> None:
    """Create, settle and await each."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        future = make(loop=loop)
        future.set_result(None)
        await future


async def chain_promises(make: type[Promise[Any]], count: int) -> None:
    """Build chains by ``then``, and send a value down each."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        first = last = make(loop=loop)
        for _ in range(LINKS):
            last = last.then(add_one)
        first.set_result(0)
        assert await last == LINKS


async def chain_futures(make: type[asyncio.Future[Any]], count: int) -> None:
    """Do the same by ``add_done_callback``."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        first = last = make(loop=loop)
        for _ in range(LINKS):
            derived = make(loop=loop)
            last.add_done_callback(partial(settle_by_hand, derived))
            last = derived
        first.set_result(0)
        assert await last == LINKS


def settle_by_hand(derived: asyncio.Future[Any], source: asyncio.Future[Any]) -> None:
    """Do the least that a link must: pass a value through the handler, and an error on."""
    try:
        derived.set_result(add_one(source.result()))
    except Exception as error:  # noqa: BLE001 - whatever the handler raises
        derived.set_exception(error)


def add_one(value: int) -> int:
    """Stand for any handler."""
    return value + 1


async def sizes(count: int) -> list[Figure]:
    """Count what is allocated for a promise alone, and for one that a command stands behind."""
    loop = asyncio.get_running_loop()
    owner = Owner()

    def bare() -> Promise[Any]:
        return Promise(loop=loop)

    def in_use() -> Promise[Any]:
        promise = bare().transform(add_one)
        promise._attach(owner)
        promise.add_done_callback(add_one)
        return promise

    return [
        Figure(name=name, unit="B", values=(bytes_each(make, count),), bar=1024.0)
        for name, make in (
            ("a pending promise", bare),
            ("the same with a command, a transform block and a callback", in_use),
        )
    ]


def bytes_each(make: Callable[[], object], count: int) -> float:
    """Return the mean size of what ``make`` allocates and its result keeps."""
    kept: list[object] = [None] * count
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for index in range(count):
            kept[index] = make()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / count

"""What a promise costs beside the ``asyncio.Future`` that it is: time, and memory.

Each ratio is of two that do the same work, built by the same call with ``loop=``. The future's
side of a chain does by hand the least that ``then`` must do: it passes a value through the
handler, an error on, and a cancellation on.
"""

from __future__ import annotations

import asyncio
import gc
import sys
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
    Make = Callable[..., asyncio.Future[Any]]

LINKS, DEEP, MANY = 1_000, 100_000, 10_000


class Owner:
    """The least that can settle a promise."""

    id = 1
    state = "queued"
    label = "the work"
    ahead = 0
    code = "work()"
    times = Times()
    output = OutputLog()
    cancelled_phase = None

    def unhandled(self, error: BaseException) -> dict[str, str]:
        """Say which command it is."""
        return {"command": self.label, "error": str(error)}

    def cancel(self, promise: Promise[Any], msg: object, mode: str | None) -> bool:
        """End it at once."""
        return promise._settle_cancelled(msg)

    def expression(self, promise: Promise[Any]) -> Any:
        """Say that there is no code on its value."""
        raise NotImplementedError


def measure(quick: bool) -> list[Figure]:
    """Alternate promises and futures that do the same; then count what promises keep."""
    return [
        *awaited(quick),
        *chained(quick),
        deepest_stack(),
        rolling(100_000 if quick else 1_000_000),
        *asyncio.run(sizes(MANY)),
    ]


# --- time ------------------------------------------------------------------------------------


def awaited(quick: bool) -> list[Figure]:
    """Compare one at a time: bare, shared as ``with_resolvers`` has it, and of a command."""
    repetitions, count = (5, 2_000) if quick else (25, MANY)
    ways: list[tuple[str, Work, Work, float]] = []
    for when, work, by_command, bar in (
        ("while pending", while_pending, command_while_pending, 1.5),
        ("when settled", when_settled, command_when_settled, 2.2),
    ):
        future = partial(work, asyncio.Future, count)
        ways += [
            (f"a promise / a future, awaited {when}", partial(work, Promise, count), future, bar),
            (f"a shared promise / a future, awaited {when}",
             partial(work, Promise._shared_on, count), future, bar),
            (f"a command's promise / a future, awaited {when}",
             partial(by_command, count), future, bar),
        ]  # fmt: skip
    return [versus(name, first, second, repetitions, bar) for name, first, second, bar in ways]


def chained(quick: bool) -> list[Figure]:
    """Compare many at once: in a chain, and gathered."""
    ways: list[tuple[str, Work, Work]] = [
        (f"a chain of {links:,}, by then / by add_done_callback",
         partial(chain_promises, links, count), partial(chain_futures, links, count))
        for links, count in ((LINKS, 10), (DEEP, 1))
    ]  # fmt: skip
    ways += [
        (f"{MANY:,} pending gathered, {name} / futures",
         partial(gathered, make), partial(gathered, asyncio.Future))
        for name, make in (("promises", Promise), ("shared promises", Promise._shared_on))
    ]  # fmt: skip
    return [versus(name, first, second, 5 if quick else 15, 2.0) for name, first, second in ways]


def versus(name: str, first: Work, second: Work, repetitions: int, bar: float) -> Figure:
    """Return the ratio of both, which alternate."""
    return ratio(name, *alternate(first, second, repetitions), bar=bar)


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


async def while_pending(make: Make, count: int) -> None:
    """Create each, await it, and have the loop settle it meanwhile."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        future = make(loop=loop)
        loop.call_soon(future.set_result, None)
        await future


async def when_settled(make: Make, count: int) -> None:
    """Create, settle and await each."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        future = make(loop=loop)
        future.set_result(None)
        await future


async def command_while_pending(count: int) -> None:
    """Do as ``while_pending`` does with promises that are made as ``bridge.send`` makes them."""
    loop, owner = asyncio.get_running_loop(), Owner()
    for _ in range(count):
        promise: Promise[None] = Promise(loop=loop)
        promise._attach(owner)
        loop.call_soon(promise.set_result, None)
        await promise


async def command_when_settled(count: int) -> None:
    """Do as ``when_settled`` does with such promises."""
    loop, owner = asyncio.get_running_loop(), Owner()
    for _ in range(count):
        promise: Promise[None] = Promise(loop=loop)
        promise._attach(owner)
        promise.set_result(None)
        await promise


async def gathered(make: Make) -> None:
    """Gather many that are pending, and settle them."""
    loop = asyncio.get_running_loop()
    futures = [make(loop=loop) for _ in range(MANY)]
    everything = asyncio.gather(*futures)
    for future in futures:
        future.set_result(None)
    await everything


async def chain_promises(links: int, count: int) -> None:
    """Build chains by ``then``, and send a value down each."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        first: Promise[int] = Promise(loop=loop)
        last = first
        for _ in range(links):
            last = last.then(add_one)
        first.set_result(0)
        assert await last == links


async def chain_futures(links: int, count: int) -> None:
    """Do the same by ``add_done_callback``."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        first: asyncio.Future[int] = asyncio.Future(loop=loop)
        last = first
        for _ in range(links):
            derived: asyncio.Future[int] = asyncio.Future(loop=loop)
            last.add_done_callback(partial(settle_by_hand, derived))
            last = derived
        first.set_result(0)
        assert await last == links


def settle_by_hand(derived: asyncio.Future[int], source: asyncio.Future[int]) -> None:
    """Do the least that a link must."""
    if derived.done():
        return
    try:
        derived.set_result(add_one(source.result()))
    except asyncio.CancelledError:
        derived.cancel()
    except Exception as error:  # noqa: BLE001 - whatever the handler raises
        derived.set_exception(error)


def add_one(value: int) -> int:
    """Stand for any handler."""
    return value + 1


# --- what is kept ----------------------------------------------------------------------------


def deepest_stack() -> Figure:
    """Count how much deeper the stack is under any handler of a long chain than under the first."""
    depths: set[int] = set()

    def look(value: int) -> int:
        depths.add(depth())
        return add_one(value)

    async def main() -> None:
        first: Promise[int] = Promise(loop=asyncio.get_running_loop())
        last = first
        for _ in range(DEEP):
            last = last.then(look)
        first.set_result(0)
        assert await last == DEEP

    asyncio.run(main())
    name = f"frames that {DEEP:,} prebuilt thens add to the stack"
    return Figure(name=name, unit="", values=(float(max(depths) - min(depths)),), bar=0.0)


def depth() -> int:
    """Return how many frames there are."""
    frame, count = sys._getframe(), 0
    while frame.f_back is not None:
        frame, count = frame.f_back, count + 1
    return count


def rolling(links: int) -> Figure:
    """Count the promises that ``p = p.then(f)`` keeps, at ten moments; the collector is off."""
    counts: list[float] = []

    async def main() -> None:
        promise = Promise.resolve(0)
        for link in range(links):
            promise = promise.then(add_one)
            await asyncio.sleep(0)
            if link % (links // 10) == 0:
                counts.append(live_promises())
        assert await promise == links

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()
    name = f"live promises of {links:,} rolling p = p.then(f)"
    return Figure(name=name, unit="", values=tuple(counts), bar=3.0)


def live_promises() -> int:
    """Count the promises that there are."""
    return sum(type(each) is Promise for each in gc.get_objects())


async def sizes(count: int) -> list[Figure]:
    """Count what is allocated for a promise, in the states that there are many of."""
    loop = asyncio.get_running_loop()
    source: Promise[int] = Promise(loop=loop)
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
            ("the same with its two resolvers", Promise.with_resolvers),
            ("the same by then, with its handler", lambda: source.then(add_one)),
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

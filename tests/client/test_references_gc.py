"""The garbage collector runs at any moment, in any thread: what it ends here only makes a note."""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
from typing import TYPE_CHECKING, Any, Self

import pytest

from asyncbridge import Binding, Ref, connect
from asyncbridge.client.references import References
from asyncbridge.client.session import Session
from asyncbridge.lifetime import Finalizers
from asyncbridge.transport.resumable import Resumable
from asyncbridge.transport.websocket import WebSocketWire
from asyncbridge.transport.writer import Writer
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncbridge.client import Bridge

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

ROUNDS = 150


class Watch:
    """Notes what is called while a finalizer runs, or the collector, in the same thread.

    Attributes:
        ended: How many finalizers of references and of bindings have run.
        collected: How many of them the collector has called.
        threads: Where they ran.
        wrong: What was called within, and may not be.
    """

    def __init__(self) -> None:
        self.ended = {References: 0, Finalizers: 0}
        self.collected = 0
        self.threads = set[int]()
        self.wrong: list[str] = []
        self._here = threading.local()

    @property
    def depth(self) -> int:
        """How deep in finalizers this thread is."""
        return getattr(self._here, "depth", 0)

    def collecting(self, phase: str, info: object) -> None:
        """Be called by the collector, at the beginning and at the end of each collection."""
        self._here.collects = phase == "start"
        self._here.depth = self.depth + (1 if phase == "start" else -1)

    def finalizer(self, kind: type[Any], method: Callable[..., None]) -> Callable[..., None]:
        """Wrap what is called when an object here is garbage."""

        @functools.wraps(method)
        def called(*args: Any) -> None:
            self.ended[kind] += 1
            self.collected += getattr(self._here, "collects", False)
            self.threads.add(threading.get_ident())
            self._here.depth = self.depth + 1
            try:
                method(*args)
            finally:
                self._here.depth -= 1

        return called

    def forbidden(self, what: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what writes, or may have to wait."""

        @functools.wraps(method)
        def called(*args: Any, **keywords: Any) -> Any:
            if self.depth:
                self.wrong.append(what)
            return method(*args, **keywords)

        return called


class Lock:
    """A lock that tells when it is taken."""

    def __init__(self, lock: Any, taken: Callable[[Callable[[], Any]], Callable[[], Any]]) -> None:
        self._lock, self._take = lock, taken(lock.acquire)

    def __enter__(self) -> Self:
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()


FORBIDDEN = (
    (Resumable, "write"),
    (WebSocketWire, "send"),
    (Writer, "wake"),
    (Writer, "wake_later"),
    (Writer, "push"),
    (Writer, "flush"),
    (Session, "release"),
    (Session, "release_collected"),
)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Watch finalizers, while almost every allocation has the collector run."""
    watch = Watch()
    for kind in (References, Finalizers):
        # The one that is tied to an object here; ``release()`` is no finalizer.
        monkeypatch.setattr(kind, "_enqueue", watch.finalizer(kind, vars(kind)["_enqueue"]))
    for owner, name in FORBIDDEN:
        method = watch.forbidden(f"{owner.__name__}.{name}", getattr(owner, name))
        monkeypatch.setattr(owner, name, method)
    thresholds = gc.get_threshold()
    gc.callbacks.append(watch.collecting)
    gc.set_threshold(1)
    yield watch
    gc.set_threshold(*thresholds)
    gc.callbacks.remove(watch.collecting)


def entangle(items: list[Any]) -> None:
    """Take what is in a list, and make garbage of it that only the collector finds."""
    cycle: list[object] = [*items]
    items.clear()
    cycle.append(cycle)


async def nothing_left(bridge: Bridge) -> None:
    """Wait until nothing lives in the worker, however it is told of that."""
    async with asyncio.timeout(HANG_S):
        while await bridge.bindings():
            gc.collect()
            await bridge.send("None")


async def one_round(bridge: Bridge, number: int) -> None:
    """Have references and bindings become garbage, some in another thread, while commands go."""
    bound = [await bridge.put([number])]
    made = [bridge.send("object()") for _ in range(3)]
    sums = [bridge.send("len(x) + n", {"x": bound[0], "n": n}) for n in range(3)]
    references = await asyncio.gather(*made)
    del made  # they have the references, too
    expression = references[0].anything
    assert await asyncio.gather(*sums) == [1, 2, 3]
    behind = [bridge.send("n", {"n": n}) for n in range(3)]
    await asyncio.to_thread(entangle, [references.pop()])
    entangle(bound)
    references.append(expression)
    del expression
    entangle(references)
    assert await asyncio.gather(*behind) == [0, 1, 2]


@pytest.mark.asyncio
async def test_finalizers_neither_send_nor_wait(watch: Watch) -> None:
    """Whenever they run, in whichever thread; afterwards the worker has nothing left."""
    async with connect(backend=None) as bridge:
        bridge._references._lock = Lock(  # type: ignore[assignment]  # as much of one as is used
            bridge._references._lock, functools.partial(watch.forbidden, "the lock")
        )
        for number in range(ROUNDS):
            await one_round(bridge, number)
        await nothing_left(bridge)
        assert len(bridge._references) == 0
        assert list(bridge._finalizers.names) == []
    assert watch.wrong == []
    assert watch.ended[References] == 3 * ROUNDS
    assert watch.ended[Finalizers] == ROUNDS
    assert watch.collected > 3 * ROUNDS
    assert len(watch.threads) > 1


@pytest.mark.asyncio
async def test_in_a_burst(watch: Watch) -> None:
    """Thousands of commands are written while what earlier ones have made is collected."""
    async with connect(backend=None) as bridge:
        things: list[Any] = await bridge.send("[object() for _ in range(500)]")
        assert all(type(thing) is Ref for thing in things)
        promises = []
        while things:
            entangle([things.pop()])
            promises += [bridge.send("n", {"n": number}) for number in range(4)]
        assert await asyncio.gather(*promises) == [0, 1, 2, 3] * 500
        await nothing_left(bridge)
    assert watch.wrong == []
    assert watch.ended[References] == 500
    assert watch.collected


def test_in_a_script(watch: Watch) -> None:
    """The loop has a thread of its own there, and another one sends while things are collected."""
    with connect(backend=None) as bridge:
        for number in range(ROUNDS):
            made = [bridge.send("object()").wait_for_value(HANG_S)]
            made.append(bridge.put([number]).wait_for_value(HANG_S))
            assert [type(each) for each in made] == [Ref, Binding]
            entangle(made)
            assert bridge.send("n", {"n": number}).wait_for_value(HANG_S) == number
        gc.collect()
        while bridge.bindings().wait_for_value(HANG_S):
            bridge.send("None").wait_for_value(HANG_S)
    assert watch.wrong == []
    assert watch.ended[References] == ROUNDS
    assert watch.collected

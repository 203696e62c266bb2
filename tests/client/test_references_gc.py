"""The garbage collector may run anywhere: what it finds is noted, and nothing else is done there."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import asyncbridge
from asyncbridge.client import connect
from asyncbridge.client.bridge import Bridge
from asyncbridge.client.references import References
from asyncbridge.lifetime import Finalizers
from asyncbridge.protocol.keeping import Told
from asyncbridge.testing import FakeWorker
from tests.limits import HANG_S

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks", "small_heap")]


@pytest.fixture
def small_heap() -> Iterator[None]:
    """Have collections look at what the test makes alone: each walks over all that there is."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


PACKAGE = str(Path(asyncbridge.__file__).parent)
HANDLES = 200
NOTED = {
    "References._enqueue",
    "Finalizers._enqueue",
    "Finalizers._bury",
    "Connected._wake_finalizers",
    "deque.append",
    "list.pop",
    "dict.get",
    "woken",
}
"""What a finalizer may call: ``woken`` is ``call_soon_threadsafe``."""


class Watch:
    """Sees what is called within finalizers, in the thread where the collector runs.

    Attributes:
        seen: Functions of ours, and those that they have called.
        amid: Functions of ours that the collector has come into.
        count: How many finalizers have run.
    """

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.amid: set[str] = set()
        self.count = 0
        self.inside = False

    def over(self, enqueue: Callable[..., None]) -> Callable[..., None]:
        """Return a finalizer that is watched."""

        def watched(*arguments: object) -> None:
            self.count += 1
            self._look_around(sys._getframe(1))
            before, self.inside = self.inside, True
            sys.setprofile(self._see)
            try:
                enqueue(*arguments)
            finally:
                sys.setprofile(self._see if before else None)
                self.inside = before

        return watched

    def waking(self, call_soon: Callable[..., object]) -> Callable[..., object]:
        """Return a loop's ``call_soon_threadsafe`` that is not looked into."""

        def woken(*arguments: object) -> object:
            sys.setprofile(None)
            try:
                return call_soon(*arguments)
            finally:
                sys.setprofile(self._see if self.inside else None)

        return woken

    def _see(self, frame: FrameType, event: str, called: Any) -> None:
        if event == "call" and (_is_ours(frame) or frame.f_code.co_name == "woken"):
            self.seen.add(_name(frame))
        elif event == "c_call" and _is_ours(frame):
            self.seen.add(called.__qualname__)

    def _look_around(self, frame: FrameType | None) -> None:
        while frame is not None:
            if _is_ours(frame):
                self.amid.add(frame.f_code.co_name)
            frame = frame.f_back


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(PACKAGE)


def _name(frame: FrameType) -> str:
    return str(frame.f_code.co_qualname).rpartition("<locals>.")[2]


class Guard:
    """A lock that no finalizer may ask for."""

    def __init__(self, watch: Watch, lock: Any) -> None:
        self._watch = watch
        self._lock = lock

    def __enter__(self) -> None:
        if self._watch.inside:
            self._watch.seen.add("a lock")
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Watch all finalizers; the collector is as before afterwards."""
    watch, thresholds = Watch(), gc.get_threshold()
    for kind in (References, Finalizers):
        monkeypatch.setattr(kind, "_enqueue", _watched(watch, kind._enqueue))
    yield watch
    sys.setprofile(None)
    gc.set_threshold(*thresholds)


def _watched(watch: Watch, enqueue: Callable[..., None]) -> Callable[..., None]:
    return watch.over(enqueue)


async def work_amid_collections(bridge: Bridge, watch: Watch) -> None:
    """Send commands while cycles of handles become garbage, with a collection at any allocation."""
    loop: Any = asyncio.get_running_loop()
    loop.call_soon_threadsafe = watch.waking(loop.call_soon_threadsafe)
    references: Any = bridge._references
    references._lock = Guard(watch, references._lock)
    handles: list[object] = await bridge.send(f"[object() for _ in range({HANDLES})]")
    handles += [await bridge.put(number) for number in range(HANDLES)]
    assert len(await bridge.bindings()) == 2 * HANDLES
    gc.collect()
    sent = []
    for number in range(HANDLES):
        # Each time at another allocation of what follows.
        gc.set_threshold(1 + number * 37 % 997)
        cycle: list[object] = [handles.pop(), handles.pop(0)]
        cycle.append(cycle)
        del cycle
        value = {"x": [number, (number, {"y": [number]})], "y": bytes(100)}
        sent.append(bridge.send("x[1][1]['y'][0]", value))
        if number % 10 == 9:
            assert await asyncio.gather(*sent) == list(range(number + 1 - len(sent), number + 1))
            sent.clear()
    gc.set_threshold(700)
    for _ in range(2):
        gc.collect()
        await asyncio.sleep(0)
        await bridge.send("None")
    assert [row for row in await bridge.bindings() if row.lifetime != "code"] == []
    assert watch.count >= 2 * HANDLES
    assert watch.seen <= NOTED
    assert {"References._enqueue", "Finalizers._enqueue", "woken"} <= watch.seen


async def test_a_collection_at_any_allocation(watch: Watch) -> None:
    """In the client, on the wire and in the worker: finalizers note, and wake the loop."""
    async with FakeWorker().connect() as bridge:
        await work_amid_collections(bridge, watch)
    assert {"send", "_encoded", "submit"} & watch.amid
    assert {"_read", "serve", "outgoing", "_receive", "_handle", "_feed"} & watch.amid


@pytest.mark.slow
async def test_over_a_real_connection(watch: Watch) -> None:
    """Likewise."""
    async with connect(backend=None) as bridge:
        await work_amid_collections(bridge, watch)
    assert {"send", "_encoded", "submit"} & watch.amid


class Home:
    """What references are of, in the place of a bridge."""


async def test_a_destructor_that_releases() -> None:
    """It may come by while another reference is made, in the thread that does so."""
    references = References(lambda: None)
    references.begin(Home, "life")
    first = references.claim(Told(1, "object", "", 0, ""))
    done = threading.Event()

    def make() -> None:
        with references._lock:  # as while one is made
            references.release(first, "by release()")
        done.set()

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    assert done.wait(HANG_S)
    thread.join()
    assert references.take() == ((1, 1),)


async def test_one_that_is_released_before_it_is_counted() -> None:
    """A value is read in a thread, and counted later: what it has told goes back."""
    references = References(lambda: None)
    references.begin(Home, "life")
    known = references.claim(Told(1, "object", "", 0, ""))
    assert references.of(Told(1, "object", "", 0, "")) is known
    references.release(known, "by release()")
    assert references.count([1]) == (1,)
    assert references.take() == ((1, 1),)
    again = references.of(Told(1, "object", "", 0, ""))
    assert references.uncounted([1, 2]) == [1]
    assert references.count([1]) == ()
    assert references.uncounted([1]) == []
    assert again is not known

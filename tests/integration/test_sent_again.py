"""Arrays that are sent again, between real processes: what travels, and what is seen of changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from asyncbridge.client import Bridge, connect
from asyncbridge.transport.streams import StreamBulk

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_leaks"), pytest.mark.asyncio]

MIB = 1024 * 1024
KINDS: dict[str, dict[str, Any]] = {"shared": {}, "streamed": {"shared_memory": 0}}
SUM = "int(x.sum())"


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of the buffers that are streamed to the worker."""
    sizes: list[int] = []
    real = StreamBulk.send

    async def noting(self: StreamBulk, buffer_id: str, buffer: Any) -> None:
        sizes.append(memoryview(buffer).nbytes)
        await real(self, buffer_id, buffer)

    monkeypatch.setattr(StreamBulk, "send", noting)
    return sizes


async def reuse(bridge: Bridge, kind: str) -> tuple[int, int, int]:
    """Return how often arrays were sent again in vain and not, and the bytes saved."""
    info = getattr((await bridge.info()).transfers, kind)
    return info.hits, info.misses, info.saved


@pytest.mark.parametrize("kind", KINDS)
async def test_the_same_arrays_again(kind: str, streamed: list[int]) -> None:
    """Two of them, three times: they travel once."""
    x, y = np.arange(MIB), np.full(300_000, 2.0)
    async with connect(backend=None, **KINDS[kind]) as bridge:
        for _ in range(3):
            assert await bridge.send("int(x.sum() + y.sum())", {"x": x, "y": y}) == (
                int(x.sum()) + 600_000
            )
        assert await reuse(bridge, kind) == (4, 0, 2 * (x.nbytes + y.nbytes))
        info = (await bridge.info()).transfers
    assert getattr(info, kind).kept == x.nbytes + y.nbytes
    assert streamed == ([] if kind == "shared" else [x.nbytes, y.nbytes])


@pytest.mark.parametrize("kind", KINDS)
async def test_every_change_is_seen(kind: str) -> None:
    """In the middle, of the last byte, through a view; here, and in the worker."""
    x = np.zeros(2 * MIB, np.uint8)
    async with connect(backend=None, **KINDS[kind]) as bridge:
        assert await bridge.send(SUM, {"x": x}) == 0
        x[MIB] = 1
        assert await bridge.send(SUM, {"x": x}) == 1
        x[-1] = 1
        assert await bridge.send(SUM, {"x": x}) == 2
        x.reshape(2, MIB)[0, 5:8] = 1
        assert await bridge.send(SUM, {"x": x}) == 5
        for _ in range(3):
            assert await bridge.send(f"x[:] = 0\n{SUM}", {"x": x}) == 0
        assert await bridge.send(SUM, {"x": x}) == 5
        assert await bridge.send(SUM, {"x": x[MIB:]}) == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_what_code_holds_stays_its_own(kind: str) -> None:
    """An array that the worker keeps is not the one that the next command gets."""
    x = np.zeros(2 * MIB, np.uint8)
    async with connect(backend=None, **KINDS[kind]) as bridge:
        await bridge.send("kept = x", {"x": x})
        for _ in range(2):
            assert await bridge.send(f"x[0] = 7\n{SUM}", {"x": x}) == 7
        assert await bridge.send("int(kept.sum())") == 0
        both = [bridge.send(f"x[{number}] = 1\n{SUM}", {"x": x}) for number in range(4)]
        assert [await one for one in both] == [1, 1, 1, 1]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_handle_is_used_by_many(kind: str, streamed: list[int]) -> None:
    """What was put goes across once, whatever uses it, also several at once."""
    one, two = np.ones(MIB, np.uint8), np.full(MIB, 2, np.uint8)
    async with connect(backend=None, **KINDS[kind]) as bridge:
        a, b = await bridge.put(one), await bridge.put(two)
        sums = [bridge.send(f"int({a}.sum() + {b}.sum()) + n", {"n": n}) for n in range(20)]
        assert [await one for one in sums] == [3 * MIB + n for n in range(20)]
    assert len(streamed) == (0 if kind == "shared" else 2)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_snapshot(kind: str) -> None:
    """What is changed as soon as ``send`` or ``put`` has returned is sent as it was."""
    x = np.zeros(2 * MIB, np.uint8)
    async with connect(backend=None, **KINDS[kind]) as bridge:
        sent = bridge.send(SUM, {"x": x}, copy=True)
        put = bridge.put(x, copy=True)
        x[:] = 1
        assert await sent == 0
        assert await bridge.send(f"int({await put}.sum())") == 0


async def test_a_worker_that_keeps_nothing(streamed: list[int]) -> None:
    """``cache=0`` says so: then it is streamed each time."""
    x = np.ones(MIB, np.uint8)
    async with connect(backend=None, shared_memory=0, cache=0) as bridge:
        for _ in range(3):
            assert await bridge.send(SUM, {"x": x}) == MIB
        assert await reuse(bridge, "streamed") == (0, 0, 0)
    assert len(streamed) == 3


async def test_little_room(streamed: list[int]) -> None:
    """What was used longest ago goes, and is streamed again."""
    arrays = [np.full(MIB, number, np.uint8) for number in range(3)]
    async with connect(backend=None, shared_memory=0, cache=2 * MIB) as bridge:
        for _ in range(2):
            for number, array in enumerate(arrays):
                assert await bridge.send(SUM, {"x": array}) == number * MIB
            assert (await bridge.info()).transfers.streamed.kept <= 2 * MIB
    assert len(streamed) == 6


async def test_figures_of_shared_memory() -> None:
    """Both sides', lent and free, within their limits."""
    x = np.ones(MIB, np.uint8)
    async with connect(backend=None, shared_memory=16 * MIB) as bridge:
        result = await bridge.send("kept = x\nx + 1", {"x": x})
        info = (await bridge.info()).transfers
        assert info.client is not None
        assert info.worker is not None
        assert (info.client.lent, info.client.total, info.client.limit) == (MIB, MIB, 16 * MIB)
        assert (info.worker.lent, info.worker.free) == (MIB, 0)
        del result
        await bridge.send("del kept")
        info = (await bridge.info()).transfers
        assert info.client is not None
        assert info.worker is not None
        assert (info.client.lent, info.client.free, info.worker.lent) == (0, MIB, 0)


async def test_many_sizes_at_random() -> None:
    """Whatever is kept, found and let go of meanwhile, each command has its own values."""
    rng = np.random.default_rng(11)
    arrays = [rng.integers(0, 9, int(size), np.uint8) for size in rng.integers(MIB, 4 * MIB, 6)]
    check: Callable[[np.ndarray[Any, Any]], int] = lambda array: int(array.sum())  # noqa: E731
    for options in KINDS.values():
        async with connect(backend=None, cache=6 * MIB, **options) as bridge:
            for _ in range(40):
                array = arrays[rng.integers(0, 6)]
                if rng.random() < 0.3:
                    array[rng.integers(0, len(array))] = rng.integers(0, 9)
                write = "x[:5] = 1\nNone\n" if rng.random() < 0.3 else ""
                before = check(array)
                told = bridge.send(f"s = int(x.sum())\n{write}s", {"x": array})
                assert await told == before

"""Values over a limit, between real processes: refused before anything is allocated for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from asyncbridge import stream
from asyncbridge.client import connect
from asyncbridge.errors import RemoteError, SourceError, TooLarge
from asyncbridge.protocol.messages import Hello
from tests.limits import HANG_S

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_leaks"), pytest.mark.asyncio]

MIB = 1024 * 1024
KINDS: dict[str, dict[str, Any]] = {"shared": {}, "streamed": {"shared_memory": 0}}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_value_over_the_limit(kind: str) -> None:
    """``send`` refuses it at once, a command with such a result fails; both name the sizes."""
    async with connect(backend=None, largest_value=MIB, **KINDS[kind]) as bridge:
        too_large = rf'^bindings\["x"\]: .* type ndarray with 2\d+ bytes where the limit is {MIB}: send parts'
        with pytest.raises(TooLarge, match=too_large):
            bridge.send("x", {"x": np.zeros(2_000_000, np.uint8)})
        with pytest.raises(RemoteError, match=f"the limit is {MIB}: ask for parts") as caught:
            await bridge.send("import numpy; numpy.zeros(2_000_000, numpy.uint8)")
        assert caught.value.type == "asyncbridge.errors.TooLarge"
        assert (await bridge.send("x + 1", {"x": np.zeros(MIB // 2, np.uint8)})).sum() == MIB // 2
        info = (await bridge.info()).transfers
        assert info.worker is None or info.worker.total <= MIB, "nothing was copied for it"


async def test_a_worker_that_does_not_heed_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client fetches nothing that is over its own, and the bridge goes on."""
    monkeypatch.setattr(
        "asyncbridge.protocol.messages.Hello", lambda **given: replace(Hello(**given), largest=0)
    )
    for options in KINDS.values():
        async with connect(backend=None, largest_value=MIB, **options) as bridge:
            with pytest.raises(TooLarge, match="the result has 2000000 bytes"):
                await bridge.send("import numpy; numpy.zeros(2_000_000, numpy.uint8)")
            assert await bridge.send("1 + 1") == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_little_may_be_on_the_way(kind: str) -> None:
    """More than that waits, one of any size goes alone, and all of it arrives."""
    arrays = [np.full(size, size % 7, np.uint8) for size in (100_000, 3 * MIB, 70_000, MIB) * 3]
    async with connect(backend=None, in_flight=MIB, **KINDS[kind]) as bridge:
        async with asyncio.timeout(HANG_S):
            back = await asyncio.gather(*(bridge.send("x", {"x": array}) for array in arrays))
    for array, other in zip(arrays, back, strict=True):
        assert np.array_equal(array, other)


async def test_less_shared_memory_than_a_value() -> None:
    """It takes the stream, both ways, while segments are held on both sides."""
    async with connect(backend=None, shared_memory=4 * MIB, in_flight=MIB) as bridge:
        held = await bridge.send("kept = x\nx", {"x": np.ones(3 * MIB, np.uint8)})
        async with asyncio.timeout(HANG_S):
            for _ in range(3):
                back = await bridge.send("x + 1", {"x": np.ones(5 * MIB, np.uint8)})
                assert back.sum() == 10 * MIB
    assert held.sum() == 3 * MIB


@pytest.mark.parametrize("kind", KINDS)
async def test_a_one_hot_result_counts_as_it_is_in_the_app(kind: str) -> None:
    """Not for the few bytes that it would travel as."""
    code = "import numpy; numpy.eye(1000, dtype='f4')[numpy.zeros(1000, int)]"
    async with connect(backend=None, largest_value=MIB, **KINDS[kind]) as bridge:
        with pytest.raises(RemoteError, match=f"the result has 4000.* the limit is {MIB}"):
            await bridge.send(code)
        assert await bridge.send("1 + 1") == 2


async def test_an_item_of_a_stream_over_the_limit() -> None:
    """The command fails, with the item's number."""
    items = [np.zeros(10, np.uint8), np.zeros(2 * MIB, np.uint8)]
    async with connect(backend=None, largest_value=MIB) as bridge:
        with pytest.raises(SourceError, match=r"item 1 of s has 2\d+ bytes.*cut it into"):
            await bridge.send("[i.nbytes for i in s]", {"s": stream(items)})
        assert await bridge.send("1 + 1") == 2

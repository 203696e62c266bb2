"""Who may pass, who waits, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from asyncbridge.protocol.limits import Bound
from asyncbridge.tasks import spawn
from asyncbridge.transport.gate import SMALL_BYTES, Gate, Gates

pytestmark = pytest.mark.asyncio


class Crowd:
    """Transfers at a gate, each of which stays until it is told to go."""

    def __init__(self, gate: Gate | Gates) -> None:
        self.gate = gate
        self.inside: list[int] = []
        self.go = [asyncio.Event() for _ in range(9)]

    def come(self, number: int, size: int) -> asyncio.Task[None]:
        async def pass_through() -> None:
            async with self.gate.passing(size):
                self.inside.append(number)
                await self.go[number].wait()
            self.inside.remove(number)

        return spawn(pass_through(), name=f"transfer {number}")

    async def leave(self, number: int) -> None:
        self.go[number].set()
        await turns()


async def turns() -> None:
    """Let every task go as far as it can."""
    for _ in range(6):
        await asyncio.sleep(0)


async def test_bytes_are_bounded() -> None:
    """Those that fit pass at once, the rest in order, also a small one behind a large one."""
    crowd = Crowd(Gate(Bound(count=9, size=10)))
    tasks = [crowd.come(number, size) for number, size in enumerate([4, 5, 8, 1])]
    await turns()
    assert crowd.inside == [0, 1]
    assert crowd.gate.size == 9
    await crowd.leave(0)
    assert crowd.inside == [1]
    await crowd.leave(1)
    assert crowd.inside == [2, 3]
    await crowd.leave(2)
    await crowd.leave(3)
    await asyncio.gather(*tasks)
    assert crowd.gate.size == 0


async def test_nobody_passes_those_who_wait() -> None:
    """Room is to be had at once where there is some, and nobody waits for it."""
    gate = Gate(Bound(count=9, size=10))
    assert [gate.enter_now(4), gate.enter_now(4), gate.enter_now(4)] == [True, True, False]
    waiting = spawn(gate.enter(6), name="waits")
    await turns()
    assert not gate.enter_now(1)
    gate.leave(4)
    await waiting
    assert (gate.count, gate.size) == (2, 10)


async def test_the_count_is_bounded() -> None:
    """However small they are."""
    crowd = Crowd(Gate(Bound(count=2, size=100)))
    tasks = [crowd.come(number, 1) for number in range(3)]
    await turns()
    assert crowd.inside == [0, 1]
    for number in range(3):
        await crowd.leave(number)
    await asyncio.gather(*tasks)


async def test_one_of_any_size_passes_alone() -> None:
    """Nobody waits for ever: it waits for the others to be over, and they for it."""
    crowd = Crowd(Gate(Bound(count=9, size=10)))
    tasks = [crowd.come(0, 3), crowd.come(1, 1000), crowd.come(2, 3)]
    await turns()
    assert crowd.inside == [0]
    await crowd.leave(0)
    assert crowd.inside == [1]
    await crowd.leave(1)
    assert crowd.inside == [2]
    await crowd.leave(2)
    await asyncio.gather(*tasks)


async def test_one_that_gives_up() -> None:
    """It lets those behind it go, whether it still waited or was just let in."""
    crowd = Crowd(Gate(Bound(count=9, size=10)))
    tasks = [crowd.come(0, 10), crowd.come(1, 9), crowd.come(2, 1)]
    await turns()
    tasks[1].cancel()
    await turns()
    assert crowd.inside == [0]
    crowd.go[0].set()
    await turns()
    assert crowd.inside == [2]
    late = crowd.come(3, 10)
    await turns()
    crowd.go[2].set()
    await asyncio.sleep(0)  # it leaves, and lets the last one in
    late.cancel()
    await turns()
    assert crowd.gate.size == 0
    await asyncio.gather(*tasks, late, return_exceptions=True)


async def test_small_ones_do_not_wait_for_large_ones() -> None:
    """They have a gate of their own, which bounds them, too."""
    crowd = Crowd(Gates(Bound(count=2, size=100 * SMALL_BYTES)))
    sizes = [500 * SMALL_BYTES, SMALL_BYTES + 1, SMALL_BYTES, 1, 1]
    tasks = [crowd.come(number, size) for number, size in enumerate(sizes)]
    await turns()
    assert crowd.inside == [0, 2, 3]
    assert crowd.gate.size == 501 * SMALL_BYTES + 1
    for number in range(5):
        await crowd.leave(number)
    await asyncio.gather(*tasks)

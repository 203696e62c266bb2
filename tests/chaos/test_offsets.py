"""Connections that are cut after each byte of a session, either way: nothing is lost or twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from asyncbridge.client import connect
from asyncbridge.errors import ConnectError
from tests.chaos.ledger import Ledger
from tests.chaos.net import Net, disturbed
from tests.chaos.plan import Way
from tests.chaos.workers import StandingWorker
from tests.limits import HANG_S

if TYPE_CHECKING:
    from asyncbridge.client import Bridge

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

STEP = 23
"""Every so many bytes where time is short; a prime, so that no structure of frames is met alone."""


class Exchange:
    """The same few commands again and again, on one session."""

    def __init__(self, bridge: Bridge, ledger: Ledger, net: Net) -> None:
        self.net = net
        self._bridge = bridge
        self._ledger = ledger
        self._number = 0

    async def run(self) -> None:
        """Send three commands, one of which fails, and look at their results and at the ledger."""
        numbers = [*range(self._number, self._number + 3)]
        self._number += 3
        a, b, c = numbers
        async with asyncio.timeout(HANG_S):
            got = await asyncio.gather(
                self._bridge.send(f"enter({a})\nx", {"x": b"bytes"}),
                self._bridge.send(f"enter({b})\nraise ValueError({b})"),
                self._bridge.send(f"enter({c})\n{c}"),
                return_exceptions=True,
            )
        assert [got[0], got[2]] == [b"bytes", c]
        assert getattr(got[1], "message", "") == str(b)
        assert self._ledger.new() == numbers

    async def bytes_of(self, way: Way, *, cut: bool) -> int:
        """Return how many bytes pass, with a new connection to begin with or not."""
        if cut:
            self.net.proxy.cut()
        before = self.net.proxy.passed[way]
        await self.run()
        return self.net.proxy.passed[way] - before


async def cut_at_each_byte(folder: Path, way: Way, step: int, *, first: bool) -> int:
    """Cut at bytes of the exchange; or of the connection behind a cut, and of the exchange there.

    Returns:
        How many cuts there were.
    """
    asyncio.get_running_loop().set_debug(False)
    ledger, cuts = Ledger(folder / "ledger"), 0
    async with disturbed(Net(folder / "proxy.sock")) as net, connect(backend=None) as bridge:
        await bridge.send(ledger.setup)
        exchange = Exchange(bridge, ledger, net)
        size = max([await exchange.bytes_of(way, cut=first) for _ in range(3)])
        for place in range(0, size + 1, step):
            struck = net.proxy.struck
            net.proxy.end_after(way, place)
            if first:
                net.proxy.cut()
            await exchange.run()
            net.proxy.calm()
            cuts += net.proxy.struck - struck
    return cuts


@pytest.mark.parametrize("way", get_args(Way))
@pytest.mark.parametrize("first", [False, True])
async def test_cut_at_bytes(way: Way, first: bool, folder: Path) -> None:
    """In mid-session, and in the middle of coming back."""
    assert await cut_at_each_byte(folder, way, STEP, first=first) > 3


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", get_args(Way))
@pytest.mark.parametrize("first", [False, True])
async def test_cut_at_each_byte(way: Way, first: bool, folder: Path) -> None:
    """The same at each of them."""
    assert await cut_at_each_byte(folder, way, 1, first=first) > 100


@pytest.mark.parametrize("way", get_args(Way))
async def test_cut_at_bytes_of_a_sessions_beginning(way: Way, folder: Path) -> None:
    """Whoever connects is told so by a ConnectError, or gets through; the worker goes on."""
    with StandingWorker(folder / "w") as worker:
        net = Net(folder / "proxy.sock", folder / "w" / "worker.sock")
        refused = opened = 0
        async with disturbed(net):
            for place in range(0, 1200, 41):
                net.proxy.end_after(way, place)
                try:
                    async with (
                        asyncio.timeout(HANG_S),
                        connect(f"unix://{net.proxy.front}", token=worker.token) as bridge,
                    ):
                        assert await bridge.send("1 + 1") == 2
                        opened += 1
                except ConnectError:
                    refused += 1
                net.proxy.calm()
    assert refused  # fewer than one would think: a request that was cut is made once more
    assert opened > 3

"""A worker that does not answer for a while is not dead: it goes on, and all comes."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from asyncbridge.client import connect
from tests.chaos.ledger import Ledger
from tests.chaos.net import Net, disturbed
from tests.limits import HANG_S

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def hold_the_interpreter(seconds: int, folder: Path, *, cut: bool) -> None:
    """Have C code keep the interpreter; the same process answers afterwards, and once."""
    ledger = Ledger(folder / "ledger")
    async with disturbed(Net(folder / "proxy.sock")) as net, connect(backend=None) as bridge:
        await bridge.send(ledger.setup)
        pid = (await bridge.info()).pid
        holding = bridge.send(f"enter(0)\nimport ctypes\nctypes.PyDLL(None).sleep({seconds})")
        behind = bridge.send("enter(1)\nos.getpid()")
        while not (ran := ledger.new()):
            await asyncio.sleep(0)
        assert ran == [0]
        if cut:
            net.proxy.cut()
        asked = bridge.info()  # it cannot be answered now
        async with asyncio.timeout(seconds + 30):
            while not asked.done():
                assert bridge.state not in ("lost", "closed")
                await asyncio.wait([asked], timeout=0.1)
            assert await holding == 0
            assert await behind == pid
        assert (await asked).pid == pid
    assert ledger.new() == [1]


@pytest.mark.parametrize("cut", [False, True])
async def test_c_code_that_keeps_the_interpreter(cut: bool, folder: Path) -> None:
    """No death is declared, with a connection or without; the result comes."""
    await hold_the_interpreter(2, folder, cut=cut)


@pytest.mark.nightly
@pytest.mark.parametrize("cut", [False, True])
async def test_c_code_that_keeps_the_interpreter_for_a_minute(cut: bool, folder: Path) -> None:
    """Likewise, for longer than any lease."""
    await hold_the_interpreter(60, folder, cut=cut)


@pytest.mark.parametrize("cut", [False, True])
async def test_a_worker_that_is_stopped(cut: bool, folder: Path) -> None:
    """Its commands wait, and those that are sent meanwhile; when it goes on, all of them run."""
    ledger = Ledger(folder / "ledger")
    async with disturbed(Net(folder / "proxy.sock")) as net, connect(backend=None) as bridge:
        await bridge.send(ledger.setup)
        pid = (await bridge.info()).pid
        before = [bridge.send(f"enter({number})\n{number}") for number in range(50)]
        os.kill(pid, signal.SIGSTOP)
        while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
            await asyncio.sleep(0)
        if cut:
            net.proxy.cut()
        after = [bridge.send(f"enter({number})\n{number}") for number in range(50, 100)]
        await asyncio.wait(after, timeout=0.05)
        assert bridge.state not in ("lost", "closed")
        assert not any(promise.done() for promise in after)
        os.kill(pid, signal.SIGCONT)
        async with asyncio.timeout(HANG_S):
            assert await asyncio.gather(*before, *after) == [*range(100)]
        assert (await bridge.info()).pid == pid
    assert ledger.new() == [*range(100)]

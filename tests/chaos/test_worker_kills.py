"""The worker is killed at each point of a command's life; what its promise tells is true."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from asyncbridge.client import Bridge, connect
from asyncbridge.errors import WorkerLost
from asyncbridge.protocol.messages import Accepted, Acknowledge, Command, Completed
from tests.chaos.going_on import go_on
from tests.chaos.ledger import Ledger
from tests.chaos.net import Net, disturbed
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from asyncbridge.protocol.messages import Message
    from tests.chaos.plan import Way

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

WAITS = "import threading; threading.Event().wait()"


class Scene:
    """A bridge whose frames are watched, and whose commands write into a ledger."""

    def __init__(self, bridge: Bridge, net: Net, ledger: Ledger, pid: int) -> None:
        self.bridge = bridge
        self.ledger = ledger
        self.pid = pid
        self._net = net

    def enter(self, number: int, code: str = "'value'") -> asyncio.Future[Any]:
        """Send a command that notes that it runs."""
        return self.bridge.send(f"enter({number})\n{code}")

    def kill(self) -> None:
        """Kill the worker now."""
        os.kill(self.pid, signal.SIGKILL)

    def kill_at(self, way: Way, kind: type, *, nth: int = 1, lose: bool = False) -> None:
        """Kill the worker as a message of some kind passes here, and lose it, too, or not."""
        seen = 0

        def watch(passing: Way, messages: list[Message]) -> bool:
            nonlocal seen
            here = [m for m in messages if passing == way and isinstance(m, kind)]
            before, seen = seen, seen + len(here)
            if before < nth <= seen:
                self.kill()
                return not lose
            return True

        self._net.frames.watch = watch

    def lose(self, way: Way, kind: type) -> None:
        """Let no frame pass that holds a message of some kind."""

        def watch(passing: Way, messages: list[Message]) -> bool:
            return passing != way or not any(isinstance(message, kind) for message in messages)

        self._net.frames.watch = watch

    async def lost(self, promise: asyncio.Future[Any]) -> str:
        """Return how far a command is told to have come."""
        with pytest.raises(WorkerLost) as error:
            async with asyncio.timeout(HANG_S):
                await promise
        assert error.value.signal == "SIGKILL"
        return error.value.phase


@asynccontextmanager
async def scene(folder: Path) -> AsyncGenerator[Scene]:
    """Set one up; afterwards the next bridge works, as far as the ledger goes."""
    ledger = Ledger(folder / "ledger")
    async with (
        disturbed(Net(folder / "proxy.sock")) as net,
        connect(backend=None, restart="never") as bridge,
    ):
        await bridge.send(ledger.setup)
        yield Scene(bridge, net, ledger, (await bridge.info()).pid)
        net.frames.watch = None
        await following(bridge, ledger)
    (folder / "ledger").unlink()


async def following(bridge: Bridge, ledger: Ledger) -> None:
    """Have a command run behind the worker's death."""
    async with asyncio.timeout(HANG_S):
        after = await go_on(bridge, backend=None)
        await after.send(ledger.setup)
        assert await after.send("enter(99)\n'goes on'") == "goes on"
        await after.close()
    assert ledger.new() == [99]


async def received(folder: Path) -> None:
    """It has come to the machine, and the worker has not read it: not started."""
    async with scene(folder) as at:
        os.kill(at.pid, signal.SIGSTOP)
        while psutil.Process(at.pid).status() != psutil.STATUS_STOPPED:
            await asyncio.sleep(0)
        at.kill_at("there", Command)
        assert await at.lost(at.enter(1)) == "not_started"
        assert at.ledger.new() == []


async def queued(folder: Path) -> None:
    """It waits behind another one: not started, and the other one is."""
    async with scene(folder) as at:
        running = at.enter(1, WAITS)
        while running.state != "running":  # type: ignore[attr-defined]  # a promise it is
            await asyncio.sleep(0)
        at.kill_at("back", Accepted)
        behind = at.enter(2)
        assert await at.lost(behind) == "not_started"
        assert await at.lost(running) == "started"
        assert at.ledger.new() == [1]


async def started(folder: Path) -> None:
    """It kills its own worker."""
    async with scene(folder) as at:
        running, behind = at.enter(1, f"os.kill({at.pid}, 9); {WAITS}"), at.enter(2)
        assert await at.lost(running) == "started"
        assert await at.lost(behind) == "not_started"
        assert at.ledger.new() == [1]


async def left_behind(folder: Path) -> None:
    """Its last line has run, and what it has put in the place of its output is flushed: started."""
    code = (
        "import sys\nclass Out:\n    def flush(self): os.kill(os.getpid(), 9)\nsys.stdout = Out()"
    )
    async with scene(folder) as at:
        done, behind = at.enter(1, code), at.enter(2)
        assert await at.lost(done) == "started"
        assert await at.lost(behind) == "not_started"
        assert at.ledger.new() == [1]


ENDS_WHEN_FINISHED = """
import threading
maps = open("/proc/self/maps").read().splitlines()
(journal,) = {line.split()[-1] for line in maps if line.endswith("/journal")}
def end():
    with open(journal, "rb", buffering=0) as file:
        while file.read(1) != b"\x02": file.seek(0)
    os.kill(os.getpid(), 9)
threading.Thread(target=end).start()
"""


async def finished(folder: Path) -> None:
    """Its journal says that it has come to its end, and its outcome is not told."""
    async with scene(folder) as at:
        at.lose("back", Completed)
        assert await at.lost(at.enter(1, ENDS_WHEN_FINISHED)) == "finished_unreported"
        assert at.ledger.new() == [1]


async def reported(folder: Path) -> None:
    """Its outcome has come: that is its outcome."""
    async with scene(folder) as at:
        at.kill_at("back", Completed)
        assert await at.enter(1) == "value"
        assert at.ledger.new() == [1]


async def reported_in_vain(folder: Path) -> None:
    """Its outcome was sent, and lost with the worker: finished, but unreported."""
    async with scene(folder) as at:
        at.kill_at("back", Completed, lose=True)
        assert await at.lost(at.enter(1)) == "finished_unreported"
        assert at.ledger.new() == [1]


async def acknowledged(folder: Path) -> None:
    """The client has said that it has the outcome; the command that says so is lost."""
    async with scene(folder) as at:
        assert await at.enter(1) == "value"
        at.kill_at("there", Acknowledge)
        behind = at.enter(2)
        phase = await at.lost(behind)
        ran = at.ledger.new()
        assert (phase, ran) in [
            ("not_started", [1]), ("started", [1]), ("started", [1, 2]),
            ("finished_unreported", [1, 2]),
        ]  # fmt: skip


POINTS: list[Callable[[Path], Awaitable[None]]] = [
    received, queued, started, left_behind, finished, reported, reported_in_vain, acknowledged,
]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at(point: Callable[[Path], Awaitable[None]], folder: Path) -> None:
    """At each point: a truth for each promise, no second run, and the next bridge works."""
    await point(folder)


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("point", POINTS)
async def test_killed_a_hundred_times(
    point: Callable[[Path], Awaitable[None]], folder: Path
) -> None:
    """The same, again and again."""
    for _ in range(100):
        await point(folder)

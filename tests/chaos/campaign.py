"""A campaign: commands and faults from one seed, on a real worker, and what came of them."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import TYPE_CHECKING, Any

from asyncbridge.client import connect
from asyncbridge.errors import AsyncBridgeError
from tests.chaos.account import Account
from tests.chaos.commands import command
from tests.chaos.going_on import go_on
from tests.chaos.ledger import Ledger
from tests.chaos.net import Net, disturbed
from tests.chaos.plan import PROCESS, draw
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from asyncbridge.client import Bridge
    from tests.chaos.plan import Step

__all__ = ["Broken", "Campaign"]

SETTLE_S = 60.0
"""Seconds within which the promises of one step settle."""
BURST = 12
"""Commands that are sent in one turn of the loop at most."""
PAUSE_S = 0.05
"""Seconds for which a worker is stopped at most."""


class Broken(AssertionError):
    """The bridge has broken its word; the text says how to see it again."""


class Campaign:
    """One seed's commands and faults, on one bridge after the other.

    Args:
        seed: Everything that is drawn is drawn from it.
        faults: How many.
        batch: Commands that are sent with each.
        folder: For the ledger and the proxy's socket; its path is short.
        only: The one step to do; None for all.
        net: The way to a worker that runs already, which is not killed; by default bridges
            start their own.
        options: Of ``connect``, in the place of those that are drawn.
    """

    def __init__(
        self,
        seed: int,
        *,
        faults: int,
        batch: int,
        folder: Path,
        only: int | None = None,
        net: Net | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.account = Account()
        self._seed = seed
        self._how = f"{seed} --faults {faults} --batch {batch}{' --tcp' if net else ''}"
        steps = draw(seed, faults, batch=batch, kills=net is None)
        self._steps = [step for step in steps if only in (None, step.number)]
        self._batch = batch
        self._net = net or Net(folder / "proxy.sock")
        self._ledger = Ledger(folder / "ledger")
        # With half of the seeds, large arrays pass the proxy as well.
        self._options: dict[str, Any] = {"backend": None, "restart": "never"}
        if seed % 2:
            self._options["shared_memory"] = 0
        self._options |= options or {}
        self._bridge: Bridge | None = None
        self._pid = 0

    async def run(self) -> Account:
        """Do all steps.

        Raises:
            Broken: After the first step in which the bridge has broken its word.
        """
        before = asyncio.all_tasks()
        async with disturbed(self._net):
            try:
                for step in self._steps:
                    await self._do(step)
            finally:
                if self._bridge is not None:
                    await self._bridge.close(timeout=0)
        if left := await lasting(asyncio.all_tasks() - before):
            raise Broken(f"seed {self._seed}: tasks are left: {left}")
        return self.account

    async def _do(self, step: Step) -> None:
        try:
            async with asyncio.timeout(3 * SETTLE_S):
                wrong = await self._step(step)
        except TimeoutError:
            wrong = ["the bridge does not answer any more"]
        if wrong:
            told = "\n  ".join(wrong[:5])
            again = f"python -m tests.chaos.replay {self._how}"
            raise Broken(
                f"seed {self._seed}, {step}:\n  {told}\n{self.account}\n"
                f"To see it again: {again}\nThat step alone: {again} --only {step.number}"
            )

    async def _step(self, step: Step) -> list[str]:
        """Send commands while a fault comes about; return what is wrong."""
        if self._bridge is None:
            self._bridge = await self._prepared(await connect(**self._options))
        bridge, struck = self._bridge, self._net.struck
        self._net.arm(step)
        promises = await self._send(step, bridge)
        if promises:
            await asyncio.wait(promises.values(), timeout=SETTLE_S)
        self.account.commands += self._batch
        self.account.faults += 1
        killed = step.kind == "kill"
        wrong = self.account.take(self._seed, promises, self._ledger.new(), killed=killed)
        if not wrong:
            if killed:
                bridge = self._bridge = await go_on(bridge, **self._options)
                await self._prepared(bridge)
            wrong = await self._follow(step, bridge, struck)
        self._net.calm()
        return wrong

    async def _prepared(self, bridge: Bridge) -> Bridge:
        await bridge.send(self._ledger.setup)
        self._pid = (await bridge.info()).pid
        return bridge

    async def _follow(self, step: Step, bridge: Bridge, struck: int) -> list[str]:
        """Send commands until the fault has come about, and one more; return what is wrong."""
        try:
            async with asyncio.timeout(SETTLE_S):
                while step.kind not in PROCESS and self._net.struck == struck:
                    await bridge.send("0")
                got = await bridge.send("1 + 1")
        except (AsyncBridgeError, TimeoutError) as error:
            self.account.lost += 1
            return [f"a command behind it ended by {error!r}"]
        return [] if got == 2 else [f"1 + 1 is {got!r}"]

    async def _send(self, step: Step, bridge: Bridge) -> dict[int, asyncio.Future[Any]]:
        """Send commands in bursts, and stop or kill the worker where that is the fault."""
        chance = random.Random(f"{self._seed} {step.number}")
        promises: dict[int, asyncio.Future[Any]] = {}
        burst = chance.randint(1, BURST)
        for place in range(self._batch):
            if place == step.after and step.kind in PROCESS:
                self._signal(step, self._pid)
            if bridge.state in ("lost", "closed"):  # it takes nothing any more, as is right
                break
            number = step.number * self._batch + place
            promises[number] = bridge.send(*command(self._seed, number))
            burst -= 1
            if burst <= 0:
                burst = chance.randint(1, BURST)
                await asyncio.sleep(0)
        return promises

    def _signal(self, step: Step, pid: int) -> None:
        if step.kind == "kill":
            self.account.kills += 1
            os.kill(pid, signal.SIGKILL)
            return
        os.kill(pid, signal.SIGSTOP)
        loop = asyncio.get_running_loop()
        loop.call_later(PAUSE_S * step.chance, os.kill, pid, signal.SIGCONT)


async def lasting(tasks: set[asyncio.Task[Any]]) -> list[str]:
    """Return the names of tasks that do not end by themselves."""
    if not tasks:
        return []
    _, left = await asyncio.wait(tasks, timeout=HANG_S)
    return sorted(task.get_name() for task in left)

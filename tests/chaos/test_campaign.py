"""Many commands and many faults on real workers: nothing lost, twice, misrouted or unsettled."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from tests.chaos.account import Account
from tests.chaos.campaign import Campaign
from tests.chaos.net import Net
from tests.chaos.workers import TcpWorker

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

BATCH = 100
NEW = dt.datetime.now(dt.UTC).date().toordinal() * 100
"""The first of a night's seeds: others than the night before, and the same all night."""


def check(account: Account, faults: int) -> None:
    """Look whether all was done, and nothing went wrong."""
    assert account.is_clean, account
    assert (account.faults, account.commands) == (faults, faults * BATCH)
    assert account.values + account.errors > account.commands * 0.8, account
    assert account.errors > 0


async def run(seed: int, faults: int, folder: Path) -> None:
    """Run a seed's campaign."""
    asyncio.get_running_loop().set_debug(False)  # it would take half of the time
    check(await Campaign(seed, faults=faults, batch=BATCH, folder=folder).run(), faults)


async def run_on_tcp(seed: int, faults: int, folder: Path) -> None:
    """Run a seed's campaign over TCP."""
    asyncio.get_running_loop().set_debug(False)
    with TcpWorker(folder / "w") as worker:
        net = Net(worker.front, worker.back)
        how = {"url": worker.url, "token": worker.token}
        campaign = Campaign(seed, faults=faults, batch=BATCH, folder=folder, net=net, options=how)
        check(await campaign.run(), faults)


@pytest.mark.parametrize("seed", range(4))
async def test_faults_of_every_kind(seed: int, folder: Path) -> None:
    """Faults of frames, of bytes, and of the process: each promise is kept."""
    await run(seed, 40, folder)


@pytest.mark.parametrize("seed", range(4, 6))
async def test_faults_over_tcp(seed: int, folder: Path) -> None:
    """The same over TCP, where connections are reset."""
    await run_on_tcp(seed, 20, folder)


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(NEW, NEW + 80))
async def test_many_more_faults(seed: int, folder: Path) -> None:
    """Other seeds every night."""
    await run(seed, 100, folder)


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(NEW + 80, NEW + 100))
async def test_many_more_faults_over_tcp(seed: int, folder: Path) -> None:
    """Other seeds every night, over TCP."""
    await run_on_tcp(seed, 100, folder)

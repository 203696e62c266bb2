from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from asyncbridge.errors import Phase, RemoteError, WorkerLost
from tests.chaos.account import Account
from tests.chaos.commands import binding, raises
from tests.chaos.ledger import Ledger

pytestmark = pytest.mark.asyncio

SEED = 1
VALUED = [number for number in range(50) if not raises(SEED, number)]
RAISING = [number for number in range(50) if raises(SEED, number)]


def settled(outcome: Any) -> asyncio.Future[Any]:
    """Return a future that has ended so."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
    return future


def own(number: int) -> asyncio.Future[Any]:
    """Return a command's promise with its own result."""
    if raises(SEED, number):
        return settled(RemoteError("ValueError", str(number)))
    x = binding(SEED, number)
    return settled((number, x + x))


async def test_all_is_well() -> None:
    """Each command has run once, in order, and has its own result."""
    account, numbers = Account(), [*VALUED[:3], *RAISING[:1]]
    assert account.take(SEED, {n: own(n) for n in sorted(numbers)}, sorted(numbers)) == []
    assert account == Account(values=3, errors=1)
    assert account.is_clean


@pytest.mark.parametrize(
    ("ran", "field"),
    [([0, 0, 1], "twice"), ([1, 0], "misrouted"), ([0], "lost"), ([0, 1, 9], "misrouted")],
)
async def test_the_ledger_is_believed(ran: list[int], field: str) -> None:
    """Twice, out of order, not at all, and what nobody has sent."""
    account = Account()
    a, b = VALUED[:2]
    renamed = [{0: a, 1: b}.get(number, 99) for number in ran]
    assert account.take(SEED, {a: own(a), b: own(b)}, renamed)
    assert getattr(account, field) >= 1
    assert not account.is_clean


async def test_the_result_of_another() -> None:
    """A value, or an error, that is not the command's own."""
    a, b = VALUED[:2]
    for wrong in (own(b), own(RAISING[0])):
        account = Account()
        assert account.take(SEED, {a: wrong}, [a])
        assert account.misrouted == 1


async def test_a_promise_that_does_not_settle() -> None:
    """It is counted."""
    account, a = Account(), VALUED[0]
    waits: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    assert account.take(SEED, {a: waits}, [a])
    assert account.unsettled == 1


@pytest.mark.parametrize(
    ("phase", "runs", "true"),
    [("not_started", 0, True), ("not_started", 1, False), ("started", 1, True),
     ("finished_unreported", 0, False), ("finished_unreported", 1, True), ("unknown", 1, True)],
)  # fmt: skip
async def test_what_is_told_of_a_dead_workers_commands(phase: Phase, runs: int, true: bool) -> None:
    """It is held against the ledger; and a worker that was not killed has not died."""
    a = VALUED[0]
    account = Account()
    wrong = account.take(SEED, {a: settled(WorkerLost("x", phase=phase))}, [a] * runs, killed=True)
    assert (wrong == []) is true
    assert (account.gone, account.is_clean) == (1, true)
    account = Account()
    assert account.take(SEED, {a: settled(WorkerLost("x", phase=phase))}, [a] * runs)
    assert account.lost == 1


async def test_the_ledger_tells_what_is_new(tmp_path: Path) -> None:
    """By the very code that workers run."""
    ledger = Ledger(tmp_path / "ledger")
    names: dict[str, Any] = {}
    exec(ledger.setup, names)
    names["enter"](7)
    assert ledger.new() == [7]
    names["enter"](8)
    names["enter"](8)
    assert ledger.new() == [8, 8]
    assert ledger.new() == []
    os.close(names["ledger"])

"""The shelf: outcomes go to files past a bound, come back whole, and are dropped with a reason."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from asyncbridge.protocol.messages import Command, Completed, Failed, Fault, Payload
from asyncbridge.protocol.worker import WorkerProtocol
from asyncbridge.transport.bulk import BulkStore
from asyncbridge.worker.shelf import Shelf

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

SIZE = 10_000


def finished(count: int, *, size: int = SIZE) -> WorkerProtocol:
    """Return a session whose commands have all come to values of that size, large ones beside."""
    session = WorkerProtocol(incarnation="w", named=True)
    for number in range(1, count + 1):
        session.ledger.take(Command(id=number, code=""), 0)
        value = Payload(header=number, buffers=(bytes([number]) * 10,), size=size)
        session.ledger.finish(Completed(id=number, value=value), "completed", size)
        session.ledger.hold(number, {f"{number}-0": bytes([number]) * size})
    return session


async def put_away(shelf: Shelf, session: WorkerProtocol, store: BulkStore | None = None) -> None:
    """Have a shelf look after a session until it has no more to do."""
    shelf.add(session, store or BulkStore())
    shelf.look(session)
    await shelf.rested.wait()


async def test_a_few_stay_in_memory() -> None:
    """Below the bound nothing is written."""
    shelf = Shelf(memory=10 * SIZE)
    session = finished(5)
    await put_away(shelf, session)
    assert (shelf.filed, session.ledger.memory) == (0, shelf.memory)


async def test_they_come_back_whole() -> None:
    """The message and the large buffers, from the file; the newest has never left."""
    shelf = Shelf(memory=1)
    session = finished(4)
    await put_away(shelf, session)
    for number in (1, 2, 3):
        outcome = session.ledger.outcomes[number]
        assert outcome.message is None
        assert outcome.stored is not None
        message = outcome.told()
        assert isinstance(message, Completed)
        assert message.value.header == number
        assert [bytes(part) for part in message.value.buffers] == [bytes([number]) * 10]  # type: ignore[arg-type]  # none is large
        assert outcome.stored.buffers() == {f"{number}-0": bytes([number]) * SIZE}
    assert session.ledger.outcomes[4].stored is None
    session.ledger.acknowledge([1, 2, 3])
    assert shelf.filed == 0
    shelf.close()


async def test_what_may_be_fetched_is_fetched_from_the_file() -> None:
    """A buffer on offer takes no memory besides."""
    shelf, session, store = Shelf(memory=1), finished(2), BulkStore()
    held = bytes([1]) * SIZE
    store.offer(1, {"1-0": held})
    await put_away(shelf, session, store)
    offered = store.take("1-0")
    assert offered == held
    assert offered is not held
    shelf.close()


async def test_failures_too() -> None:
    """A fault comes back with its text."""
    session = finished(0)
    for number in (1, 2):
        session.ledger.take(Command(id=number, code=""), 0)
        fault = Fault(type="ValueError", message="no", text="t" * SIZE)
        session.ledger.finish(Failed(id=number, fault=fault), "failed", SIZE)
    shelf = Shelf(memory=1)
    await put_away(shelf, session)
    assert session.ledger.outcomes[1].stored is not None
    told = session.ledger.outcomes[1].told()
    assert isinstance(told, Failed)
    assert told.fault.text == "t" * SIZE
    shelf.close()


async def test_what_is_had_meanwhile_is_not_put_away() -> None:
    """It was being written when its client said that it has it: nothing of it is left."""
    shelf, session = Shelf(memory=1), finished(2)
    shelf.add(session, BulkStore())
    shelf.look(session)
    session.ledger.acknowledge([1, 2])
    await shelf.rested.wait()
    assert (shelf.memory, shelf.filed) == (0, 0)


async def test_the_oldest_file_goes() -> None:
    """As a whole, and all that was in it is told as dropped; the rest is there."""
    limit = 16 * 2 * SIZE
    shelf, session = Shelf(memory=1, limit=limit), finished(100)
    await put_away(shelf, session)
    assert shelf.filed <= limit
    left = list(session.ledger.outcomes)
    assert left == list(range(left[0], 101))
    assert len(left) > 20
    assert {session.ledger.gone(number).code for number in range(1, left[0])} == {"dropped"}
    assert f"{limit} bytes of results may wait" in session.ledger.gone(1).message
    shelf.close()


async def test_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What memory has no room for is dropped, and the text says by what."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    shelf, session = Shelf(memory=1), finished(3)
    await put_away(shelf, session)
    assert list(session.ledger.outcomes) == [3]
    assert "could not be written to a file: [Errno 2]" in session.ledger.gone(2).message
    assert "cannot be put away" in caplog.text


async def test_the_session_that_has_most_goes_first() -> None:
    """A small one keeps its outcomes in memory beside one that fills it."""
    small, large = finished(2), finished(50)
    shelf = Shelf(memory=10 * SIZE)
    shelf.add(small, BulkStore())
    await put_away(shelf, large)
    assert all(outcome.stored is None for outcome in small.ledger.outcomes.values())
    assert large.ledger.outcomes[1].stored is not None
    shelf.close()

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from asyncbridge.client import Bridge, opening
from asyncbridge.client.connectors import AttachedWorker, Worker
from asyncbridge.client.opening import greet, start_worker
from asyncbridge.client.options import Options
from asyncbridge.errors import AsyncBridgeError, ConnectError, WorkerLost, WorkerStartError

if TYPE_CHECKING:
    from typing import Any

    from asyncbridge.client.session import Session
    from asyncbridge.transport.contract import Link

pytestmark = pytest.mark.asyncio

SESSION = cast("Session", object())
LOST = WorkerLost("killed by SIGKILL", signal="SIGKILL", stderr_tail="last words")


class ScriptedWorker(Worker):
    """Ends when the test says so."""

    def __init__(self, kind: str = "local") -> None:
        self.kind = kind
        self.end: asyncio.Future[WorkerLost] = asyncio.get_running_loop().create_future()

    async def dial(self, session: str) -> Link:
        raise NotImplementedError

    async def ended(self) -> WorkerLost:
        return await asyncio.shield(self.end)

    async def verdict(self, reason: str) -> WorkerLost:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    def kill(self) -> None:
        raise NotImplementedError


async def never(_: Worker) -> Session:
    """Wait for an answer that does not come."""
    answer: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
    return await answer


async def answered(_: Worker) -> Session:
    """Get an answer at once."""
    return SESSION


def failing(error: Exception) -> Any:
    """Return a dialling that fails."""

    async def fail(_: Worker) -> Session:
        raise error

    return fail


async def test_an_answer_gives_the_session() -> None:
    """And no task is left."""
    before = asyncio.all_tasks()
    assert await greet(ScriptedWorker(), answered, 5) is SESSION
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_a_worker_that_ends_first_did_not_start() -> None:
    """With its last words."""
    worker = ScriptedWorker()
    worker.end.set_result(LOST)
    with pytest.raises(WorkerStartError, match="SIGKILL, before it answered") as caught:
        await greet(worker, never, 5)
    assert caught.value.stderr_tail == "last words"


async def test_a_broken_connection_waits_for_the_supervisors_word() -> None:
    """The process may just be ending: then its own words say more."""
    worker = ScriptedWorker()

    async def broken(_: Worker) -> Session:
        asyncio.get_running_loop().call_soon(worker.end.set_result, LOST)
        raise ConnectError("reset")

    with pytest.raises(WorkerStartError, match="SIGKILL"):
        await greet(worker, broken, 5)


async def test_a_refusal_by_a_worker_that_lives_is_its_own_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once the supervisor had its time."""
    monkeypatch.setattr(opening, "VERDICT_SECONDS", 0.0)
    with pytest.raises(ConnectError, match="refused"):
        await greet(ScriptedWorker(), failing(ConnectError("refused")), 5)


async def test_an_attached_worker_that_refuses_is_not_waited_for() -> None:
    """Nobody sees its process."""
    async with asyncio.timeout(2):
        with pytest.raises(ConnectError, match="refused"):
            await greet(ScriptedWorker("attached"), failing(ConnectError("refused")), 5)


async def test_an_error_of_another_kind_is_raised_as_it_is() -> None:
    """It is a fault here, and hidden behind nothing."""
    with pytest.raises(LookupError):
        await greet(ScriptedWorker(), failing(LookupError()), 5)


async def test_a_local_worker_that_takes_too_long_did_not_start() -> None:
    """The text names the limit and how to raise it."""
    with pytest.raises(WorkerStartError, match=r"within 0\.01 s.*connect_timeout="):
        await greet(ScriptedWorker(), never, 0.01)


async def test_an_attached_worker_that_takes_too_long_is_not_connected() -> None:
    """``connect`` says: ConnectError when there is none to attach to."""
    with pytest.raises(ConnectError, match=r"within 0\.01 s.*connect_timeout="):
        await greet(ScriptedWorker("attached"), never, 0.01)


async def test_a_cancelled_greeting_leaves_no_task() -> None:
    """Both are cancelled with it."""
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await greet(ScriptedWorker(), never, 5)
    for _ in range(3):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


class Ending:
    """What a bridge that watches its worker sees of a session."""

    def __init__(self) -> None:
        self.closed: asyncio.Future[AsyncBridgeError] = asyncio.get_running_loop().create_future()
        self.errors: list[AsyncBridgeError] = []

    def end(self, error: AsyncBridgeError) -> None:
        self.errors.append(error)


async def test_the_end_of_the_process_ends_the_session() -> None:
    """With the supervisor's word."""
    worker, session = ScriptedWorker(), Ending()
    worker.end.set_result(LOST)
    await Bridge(Options())._watch_one(worker, cast("Session", session))
    assert session.errors == [LOST]


async def test_a_session_that_ended_by_itself_is_left_alone() -> None:
    """Its end is known already."""
    worker, session = ScriptedWorker(), Ending()
    session.closed.set_result(ConnectError("over"))
    await Bridge(Options())._watch_one(worker, cast("Session", session))
    assert session.errors == []


async def test_a_url_starts_nothing(tmp_path: Any) -> None:
    """It names a worker."""
    worker = await start_worker(Options(url="http://localhost:1", token="t"))
    assert isinstance(worker, AttachedWorker)
    await worker.close()

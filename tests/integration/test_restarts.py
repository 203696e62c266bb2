"""Workers that end, and what becomes of the bridge and of its commands."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge import Restart, connect
from asyncbridge.errors import BridgeClosed, DependencyError, StateLost, WorkerLost
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asyncbridge.client import Bridge
    from asyncbridge.promise import Promise
    from tests.integration.conftest import Gate

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.slow]

DIE = "import os; os.kill(os.getpid(), 9)"


async def error_of(promise: Promise[Any]) -> BaseException:
    """Return what a promise is rejected with."""
    await asyncio.wait([promise])
    error = promise.exception()
    assert error is not None
    return error


@pytest.mark.asyncio
async def test_the_bridge_goes_on_with_another_worker(connected: Callable[[], Bridge]) -> None:
    """What ran is lost, what had not begun is run by the successor, once, and in order."""
    async with connected() as bridge:
        first = bridge.incarnation
        pid = (await bridge.info()).pid
        dying = bridge.send(DIE)
        behind = [bridge.send("n", {"n": n}) for n in range(2000)]
        error = await error_of(dying)
        assert isinstance(error, WorkerLost)
        assert (error.phase, error.signal) == ("started", "SIGKILL")
        assert await asyncio.gather(*behind) == list(range(2000))
        assert bridge.state == "open"
        assert bridge.incarnation not in ("", first)
        assert (await bridge.info()).pid != pid
        assert await bridge.send("1 + 1") == 2


@pytest.mark.asyncio
async def test_each_command_runs_once_at_most(
    connected: Callable[[], Bridge], tmp_path: Path
) -> None:
    """Whatever each of several workers has done before its end."""
    ledger = tmp_path / "ledger"
    code = (
        f"import os\nfile = os.open({str(ledger)!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "os.write(file, b'%d\\n' % n); os.fsync(file)\nos.close(file)\n"
        "if n % 50 == 49: os.kill(os.getpid(), 9)\nn"
    )
    policy = Restart(limit=100, backoff=0)
    async with connect(backend=None, restart=policy) as bridge:
        promises = [bridge.send(code, {"n": n}) for n in range(200)]
        await asyncio.wait(promises)
    done = [int(line) for line in ledger.read_text().splitlines()]
    assert done == sorted(set(done))
    for number, promise in enumerate(promises):
        error = promise.exception()
        if error is None:
            assert promise.result() == number
            assert number in done
        else:
            assert isinstance(error, WorkerLost)
            assert (error.phase != "not_started") == (number in done)
    lost = [number for number, promise in enumerate(promises) if promise.exception() is not None]
    assert {49, 99, 149, 199} <= set(lost)
    assert len(done) == 200


@pytest.mark.asyncio
async def test_what_needs_something_lost_is_refused(connected: Callable[[], Bridge]) -> None:
    """By name; what the commands behind make anew is not lost."""
    async with connected() as bridge:
        await bridge.send("import math\nx = 5")
        kept = await bridge.put([1, 2], name="kept")
        dying = bridge.send(DIE)
        needs_x = bridge.send("x + 1")
        needs_module = bridge.send("def f(): return math.pi\nf()")
        needs_binding = bridge.send(f"len({kept})")
        hidden = bridge.send("globals()['x']")
        fresh = bridge.send("x = 7")
        after_fresh = bridge.send("x + 1")
        own = bridge.send("kept + [3]", {"kept": [0]})
        depends = bridge.send("2", after=[needs_x])
        await error_of(dying)
        for promise, names in (
            (needs_x, ("x",)),
            (needs_module, ("math",)),
            (needs_binding, ("kept",)),
        ):
            error = await error_of(promise)
            assert isinstance(error, StateLost)
            assert (error.names, error.phase) == (names, "not_started")
            assert all(repr(name) in str(error) for name in names)
        assert isinstance(await error_of(hidden), StateLost)
        assert (await fresh, await after_fresh, await own) == (None, 8, [0, 3])
        cause = await error_of(depends)
        assert isinstance(cause, DependencyError)
        assert isinstance(cause.__cause__, StateLost)


@pytest.mark.asyncio
async def test_what_was_lost_is_said_for_as_long_as_it_is(
    connected: Callable[[], Bridge],
) -> None:
    """Bindings are known here; a name that is given anew is there again."""
    async with connected() as bridge:
        kept = await bridge.put([1, 2], name="kept")
        bound = bridge.send("base + 1", {"base": 1}, lifetime="eternal")
        assert await bound == 2
        await error_of(bridge.send(DIE))
        for code, name in ((f"len({kept})", "kept"), ("base", "base")):
            error = await error_of(bridge.send(code))
            assert isinstance(error, StateLost)
            assert error.names == (name,)
        again = await bridge.put([3], name="kept")
        assert await bridge.send(f"{again} + base", {"base": [4]}) == [3, 4]


@pytest.mark.asyncio
async def test_an_id_is_used_once(connected: Callable[[], Bridge]) -> None:
    """Over all workers of a bridge: it names one command, and no other."""
    async with connected() as bridge:
        await bridge.send("1")
        dying = bridge.send(DIE)
        await error_of(dying)
        after = bridge.send("2")
        assert await after == 2
        assert (dying.command_id, after.command_id) == (2, 3)


@pytest.mark.asyncio
async def test_who_does_not_want_it_is_told(connected: Callable[[], Bridge]) -> None:
    """A command may be kept from the successor."""
    async with connected() as bridge:
        dying, behind = bridge.send(DIE), bridge.send("1", requeue=False)
        error = await error_of(behind)
        assert isinstance(error, WorkerLost)
        assert (type(error), error.phase) == (WorkerLost, "not_started")
        await error_of(dying)


@pytest.mark.asyncio
async def test_each_is_told_which_command_it_was(connected: Callable[[], Bridge]) -> None:
    """By its name and its line; a value without a name of one's own, by where it was put."""
    async with connected() as bridge:
        kept = await bridge.put([1, 2])
        dying, needy = bridge.send(DIE, name="night job"), bridge.send(f"len({kept})")
        late = (await error_of(dying), bridge.send(f"len({kept})"))[1]
        lost = await error_of(dying)
        assert isinstance(lost, WorkerLost)
        assert "(night job, command 2, phase: started)" in str(lost)
        assert lost.command is not None
        assert (lost.command.id, lost.command.name, lost.command.code) == (2, "night job", DIE)
        (note,) = lost.__notes__
        assert note.startswith(f"night job (command 2) was sent from {__file__}:")
        for promise in needy, late:
            state = await error_of(promise)
            assert isinstance(state, StateLost)
            assert str(state).startswith(f"it needs what was put at {__file__}:")
            assert state.names == (kept.name,)
            assert state.command is not None
            assert state.command.id == (promise.command_id or 0)  # a late one never had one


@pytest.mark.asyncio
async def test_large_bindings_are_sent_again(connected: Callable[[], Bridge]) -> None:
    """They were on their way, or in the lost worker's memory."""
    x = np.arange(500_000, dtype=np.float64)
    async with connected() as bridge:
        dying = bridge.send(DIE)
        sums = [bridge.send("float(x.sum())", {"x": x}) for _ in range(5)]
        texts = bridge.send("len(x)", {"x": [str(n) for n in range(100_000)]})
        await error_of(dying)
        assert await asyncio.gather(*sums) == [x.sum()] * 5
        assert await texts == 100_000


@pytest.mark.asyncio
async def test_commands_that_are_sent_meanwhile_wait(connected: Callable[[], Bridge]) -> None:
    """They are sent as ever, may be cancelled, and reach the successor; so do questions."""
    async with connected() as bridge:
        states = bridge.states()
        assert await anext(states) == "open"
        os.kill((await bridge.info()).pid, signal.SIGKILL)
        assert await anext(states) == "reconnecting"
        promise, dropped = bridge.send("40 + 2"), bridge.send("1")
        assert (promise.state, dropped.cancel()) == ("pending", True)
        info = bridge.info()
        assert await promise == 42
        assert (await info).state == "ready"
        assert dropped.cancelled()
        assert await anext(states) == "open"
    assert [state async for state in states] == ["closing", "closed"]


@pytest.mark.parametrize(
    ("restart", "code", "goes_on"),
    [
        ("on-failure", "import os; os._exit(0)", False),
        ("always", "import os; os._exit(0)", True),
        ("on-failure", "import os; os._exit(3)", True),
        ("never", "import os; os._exit(3)", False),
    ],
)
@pytest.mark.asyncio
async def test_the_policy_decides(restart: str, code: str, goes_on: bool) -> None:
    """By how the process ended."""
    async with connect(backend=None, restart=restart) as bridge:  # type: ignore[arg-type]
        dying, behind = bridge.send(code), bridge.send("5")
        await error_of(dying)
        await asyncio.wait([behind])
        if goes_on:
            assert behind.result() == 5
            return
        error = behind.exception()
        assert isinstance(error, WorkerLost)
        assert error.phase == "not_started"
        assert bridge.state == "lost"
        with pytest.raises(WorkerLost):
            bridge.send("6")


@pytest.mark.asyncio
async def test_one_that_ends_again_and_again_is_lost() -> None:
    """With the reason, and each command with its own."""
    policy = Restart(limit=2, backoff=0)
    async with connect(backend=None, restart=policy) as bridge:
        promises = [bridge.send(DIE) for _ in range(5)]
        errors = [await error_of(promise) for promise in promises]
        phases = [error.phase for error in errors if isinstance(error, WorkerLost)]
        assert phases == ["started"] * 3 + ["not_started"] * 2
        assert "too often" in str(errors[-1])
        assert bridge.state == "lost"


@pytest.mark.asyncio
async def test_cancelling_by_force_keeps_the_bridge(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """Only the command, and what the worker held, is gone."""
    async with connected() as bridge:
        stuck, behind = bridge.send(gate.code), bridge.send("3")
        await gate.reached()
        await bridge.info()  # it is known to run
        stuck.cancel(mode="kill")
        assert await behind == 3
        assert stuck.cancelled()


@pytest.mark.asyncio
async def test_code_that_never_lets_the_worker_speak_is_killed(tmp_path: Path) -> None:
    """Though it was never told to have begun; such ends are wanted, and not counted."""
    entered = tmp_path / "entered"
    os.mkfifo(entered)
    async with connect(backend=None, restart=Restart(limit=0)) as bridge:
        for _ in range(2):
            await bridge.send("import ctypes\nlibc = ctypes.PyDLL(None)")
            stuck = bridge.send(
                "libc.system(f': > {entered}; sleep 1000'.encode())", {"entered": str(entered)}
            )
            behind = bridge.send("3")
            await asyncio.to_thread(entered.read_text)
            assert stuck.cancel(mode="kill")
            assert await behind == 3
            assert (stuck.cancelled(), stuck.cancelled_phase) == (True, "running")


@pytest.mark.asyncio
async def test_a_kill_waits_for_what_stands_before_its_command(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """What has not begun is taken out of the queue; the worker is left alone."""
    async with connected() as bridge:
        pid = (await bridge.info()).pid
        running, queued = bridge.send(gate.code), bridge.send("3")
        await gate.reached()
        assert queued.cancel(mode="kill")
        with pytest.raises(asyncio.CancelledError):
            await queued
        gate.open()
        assert await running == "passed"
        assert (await bridge.info()).pid == pid


@pytest.mark.asyncio
async def test_a_bridge_is_closed_while_it_waits_for_a_worker() -> None:
    """Nothing is left, and what waited is told."""
    policy = Restart(limit=9, backoff=1000, longest=1000)
    async with connect(backend=None, restart=policy, close_timeout=0.1) as bridge:
        for _ in range(2):
            await error_of(bridge.send(DIE))
        promise = bridge.send("1")
        assert bridge.state == "reconnecting"
        with pytest.warns(ResourceWarning, match="unfinished"):
            await bridge.close()
    assert isinstance(await error_of(promise), BridgeClosed)
    assert bridge.state == "closed"


def test_a_script_goes_on_too() -> None:
    """Its bridge blocks where the other one is awaited."""
    with connect(backend=None) as bridge:
        dying = bridge.send(DIE)
        behind = bridge.send("4")
        with pytest.raises(WorkerLost):
            dying.wait_for_value(timeout=HANG_S)
        assert behind.wait_for_value(timeout=HANG_S) == 4

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING

import psutil
import pytest

from asyncbridge.client import connect
from asyncbridge.errors import (
    BridgeClosed,
    RemoteError,
    WorkerLost,
    WorkerStartError,
    WrongLoopError,
)
from asyncbridge.protocol.limits import Bound
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client import Bridge
    from asyncbridge.promise import Promise
    from tests.integration.conftest import Gate, Script

pytestmark = pytest.mark.usefixtures("no_leaks")

MIB = 1024 * 1024


def test_a_script_waits_for_values_and_has_callbacks(connected: Callable[[], Bridge]) -> None:
    """No loop of its own is needed; callbacks run before the block is left."""
    seen: list[int] = []
    with connected() as bridge:
        promise = bridge.send("6 * 7")
        assert promise.wait_for_value(timeout=HANG_S) == 42
        bridge.send("n + 1", {"n": 1}).then(seen.append).wait_for_value(timeout=HANG_S)
        with pytest.raises(RemoteError, match="ZeroDivisionError"):
            bridge.send("1 / 0").wait_for_value(timeout=HANG_S)
        assert bridge.info().wait_for_value(timeout=HANG_S).state == "ready"
    assert seen == [2]


def test_leaving_the_block_finishes_what_was_sent(connected: Callable[[], Bridge]) -> None:
    """The values are there afterwards; nobody has to wait for each."""
    with connected() as bridge:
        promises = [bridge.send("n", {"n": n}) for n in range(100)]
    assert [promise.result() for promise in promises] == list(range(100))
    assert promises[0].wait_for_value() == 0


def test_callbacks_of_the_last_commands_run_before_the_block_is_left(
    connected: Callable[[], Bridge],
) -> None:
    """``then(print)`` at the end of a script prints."""
    seen: list[int] = []
    with connected() as bridge:
        for number in range(50):
            bridge.send("n", {"n": number}).then(seen.append)
    assert seen == list(range(50))


def test_a_time_limit_of_waiting_leaves_the_promise_alive(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """It can be waited for again."""
    with connected() as bridge:
        promise = bridge.send(gate.code)
        gate.reached_sync()
        with pytest.raises(TimeoutError):
            promise.wait_for_value(timeout=0.01)
        gate.open()
        assert promise.wait_for_value(timeout=HANG_S) == "passed"


def test_a_for_loop_reads_the_output(connected: Callable[[], Bridge]) -> None:
    """It ends when the bridge has closed."""
    with connected() as bridge:
        reader = bridge.output()
        bridge.send("for i in range(3): print('line', i)")
        first = next(reader)
        assert first.text == "line 0"
    assert [line.text for line in reader] == ["line 1", "line 2"]


def test_any_thread_may_use_a_sync_bridge(connected: Callable[[], Bridge]) -> None:
    """Each thread's commands keep their order."""
    with connected() as bridge:
        bridge.send("seen = []")

        def work(name: int) -> None:
            for number in range(50):
                bridge.send("seen.append(p)", {"p": [name, number]})

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seen = bridge.send("seen").wait_for_value(timeout=HANG_S)
    assert len(seen) == 200
    for name in range(4):
        assert [number for who, number in seen if who == name] == list(range(50))


def test_a_full_backlog_blocks_a_sync_bridge_until_there_is_room(no_leaks: None) -> None:
    """Where an async one raises ``QueueFull``, a script just goes slower."""
    with connect(backend=None, backlog=Bound(count=2, size=MIB)) as bridge:
        promises = [bridge.send("n", {"n": n}) for n in range(500)]
        assert [promise.wait_for_value(20) for promise in promises] == list(range(500))


def test_a_sender_that_blocks_is_freed_when_the_worker_ends(gate: Gate, no_leaks: None) -> None:
    """It gets an error, and does not hang."""
    with connect(backend=None, restart="never", backlog=Bound(count=1, size=MIB)) as bridge:
        pid = bridge.info().wait_for_value(20).pid
        bridge.send(gate.code)
        gate.reached_sync()
        errors: list[BaseException] = []

        def flood() -> None:
            try:
                while True:  # past the worker's window, then past the backlog
                    bridge.send("1")
            except (BridgeClosed, WorkerLost) as error:
                errors.append(error)

        thread = threading.Thread(target=flood)
        thread.start()
        while bridge._session is not None and bridge._session.protocol.backlogged == 0:
            os.sched_yield()
        os.kill(pid, signal.SIGKILL)
        thread.join(20)
        assert not thread.is_alive()
        assert len(errors) == 1


def test_drain_and_close_are_promises_in_a_script_too(connected: Callable[[], Bridge]) -> None:
    """They are waited for like any other."""
    with connected() as bridge:
        promise = bridge.send("1")
        bridge.drain().wait_for_value(20)
        bridge.close().wait_for_value(20)
        assert promise.wait_for_value(0) == 1
        assert bridge.state == "closed"


def test_a_loop_in_this_thread_needs_the_async_form(connected: Callable[[], Bridge]) -> None:
    """``with`` would block it; the text says so."""

    async def main() -> None:
        with pytest.raises(WrongLoopError, match="async with"), connected():
            pass

    asyncio.run(main())


def test_a_worker_that_does_not_start_raises_at_with(no_leaks: None) -> None:
    """And the background thread is gone."""
    with pytest.raises(WorkerStartError), connect(backend=None, python="/nonexistent"):
        pass


def test_an_exception_in_the_block_waits_for_nothing(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """What was unfinished is rejected, and it is there to be seen."""
    promises: list[Promise[object]] = []
    with pytest.raises(ZeroDivisionError), connected() as bridge:
        promises.append(bridge.send(gate.code))
        gate.reached_sync()
        raise ZeroDivisionError
    with pytest.raises(BridgeClosed):
        promises[0].wait_for_value(0)


def test_a_promise_of_a_sync_bridge_can_be_awaited_elsewhere(
    connected: Callable[[], Bridge],
) -> None:
    """A loop of the app's own may wait for it."""
    with connected() as bridge:

        async def main() -> object:
            return await bridge.send("6 * 7")

        assert asyncio.run(main()) == 42


# --- Ctrl-C ---

# With no grace that could end while the test waits: what is asked to end does so at once.
PATIENT = """
import asyncbridge
from asyncbridge.client import connectors
connectors.STOP_SECONDS = 10_000
"""
SYNC = f"""{PATIENT}
with asyncbridge.connect(backend=None) as bridge:
    print(bridge.info().wait_for_value().pid, flush=True)
    promise = bridge.send({{code!r}})
    promise.wait_for_value()
"""
ASYNC = f"""{PATIENT}
import asyncio
async def main():
    async with asyncbridge.connect(backend=None) as bridge:
        print((await bridge.info()).pid, flush=True)
        await bridge.send({{code!r}})
asyncio.run(main())
"""


@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["with", "asyncio.run"])
def test_ctrl_c_while_a_command_runs_ends_the_program_and_the_worker(
    run_script: Callable[[str], Script], gate: Gate, program: str
) -> None:
    """The KeyboardInterrupt gets out, no grace is waited for, and no process or folder is left."""
    script = run_script(program.format(code=gate.code))
    pid = int(script.line())
    gate.reached_sync()
    script.process.send_signal(signal.SIGINT)
    _, errors = script.finish()
    assert script.process.returncode == -signal.SIGINT, errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "never retrieved" not in errors
    assert "ResourceWarning" not in errors
    assert not psutil.pid_exists(pid)
    assert script.folders_left == []


WAITING = """
import asyncbridge
print("ready", flush=True)
with asyncbridge.connect(backend=None, python={python!r}) as bridge:
    pass
"""


def test_ctrl_c_while_the_worker_starts_ends_the_program(
    run_script: Callable[[str], Script], gate: Gate, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A start that takes long can be given up."""
    python = tmp_path_factory.mktemp("p") / "python"
    python.write_text(f"#!/bin/sh\n: > {gate._entered}\nexec sleep 600\n", encoding="utf-8")
    python.chmod(0o700)
    script = run_script(WAITING.format(python=str(python)))
    gate.reached_sync()
    script.process.send_signal(signal.SIGINT)
    _, errors = script.finish()
    assert script.process.returncode == -signal.SIGINT, errors
    assert script.folders_left == []

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from asyncbridge.client import connectors, current_bridge
from asyncbridge.errors import BridgeClosed
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client import Bridge
    from asyncbridge.promise import Promise
    from tests.integration.conftest import Gate, Script

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.asyncio
async def test_leaving_the_block_finishes_what_was_sent(connected: Callable[[], Bridge]) -> None:
    """Every promise has its value afterwards, those in the backlog included."""
    async with connected() as bridge:
        promises = [bridge.send("n", {"n": n}) for n in range(3_000)]
    assert [promise.result() for promise in promises] == list(range(3_000))
    assert bridge.state == "closed"


@pytest.mark.asyncio
async def test_leaving_the_block_by_an_exception_waits_for_nothing(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """A running command is rejected with BridgeClosed, and the exception goes on."""
    running: list[Promise[object]] = []
    with pytest.raises(ZeroDivisionError):
        async with connected() as bridge:
            running += [bridge.send(gate.code), bridge.send("1")]
            await gate.reached()
            raise ZeroDivisionError
    for promise in running:
        with pytest.raises(BridgeClosed):
            await promise


@pytest.mark.asyncio
async def test_a_deadline_of_closing_is_told_and_kept(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """A ResourceWarning names the bridge; what was unfinished is rejected with BridgeClosed."""
    bridge = await connected().__aenter__()
    running, queued = bridge.send(gate.code), bridge.send("1")
    await gate.reached()
    with pytest.warns(ResourceWarning, match=r"2 pending.*unfinished commands after 0\.05 s"):
        await bridge.close(timeout=0.05)
    for promise in (running, queued):
        with pytest.raises(BridgeClosed):
            await promise


@pytest.mark.asyncio
async def test_closing_twice_is_closing_once(connected: Callable[[], Bridge]) -> None:
    """The second call returns the first's promise, also after the block."""
    async with connected() as bridge:
        promise = bridge.close()
        assert bridge.close() is promise
        await promise
        with pytest.raises(BridgeClosed, match="closed"):
            bridge.send("1")
    assert bridge.close() is promise


@pytest.mark.asyncio
async def test_a_bridge_is_entered_once(connected: Callable[[], Bridge]) -> None:
    """The text says what it is now."""
    bridge = connected()
    async with bridge:
        with pytest.raises(BridgeClosed, match="entered once; this one is open"):
            await bridge.__aenter__()
        assert await bridge.send("1") == 1
    with pytest.raises(BridgeClosed, match="entered once; this one is closed"):
        await bridge.__aenter__()


@pytest.mark.asyncio
async def test_a_new_bridge_refuses_and_says_how_to_open_it(
    connected: Callable[[], Bridge],
) -> None:
    """Every method does."""
    bridge = connected()
    calls: list[Callable[[], object]] = [
        lambda: bridge.send("1"),
        lambda: bridge.run(len, []),
        lambda: bridge.put(1),
        bridge.info,
        bridge.output,
        bridge.drain,
        bridge.close,
    ]
    for call in calls:
        with pytest.raises(BridgeClosed, match="async with asyncbridge.connect"):
            call()


@pytest.mark.asyncio
async def test_a_closed_bridge_refuses(connected: Callable[[], Bridge]) -> None:
    """Every method that would send does."""
    async with connected() as bridge:
        pass
    calls: list[Callable[[], object]] = [
        lambda: bridge.send("1"),
        lambda: bridge.run(lambda: 1),
        lambda: bridge.put(1),
        bridge.info,
        bridge.output,
    ]
    for call in calls:
        with pytest.raises(BridgeClosed, match="closed"):
            call()


@pytest.mark.asyncio
async def test_a_task_that_is_cancelled_inside_the_block_waits_for_nothing(
    connected: Callable[[], Bridge], gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task ends as cancelled, before any grace is over; nothing is left of the worker."""
    monkeypatch.setattr(connectors, "STOP_SECONDS", 10 * HANG_S)
    pids: list[int] = []

    async def work() -> None:
        async with connected() as bridge:
            pids.append((await bridge.info()).pid)
            await bridge.send(gate.code)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        await gate.reached()
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert not psutil.pid_exists(pids[0])


@pytest.mark.asyncio
async def test_a_closing_that_is_cancelled_goes_on(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """Whoever waits may give up; a second wait sees the end."""
    bridge = await connected().__aenter__()
    running = bridge.send(gate.code)
    await gate.reached()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await bridge.close()
    assert bridge.state == "closing"
    gate.open()
    await bridge.close()
    assert running.result() == "passed"
    assert bridge.state == "closed"


@pytest.mark.asyncio
async def test_a_handler_may_send_while_the_bridge_is_open(
    connected: Callable[[], Bridge],
) -> None:
    """A chain that is awaited inside the block sends from its handlers."""
    async with connected() as bridge:
        assert await bridge.send("20").then(lambda n: bridge.send("n + 1", {"n": n})) == 21


@pytest.mark.asyncio
async def test_a_chain_that_is_not_awaited_is_finished_by_leaving_the_block(
    connected: Callable[[], Bridge],
) -> None:
    """What a handler sends while the bridge closes is part of what is unfinished."""
    async with connected() as bridge:
        chain = bridge.send("20").then(lambda n: bridge.send("n + 1", {"n": n}))
    assert await chain == 21


@pytest.mark.asyncio
async def test_a_command_that_ignores_signals_ends_with_the_bridge(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """SIGTERM may be masked by what runs: the supervisor kills after a while."""
    pid = 0
    with pytest.raises(ZeroDivisionError):
        async with connected() as bridge:
            pid = (await bridge.info()).pid
            bridge.send(gate.code)
            await gate.reached()
            os.kill(pid, 19)  # SIGSTOP: it cannot even be asked
            raise ZeroDivisionError
    assert pid
    assert not psutil.pid_exists(pid)


# --- which bridge is the current one ---


@pytest.mark.asyncio
async def test_the_entered_bridge_is_the_current_one_the_inner_one_wins(
    connected: Callable[[], Bridge],
) -> None:
    """After the inner block the outer is current again, after that none."""
    assert current_bridge() is None
    async with connected() as outer:
        assert current_bridge() is outer
        async with connected() as inner:
            assert current_bridge() is inner
        assert current_bridge() is outer
    assert current_bridge() is None


@pytest.mark.asyncio
async def test_elsewhere_the_only_open_bridge_is_the_current_one(
    connected: Callable[[], Bridge],
) -> None:
    """In a context where none was entered; with two open ones there is none."""
    elsewhere = contextvars.Context()
    async with connected() as one:
        assert elsewhere.run(current_bridge) is one
        async with connected():
            assert elsewhere.run(current_bridge) is None
        assert elsewhere.run(current_bridge) is one
    assert elsewhere.run(current_bridge) is None


# --- never closed ---


FORGETFUL = """
import asyncio, gc, sys, warnings
warnings.simplefilter("always", ResourceWarning)
import asyncbridge

async def main():
    bridge = await asyncbridge.connect(backend=None).__aenter__()
    print((await bridge.info()).pid, flush=True)

{run}
gc.collect()
print("collected", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    "run",
    ["asyncio.run(main())", "runner = asyncio.Runner(); runner.run(main()); runner.close()"],
    ids=["asyncio.run", "a runner that is held"],
)
def test_a_bridge_that_nobody_closes_warns_and_its_worker_ends(
    run_script: Callable[[str], Script], run: str
) -> None:
    """Once its loop has ended it is garbage: the finalizer tells, and kills."""
    script = run_script(FORGETFUL.format(run=run))
    pid = int(script.line())
    assert script.line() == "collected"
    try:
        assert gone(pid)
    finally:
        _, errors = script.finish()
    assert "never closed" in errors
    assert "Traceback" not in errors


def test_a_program_that_ends_without_closing_leaves_nothing(
    run_script: Callable[[str], Script],
) -> None:
    """Not even a folder, nor a traceback: the supervisor sees to that."""
    script = run_script(
        "import asyncio, asyncbridge\n"
        "async def main():\n"
        "    bridge = await asyncbridge.connect(backend=None).__aenter__()\n"
        "    print((await bridge.info()).pid)\n"
        "asyncio.run(main())\n"
    )
    pid = int(script.line())
    _, errors = script.finish()
    assert script.process.returncode == 0, errors
    assert gone(pid)
    assert not left(script)
    assert "Traceback" not in errors


def test_a_sync_bridge_that_nobody_closes_ends_with_the_program(
    run_script: Callable[[str], Script],
) -> None:
    """The program's end does not hang on the background thread, and the worker goes."""
    script = run_script(
        "import asyncbridge\n"
        "bridge = asyncbridge.connect(backend=None).__enter__()\n"
        "print(bridge.info().wait_for_value().pid)\n"
    )
    pid = int(script.line())
    _, errors = script.finish()
    assert script.process.returncode == 0, errors
    assert gone(pid)
    assert not left(script)
    assert "Traceback" not in errors


def gone(pid: int) -> bool:
    """Tell whether a process has ended, within a while."""
    try:
        psutil.Process(pid).wait(timeout=HANG_S)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def left(script: Script) -> list[str]:
    """Return the folders that a program has left, once its supervisor had the time to clean up."""
    deadline = time.monotonic() + 5
    while script.folders_left and time.monotonic() < deadline:
        os.sched_yield()  # another process's doing, of which nobody tells
    return script.folders_left


@pytest.mark.slow
def test_a_fork_that_ends_leaves_the_worker_alone(run_script: Callable[[str], Script]) -> None:
    """It is its parent's, whose next command runs."""
    script = run_script(
        "import os, sys\n"
        "import asyncbridge\n"
        "with asyncbridge.connect(backend=None) as bridge:\n"
        "    bridge.send('1').wait_for_value()\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        sys.exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    print(bridge.send('5').wait_for_value(), flush=True)\n"
    )
    assert script.line() == "5"
    assert script.finish()[0] == ""

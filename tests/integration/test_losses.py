from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from asyncbridge.client import connect
from asyncbridge.errors import BridgeClosed, WorkerLost, WorkerStartError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asyncbridge.client import Bridge
    from asyncbridge.promise import Promise
    from tests.integration.conftest import Gate

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture
def connected() -> Callable[[], Bridge]:
    """Return what makes bridges whose worker has no successor."""
    return lambda: connect(backend=None, restart="never")


async def loss_of(promise: Promise[object]) -> WorkerLost:
    """Return the loss that the promise is rejected with."""
    with pytest.raises(WorkerLost) as caught:
        await promise
    return caught.value


# --- a worker that ends ---


@pytest.mark.parametrize(
    ("death", "exit_code", "signal_name"),
    [
        ("import os; os._exit(3)", 3, None),
        ("import os; os.abort()", None, "SIGABRT"),
        ("import os; os.kill(os.getpid(), 9)", None, "SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", None, "SIGSEGV"),
    ],
)
async def test_a_worker_that_ends_rejects_each_promise_with_its_phase(
    connected: Callable[[], Bridge], death: str, exit_code: int | None, signal_name: str | None
) -> None:
    """The journal tells exactly: what had finished, what ran, and what had not started."""
    async with connected() as bridge:
        before = bridge.send("1")
        dying = bridge.send(death, name="the last")
        behind = [bridge.send("2") for _ in range(3)]
        loss = await loss_of(dying)
        assert (loss.phase, loss.exit_code, loss.signal) == ("started", exit_code, signal_name)
        for promise in behind:
            assert (await loss_of(promise)).phase == "not_started"
        await asyncio.wait([before])
        error = before.exception()  # its value may have been on the way
        assert error is None or isinstance(error, WorkerLost)
        assert error is None or error.phase == "finished_unreported"
        assert bridge.state == "lost"
        with pytest.raises(WorkerLost) as caught:
            bridge.send("3")
        assert caught.value.phase == "not_started"
        assert caught.value.exit_code == exit_code


async def test_a_worker_killed_from_outside_is_told_at_once(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """The running command had started; commands beyond the window never left the client."""
    async with connected() as bridge:
        pid = (await bridge.info()).pid
        running = bridge.send(gate.code)
        queued = [bridge.send("n", {"n": n}) for n in range(3_000)]
        await gate.reached()
        await bridge.info()
        os.kill(pid, signal.SIGKILL)
        assert (await loss_of(running)).phase == "started"
        phases = {(await loss_of(promise)).phase for promise in queued}
        assert phases == {"not_started"}


async def test_a_loss_shows_the_workers_last_words(connected: Callable[[], Bridge]) -> None:
    """What it wrote to standard error stands in the text."""
    code = "import os, sys\nprint('the last words', file=sys.stderr)\nos._exit(7)"
    async with connected() as bridge:
        loss = await loss_of(bridge.send(code))
        assert loss.exit_code == 7
        assert "exited with status 7" in str(loss)
        assert "the last words" in loss.stderr_tail
        assert "the last words" in str(loss)


async def test_an_idle_worker_that_ends_is_noticed(connected: Callable[[], Bridge]) -> None:
    """With nothing on its way, ``info`` and ``drain`` and ``output`` end as well."""
    async with connected() as bridge:
        reader = bridge.output()
        os.kill((await bridge.info()).pid, signal.SIGKILL)
        assert [line async for line in reader] == []
        assert bridge.state == "lost"
        with pytest.raises(WorkerLost):
            bridge.send("1")
        with pytest.raises(WorkerLost):
            await bridge.info()
        await bridge.drain()


async def test_info_on_its_way_to_a_worker_that_ends_is_rejected(
    connected: Callable[[], Bridge],
) -> None:
    """It is no promise that stays for ever."""
    async with connected() as bridge:
        pid = (await bridge.info()).pid
        os.kill(pid, signal.SIGSTOP)
        pending = bridge.info()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerLost):
            await pending


async def test_a_large_array_on_its_way_to_a_worker_that_ends_is_lost_with_it(
    connected: Callable[[], Bridge],
) -> None:
    """Its command was not started."""
    async with connected() as bridge:
        pid = (await bridge.info()).pid
        os.kill(pid, signal.SIGSTOP)
        promise = bridge.send("len(a)", {"a": bytes(32 * 1024 * 1024)})
        await bridge.drain()
        os.kill(pid, signal.SIGKILL)
        assert (await loss_of(promise)).phase == "not_started"


async def test_the_next_worker_is_a_new_one(connected: Callable[[], Bridge]) -> None:
    """The app goes on: it opens another bridge."""
    async with connected() as bridge:
        await loss_of(bridge.send("import os; os._exit(1)"))
    async with connected() as bridge:
        assert await bridge.send("1") == 1


async def test_a_supervisor_that_is_killed_takes_the_worker_along(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """The loss is told, with a phase that is not made up."""
    async with connected() as bridge:
        running = bridge.send(gate.code)
        await gate.reached()
        worker = bridge._worker
        assert worker is not None
        os.kill(worker._process._supervisor._popen.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        loss = await loss_of(running)
        assert loss.phase in {"started", "unknown"}


# --- a worker that does not start ---


async def test_a_missing_backend_names_the_command_that_installs_it(no_leaks: None) -> None:
    """Entering raises, with the pip command for the worker's own interpreter."""
    with pytest.raises(WorkerStartError) as caught:
        await connect(backend="jax").__aenter__()
    assert f"{sys.executable} -m pip install 'asyncbridge-keras[jax]'" in str(caught.value)


async def test_an_unknown_backend_is_refused_with_the_known_ones(no_leaks: None) -> None:
    """The text lists what there is."""
    with pytest.raises((WorkerStartError, ValueError), match="tensorflow, jax, torch"):
        await connect(backend="theano").__aenter__()


async def test_an_interpreter_that_is_not_there_is_named(no_leaks: None) -> None:
    """The text says what ``python=`` is for."""
    with pytest.raises(WorkerStartError, match="/nonexistent.*python=") as caught:
        await connect(backend=None, python="/nonexistent").__aenter__()
    assert "No such file" in str(caught.value)


async def test_a_worker_that_never_answers_is_given_up_in_time(tmp_path: Path) -> None:
    """The text names the limit and how to raise it; the process is gone."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    python.chmod(0o700)
    bridge = connect(backend=None, python=str(python), connect_timeout=0.3)
    with pytest.raises(WorkerStartError, match=r"within 0\.3 s.*connect_timeout="):
        await bridge.__aenter__()
    assert bridge.state == "closed"
    with pytest.raises(BridgeClosed):
        bridge.send("1")


async def test_a_worker_that_ends_before_it_answers_is_told_with_its_words(
    tmp_path: Path,
) -> None:
    """Exit status and standard error stand in the text."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such luck >&2\nexit 5\n", encoding="utf-8")
    python.chmod(0o700)
    with pytest.raises(WorkerStartError, match="exited with status 5.*") as caught:
        await connect(backend=None, python=str(python)).__aenter__()
    assert "no such luck" in caught.value.stderr_tail


async def test_a_cancelled_entering_leaves_nothing(tmp_path: Path) -> None:
    """Whoever waits for the bridge may give up; ``no_leaks`` looks."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    python.chmod(0o700)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await connect(backend=None, python=str(python)).__aenter__()


def broken_keras(folder: Path) -> dict[str, str | None]:
    """Return an environment whose Keras raises when it is imported."""
    for package in ("keras", "tensorflow"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text(
            "raise ImportError('libbroken.so.1: cannot open shared object file')\n",
            encoding="utf-8",
        )
    return {"PYTHONPATH": str(folder)}


async def test_a_backend_that_cannot_be_imported_rejects_every_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The import's own error and its traceback reach whoever waits, and whoever sends later."""
    broken_keras(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # the worker shares this process's path
    async with connect(backend="tensorflow") as bridge:
        promise = bridge.send("1")
        with pytest.raises(WorkerStartError, match=r"libbroken\.so\.1") as caught:
            await promise
        assert "Traceback" in caught.value.stderr_tail
        with pytest.raises(WorkerStartError, match=r"libbroken\.so\.1"):
            await bridge.send("2")
        assert (await bridge.info()).state == "failed"


async def test_the_env_of_connect_is_the_workers(no_leaks: None) -> None:
    """A value sets a variable, None takes one out."""
    os.environ["ASYNCBRIDGE_TEST_OUT"] = "here"
    try:
        async with connect(
            backend=None, env={"ASYNCBRIDGE_TEST_IN": "set", "ASYNCBRIDGE_TEST_OUT": None}
        ) as bridge:
            code = "import os\n[os.environ.get('ASYNCBRIDGE_TEST_' + n) for n in ('IN', 'OUT')]"
            assert await bridge.send(code) == ["set", None]
    finally:
        del os.environ["ASYNCBRIDGE_TEST_OUT"]

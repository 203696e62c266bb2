from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from asyncbridge.client import launcher
from asyncbridge.client.launcher import Ending, LaunchOptions, WorkerProcess, launch
from asyncbridge.errors import WorkerStartError
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

pytestmark = [
    pytest.mark.usefixtures("tmp_path", "no_leaks"),  # the first makes folders for the session
    pytest.mark.asyncio,
]


WORKER = """\
#!/bin/sh
# Stands for an interpreter: the bootstrap program is its third argument.
exec "{python}" -I -S -c 'import os, signal, sys
line = os.read(0, 65536)
{code}' "$@"
"""
"""An "interpreter" that runs a small program of the test's in place of the worker."""

SLEEP = "while True: signal.pause()"
READY = """
import json
fifo = os.open(json.loads(line)["fifo"], os.O_WRONLY)
os.write(fifo, b"ready")
os.close(fifo)
"""
"""Worker code that says that all before it is done."""


class FakePython:
    """Makes interpreters that run the test's own code in place of the worker."""

    def __init__(self, folder: Path) -> None:
        self._path, self._fifo = folder / "python", folder / "fifo"
        os.mkfifo(self._fifo)

    def options(self, code: str) -> LaunchOptions:
        """Return options by which the worker runs the code."""
        assert "'" not in code
        self._path.write_text(WORKER.format(python=sys.executable, code=code))
        self._path.chmod(0o700)
        return LaunchOptions(python=str(self._path), worker_config={"fifo": str(self._fifo)})

    async def ready(self) -> None:
        """Wait until the worker has come to ``READY``."""
        fifo = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK)
        await readable(fifo)
        os.close(fifo)


@pytest.fixture
def fake_python(tmp_path: Path) -> FakePython:
    """Make interpreters that run the test's own code."""
    return FakePython(tmp_path)


async def readable(fd: int) -> None:
    """Wait until a descriptor has something to read."""
    event = asyncio.Event()
    asyncio.get_running_loop().add_reader(fd, event.set)
    await event.wait()
    asyncio.get_running_loop().remove_reader(fd)


@contextlib.asynccontextmanager
async def launched(options: LaunchOptions) -> AsyncGenerator[WorkerProcess]:
    """Launch a worker, and close it at the end."""
    process = await launch(options)
    try:
        yield process
    finally:
        await process.close()


def exists(path: str) -> bool:
    """Look at the disk, which a test may do from the loop."""
    return Path(path).exists()


def mode(path: str) -> int:
    """Return a path's permissions."""
    return stat.S_IMODE(Path(path).stat().st_mode)


def limit() -> AbstractAsyncContextManager[object]:
    """Fail the test, not hang it, when an end never comes."""
    return asyncio.timeout(HANG_S)


async def test_a_worker_has_a_private_folder_a_socket_path_and_a_token(
    fake_python: FakePython,
) -> None:
    """The folder is this user's alone, and each launch has a token of its own."""
    async with limit(), launched(fake_python.options(SLEEP)) as one:
        async with launched(fake_python.options(SLEEP)) as two:
            assert one.token != two.token
            assert len(one.token) >= 43
        assert mode(one.folder) == 0o700
        assert one.socket_path == Path(one.folder, "worker.sock")
        assert repr(one) == f"<WorkerProcess {one.pid} alive>"


async def test_the_token_is_in_neither_argv_nor_environment(fake_python: FakePython) -> None:
    """Whoever lists the two processes finds no token there."""
    async with limit(), launched(fake_python.options(SLEEP)) as process:
        for pid in (process.pid, process._supervisor._popen.pid):
            seen = psutil.Process(pid)
            assert process.token not in repr((seen.cmdline(), seen.environ()))


async def test_the_worker_gets_token_backend_and_environment(fake_python: FakePython) -> None:
    """What the options say reaches the worker, and no sys.path goes to another interpreter."""
    code = (
        "import json\nconfig = json.loads(line)\n"
        'seen = {**config, "env": os.environ["KERAS_BACKEND"] + os.environ["EXTRA"]}\n'
        "os.write(2, json.dumps(seen).encode())"
    )
    python = fake_python.options(code).python
    options = LaunchOptions(
        python=python, backend="jax", env={"EXTRA": "!"}, worker_config={"more": 1}
    )
    async with limit(), launched(options) as process:
        seen = json.loads((await process.ended).stderr_tail)
        assert seen["token"] == process.token
        assert (seen["backend"], seen["env"], seen["more"]) == ("jax", "jax!", 1)
        assert seen["socket"] == str(process.socket_path)
        assert "sys_path" not in seen


async def test_the_bootstrap_program_hands_the_config_to_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With this process's own interpreter the worker finds its modules where the client does."""
    room = tmp_path / "asyncbridge" / "worker"
    room.mkdir(parents=True)
    (room.parent / "__init__.py").touch()
    (room / "__init__.py").touch()
    (room / "process.py").write_text(
        "import os\n"
        "def main(config):\n"
        "    os.write(2, config['more'].encode() + b' ' + os.fsencode(os.getcwd()))\n"
        "    return 6\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    options = LaunchOptions(worker_config={"more": "é"})
    async with limit(), launched(options) as process:
        ending = await process.ended
    assert ending.exit_code == 6, ending.stderr_tail
    assert ending.stderr_tail == f"é {Path.cwd()}"


async def test_an_empty_entry_of_sys_path_means_the_present_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every entry goes to the worker as an absolute path."""
    monkeypatch.setattr(sys, "path", ["", "relative", "/absolute"])
    config = launcher._config(LaunchOptions(), "token")
    here = str(Path.cwd())
    assert config["worker_config"]["sys_path"] == [here, f"{here}/relative", "/absolute"]
    assert "token" not in config["argv"]


async def test_stop_lets_the_worker_end_by_itself(fake_python: FakePython) -> None:
    """A worker that handles SIGTERM ends with its own status."""
    code = f"signal.signal(15, lambda *_: os._exit(3)){READY}{SLEEP}"
    async with limit(), launched(fake_python.options(code)) as process:
        await fake_python.ready()
        ending = await process.stop(HANG_S)
    assert ending.exit_code == 3
    assert ending.reason == "exited with status 3"
    assert repr(process) == f"<WorkerProcess {process.pid} exited with status 3>"


async def test_stop_kills_after_its_grace(fake_python: FakePython) -> None:
    """A worker that does not react is killed, and its folder is gone when that is known."""
    code = f"signal.signal(15, signal.SIG_IGN){READY}{SLEEP}"
    async with limit(), launched(fake_python.options(code)) as process:
        await fake_python.ready()
        ending = await process.stop(0.05)
        assert not exists(process.folder)
    assert (ending.signal, ending.reason) == ("SIGKILL", "killed by SIGKILL")


async def test_kill_ends_the_worker_at_once(fake_python: FakePython) -> None:
    """A kill needs no await; it may come twice, and a stop after it only waits."""
    async with limit(), launched(fake_python.options(SLEEP)) as process:
        process.kill()
        process.kill()
        assert (await process.stop(HANG_S)).signal == "SIGKILL"


async def test_a_crash_is_known_with_its_last_words(fake_python: FakePython) -> None:
    """The ending names the signal and holds what stood on standard error."""
    code = 'os.write(2, b"the reason"); os.abort()'
    async with limit(), launched(fake_python.options(code)) as process:
        ending = await process.ended
    assert (ending.reason, ending.stderr_tail) == ("killed by SIGABRT", "the reason")
    assert ending.peak_rss > 1_000_000


async def test_a_cancelled_stop_leaves_the_ending_to_others(fake_python: FakePython) -> None:
    """Who stops waiting for the end takes it away from nobody else."""
    code = f"signal.signal(15, signal.SIG_IGN){READY}{SLEEP}"
    async with limit(), launched(fake_python.options(code)) as process:
        await fake_python.ready()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await process.stop(3600)
        process.kill()
        assert (await process.ended).signal == "SIGKILL"


async def test_an_interpreter_that_does_not_exist_is_named() -> None:
    """The error names the command and the option that mends it."""
    async with limit():
        with pytest.raises(WorkerStartError, match=r"/nonexistent/python.*`python=`"):
            await launch(LaunchOptions(python="/nonexistent/python"))


async def test_workers_that_start_one_another_are_stopped(
    monkeypatch: pytest.MonkeyPatch, fake_python: FakePython
) -> None:
    """A worker knows how many there are above it; the error says what may be the reason."""
    code = f'os.write(2, os.environ["{launcher.NESTING}"].encode())'
    async with limit():
        async with launched(fake_python.options(code)) as process:
            assert (await process.ended).stderr_tail == "1"
        monkeypatch.setenv(launcher.NESTING, str(launcher.MAX_NESTING))
        with pytest.raises(WorkerStartError, match=r"4 workers in a row.*keras\.py"):
            await launch(fake_python.options(code))


async def test_a_supervisor_that_does_not_start_tells_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor's own error text is part of the exception."""
    monkeypatch.setattr(launcher, "SUPERVISOR", tmp_path / "absent.py")
    async with limit():
        with pytest.raises(WorkerStartError, match=r"absent\.py") as caught:
            await launch(LaunchOptions())
    assert "absent.py" in caught.value.stderr_tail


async def test_a_missing_interpreter_for_the_supervisor_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error of the operating system becomes one of asyncbridge's."""
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    async with limit():
        with pytest.raises(WorkerStartError, match="/nonexistent/python"):
            await launch(LaunchOptions())


@pytest.mark.skipif(sys.platform != "linux", reason="sees the worker's death through a pidfd")
async def test_the_end_of_the_supervisor_ends_the_worker_too(fake_python: FakePython) -> None:
    """When somebody kills the supervisor, the client kills the worker and removes the folder."""
    async with limit(), launched(fake_python.options(SLEEP)) as process:
        pidfd = os.pidfd_open(process.pid)
        process._supervisor._popen.send_signal(signal.SIGKILL)
        ending = await process.ended
        await readable(pidfd)
        os.close(pidfd)
        assert not exists(process.folder)
    assert ending == Ending()
    assert ending.reason == "the supervisor itself ended"


@pytest.mark.parametrize("turns", range(4))
async def test_a_launch_cancelled_at_its_start_leaves_nothing(
    fake_python: FakePython, turns: int
) -> None:
    """A launch that is cancelled while its thread works leaves no process or descriptor."""
    async with limit(), asyncio.TaskGroup() as group:
        task = group.create_task(launch(fake_python.options(SLEEP)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()


@pytest.mark.parametrize("turns", range(6))
async def test_a_launch_cancelled_later_leaves_nothing(
    fake_python: FakePython, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does one whose supervisor was just started, at every step that follows."""
    loop = asyncio.get_running_loop()
    start = launcher._popen_supervisor

    def cancel_after(left: int) -> None:
        if left:
            loop.call_soon(cancel_after, left - 1)
        else:
            task.cancel()

    def start_and_cancel(options: LaunchOptions, token: str) -> object:
        popen = start(options, token)
        loop.call_soon_threadsafe(cancel_after, turns)
        return popen

    monkeypatch.setattr(launcher, "_popen_supervisor", start_and_cancel)
    async with limit(), asyncio.TaskGroup() as group:
        task = group.create_task(launch(fake_python.options(SLEEP)))
    assert task.cancelled()


async def test_launch_does_not_block_the_loop(
    fake_python: FakePython, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor's start, which may be slow, happens in a thread."""
    loop = asyncio.get_running_loop()
    go = asyncio.Event()
    start = launcher._popen_supervisor

    def slow(options: LaunchOptions, token: str) -> object:
        # It can end only because the loop runs meanwhile.
        asyncio.run_coroutine_threadsafe(go.wait(), loop).result(HANG_S)
        return start(options, token)

    monkeypatch.setattr(launcher, "_popen_supervisor", slow)
    loop.call_soon(go.set)
    async with limit(), launched(fake_python.options(SLEEP)) as process:
        assert process.pid > 0


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (Ending(signal="SIGSEGV"), "killed by SIGSEGV"),
        (Ending(signal="SIGABRT", oom_kills=1), "killed by SIGABRT"),
        (
            Ending(signal="SIGKILL", oom_kills=1, peak_rss=3 << 29),
            "killed by the kernel for memory (it held 1.5 GiB)",
        ),
        (Ending(exit_code=0), "exited with status 0"),
    ],
)
async def test_an_ending_says_its_reason(ending: Ending, words: str) -> None:
    """A memory kill is told apart from any other SIGKILL."""
    assert ending.reason == words

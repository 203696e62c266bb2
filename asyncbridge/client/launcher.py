"""Start a worker on this machine, through its supervisor, without blocking the event loop.

The supervisor is the worker's parent and this process's child; the pipe between the two is the
worker's life line. Should this process end in any way, the operating system closes the pipe and
the supervisor ends the worker: nothing here has to run for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncbridge.errors import WorkerStartError
from asyncbridge.protocol.endings import told_ending

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Ending", "LaunchOptions", "WorkerProcess", "launch"]

SUPERVISOR = Path(__file__).resolve().parents[1] / "worker" / "supervisor.py"
"""Run by path: the client imports nothing of the worker's."""

BOOTSTRAP = """\
import json, sys
with open(0, "rb", buffering=0, closefd=False) as stdin:
    config = json.loads(stdin.readline())
sys.path[:] = config.get("sys_path") or sys.path
from asyncbridge.worker.process import main
raise SystemExit(main(config))
"""
"""The worker's first program. Unbuffered, it takes one line and no more from standard input."""

STRAY_BYTES = 16 * 1024
NESTING = "_ASYNCBRIDGE_NESTING"
"""The variable that tells a worker how many workers have started one another for it."""
MAX_NESTING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOptions:
    """What to start.

    Attributes:
        python: The interpreter that runs the worker. In any other than this process's own,
            asyncbridge and the backend must be installed.
        backend: The Keras backend, such as ``"jax"``; None leaves it to Keras.
        env: Changes to the environment; None takes a variable away.
        worker_config: More for the worker's own configuration.
        folder_parent: Where the worker's private folder is made; None means the user's runtime
            folder or the one for temporary files.
    """

    python: str = sys.executable
    backend: str | None = None
    env: Mapping[str, str | None] = field(default_factory=dict)
    worker_config: Mapping[str, Any] = field(default_factory=dict)
    folder_parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a worker's process ended, as its parent saw it.

    Attributes:
        exit_code: Its exit status, None when a signal ended it.
        signal: The signal that ended it, such as ``"SIGKILL"``, else None. When both are None
            the supervisor itself ended.
        oom_kills: Processes that the kernel killed for memory meanwhile, in the same control
            group.
        stderr_tail: The last text on its standard error.
        peak_rss: The most memory that it had resident, in bytes; 0 when unknown.
        journal: Its journal, as ``protocol.journal`` reads it; empty when there is none.
        last_stack: Where its threads were, if it crashed or was ended for a time limit.
    """

    exit_code: int | None = None
    signal: str | None = None
    oom_kills: int = 0
    stderr_tail: str = ""
    peak_rss: int = 0
    journal: bytes = b""
    last_stack: str = ""

    @property
    def reason(self) -> str:
        """The ending in words."""
        if self.signal == "SIGKILL" and self.oom_kills:
            return f"killed by the kernel for memory (it held {self.peak_rss / 2**30:.1f} GiB)"
        if self.signal is not None:
            return f"killed by {self.signal}"
        if self.exit_code is not None:
            if told := told_ending(self.exit_code, self.stderr_tail):
                return told
            return f"exited with status {self.exit_code}"
        return "the supervisor itself ended"


class WorkerProcess:
    """A worker on this machine, seen from the client.

    Attributes:
        pid: The worker's process, which leads a process group of its own.
        folder: Its private folder, gone when ``ended`` is done.
        socket_path: Where it listens.
        token: The secret that it expects from whoever connects.
        ended: Done when the process is dead and its folder is gone.
    """

    def __init__(self, supervisor: _Supervisor, *, pid: int, folder: str, token: str) -> None:
        self._supervisor = supervisor
        self.pid = pid
        self.folder = folder
        self.socket_path = Path(folder, "worker.sock")
        self.token = token
        self.ended: asyncio.Future[Ending] = supervisor.events.ended

    def __repr__(self) -> str:
        state = self.ended.result().reason if self.ended.done() else "alive"
        return f"<WorkerProcess {self.pid} {state}>"

    async def stop(self, grace: float) -> Ending:
        """Ask the worker to end, and kill it if it has not after a while.

        Args:
            grace: Seconds that it may take.
        """
        self._supervisor.send({"stop": grace})
        return await asyncio.shield(self.ended)

    def kill(self) -> None:
        """End the worker and its process group at once; needs no running event loop."""
        self._supervisor.kill()

    async def close(self) -> None:
        """End the worker if it lives, and leave no process and no descriptor behind."""
        await self._supervisor.close()


async def launch(options: LaunchOptions) -> WorkerProcess:
    """Start a supervisor and its worker; the worker's socket may come up a little later.

    Raises:
        WorkerStartError: One of the two processes could not be started, or workers start one
            another.
    """
    if _nesting() >= MAX_NESTING:
        raise WorkerStartError(
            f"this process is a worker that {MAX_NESTING} workers in a row have started: does a "
            "file of yours have the name of a module that Keras imports (keras.py, jax.py)? A "
            "worker then runs it by its import, and with it connect()"
        )
    token = secrets.token_urlsafe(32)
    supervisor = await _Supervisor.start(options, token)
    try:
        pid, folder = await supervisor.events.spawned
    except BaseException:
        await supervisor.close()
        raise
    return WorkerProcess(supervisor, pid=pid, folder=folder, token=token)


class _Supervisor:
    """The supervisor's process: orders go in, events come out."""

    def __init__(self, popen: subprocess.Popen[bytes], events: _Events) -> None:
        self._popen = popen
        self.events = events

    @classmethod
    async def start(cls, options: LaunchOptions, token: str) -> _Supervisor:
        loop = asyncio.get_running_loop()
        events = _Events(loop)
        starting = loop.run_in_executor(None, _popen_supervisor, options, token)
        try:
            popen = await asyncio.shield(starting)
            assert popen.stdout is not None
            await loop.connect_read_pipe(lambda: events, popen.stdout)
        except BaseException:
            await _abandon(starting)
            raise
        return cls(popen, events)

    def send(self, order: Mapping[str, Any]) -> None:
        """Write an order, unless the supervisor is gone."""
        assert self._popen.stdin is not None
        if not self._popen.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._popen.stdin.write(json.dumps(order).encode() + b"\n")

    def kill(self) -> None:
        self.send({"kill": True})
        assert self._popen.stdin is not None
        self._popen.stdin.close()

    async def close(self) -> None:
        self.kill()
        await asyncio.shield(self.events.closed)
        # Its end of the pipe is closed, so it is as good as gone; the wait takes no time.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._popen.wait))


class _Events(asyncio.Protocol):
    """What the supervisor reports, as futures."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.spawned: asyncio.Future[tuple[int, str]] = loop.create_future()
        self.ended: asyncio.Future[Ending] = loop.create_future()
        # The supervisor is gone, and nothing is left to do for it.
        self.closed: asyncio.Future[None] = loop.create_future()
        self._worker: tuple[int, str] | None = None
        self._line = b""
        self._stray = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            if line.startswith(b"{"):
                self._handle(json.loads(line))
            else:  # the supervisor's own standard error
                self._stray = (self._stray + line + b"\n")[-STRAY_BYTES:]

    def connection_lost(self, exc: Exception | None) -> None:
        stray = (self._stray + self._line).decode("utf-8", "replace")
        if not self.spawned.done():
            self.spawned.set_exception(
                WorkerStartError("the worker's supervisor ended at once", stderr_tail=stray)
            )
        if self._worker is None or self.ended.done():
            self.closed.set_result(None)
            return
        # Somebody killed the supervisor: what it would have done is to be done here.
        cleaning = self._loop.run_in_executor(None, _clean_up, *self._worker)
        cleaning.add_done_callback(lambda _: self._finish(Ending(stderr_tail=stray)))

    def _handle(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "spawned":
                self._worker = event["pid"], event["folder"]
                if not self.spawned.done():
                    self.spawned.set_result(self._worker)
            case "spawn_failed" if not self.spawned.done():
                self.spawned.set_exception(_not_spawned(event["error"]))
            case "ended":
                self.ended.set_result(_ending(event))

    def _finish(self, ending: Ending) -> None:
        self.ended.set_result(ending)
        self.closed.set_result(None)


def _nesting() -> int:
    level = os.environ.get(NESTING, "")
    return int(level) if level.isdecimal() else 0


def _config(options: LaunchOptions, token: str) -> dict[str, Any]:
    """Return the supervisor's config; the token goes by the pipe, never in argv or env."""
    env = {**options.env, NESTING: str(_nesting() + 1)}
    worker_config = {**options.worker_config, "token": token, "journal": True}
    if options.backend is not None:
        env["KERAS_BACKEND"] = worker_config["backend"] = options.backend
    if options.python == sys.executable:
        worker_config["sys_path"] = [
            os.path.abspath(entry)  # noqa: PTH100 - a link is to be kept
            for entry in sys.path
        ]
    return {
        # -P: the folder that the client happens to stand in is no place to import from.
        "argv": [options.python, "-P", "-c", BOOTSTRAP],
        "env": env,
        "folder_parent": options.folder_parent,
        "client_pid": os.getpid(),
        "worker_config": worker_config,
    }


def _popen_supervisor(options: LaunchOptions, token: str) -> subprocess.Popen[bytes]:
    """Start the supervisor and hand it its config; blocks, for a thread."""
    config = _config(options, token)
    python = sys.executable or config["argv"][0]
    try:
        popen = subprocess.Popen(  # noqa: S603 - this very program, by its path
            [python, "-I", "-S", str(SUPERVISOR)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,  # a Ctrl-C in the terminal is the client's to handle
        )
    except OSError as error:
        raise WorkerStartError(
            f"the worker's supervisor could not be started with {python!r}: {error}"
        ) from None
    assert popen.stdin is not None
    rest = memoryview(json.dumps(config).encode() + b"\n")
    with contextlib.suppress(BrokenPipeError):  # its end will be seen on the other pipe
        while rest:
            rest = rest[popen.stdin.write(rest) :]
    return popen


async def _abandon(starting: asyncio.Future[subprocess.Popen[bytes]]) -> None:
    """Let go of a supervisor that is perhaps only just starting: it ends with its pipes."""
    await asyncio.wait([starting])
    if starting.exception() is None:
        popen = starting.result()
        assert popen.stdin is not None
        assert popen.stdout is not None
        popen.stdin.close()
        popen.stdout.close()
        await asyncio.get_running_loop().run_in_executor(None, popen.wait)


def _not_spawned(error: str) -> WorkerStartError:
    return WorkerStartError(
        f"the worker's process could not be started: {error}; `python=` names the interpreter "
        "that runs it, with asyncbridge and the backend installed in it"
    )


def _ending(event: Mapping[str, Any]) -> Ending:
    return Ending(
        exit_code=event["exit_code"],
        signal=event["signal"],
        oom_kills=event["oom_kills"],
        stderr_tail=event["stderr_tail"],
        peak_rss=event["peak_rss_bytes"],
        journal=bytes.fromhex(event["journal"]),
        last_stack=event["last_stack"],
    )


def _clean_up(pid: int, folder: str) -> None:
    # The group's id stays its own while any member lives.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)

"""The worker's parent: it starts the worker, sees it end, and lets it outlive no client.

A program of its own, run by path (``python -I -S …/supervisor.py``). It uses little of the
standard library and nothing else, so it starts in milliseconds, and no import, collector or GIL
of the worker can hold it up: its ``wait4`` is the one truth about the worker's death.

Standard input is a pipe that the client holds. Its first line is the config; later lines are
``{"stop": grace_seconds}`` (SIGTERM, then SIGKILL) and ``{"kill": true}``. When that pipe or the
client's process ends, so does the worker's whole process group, at once; after a ``stop`` only
the process's own end does. Events leave on standard output, a JSON line each: ``spawned``,
``spawn_failed`` and, when the folder is gone too, ``ended``. Other lines there are this
program's own errors.

A process that leaves the worker's group by a ``setsid`` of its own is out of reach.
"""

# pathlib's import would cost a third of the start.
# ruff: noqa: PTH100, PTH118, PTH120, PTH123

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys

if __name__ == "__main__":
    # Run by path. The packages' own __init__ files stay out, with all that they import; as
    # modules the parts still come compiled from the cache.
    _here = os.path.dirname(os.path.abspath(__file__))
    _package = os.path.dirname(_here)
    for _name, _folder in (
        ("asyncbridge", _package),
        ("asyncbridge.worker", _here),
        ("asyncbridge.transport", os.path.join(_package, "transport")),
    ):
        sys.modules[_name] = type(sys)(_name)
        sys.modules[_name].__path__ = [_folder]

from asyncbridge.worker._supervisor_folder import Folder
from asyncbridge.worker._supervisor_loop import GRACE, Loop, Signals
from asyncbridge.worker._supervisor_process import CHUNK, Worker

TYPE_CHECKING = False  # `typing`, like `pathlib`, would cost a third of the start
if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.worker._supervisor_process import Config, Event

    Emit = Callable[[Event], None]
    Attach = Callable[[Loop], None]

__all__ = ["main", "run_foreground"]

DEATH_MS = 5_000
"""How long a process may take from its first closed descriptor to its last."""
PF_EXITING = 0x4
"""Of the flags in ``/proc/PID/stat``, see ``include/linux/sched.h``."""
EVENT_BYTES = 48 * 1024
"""The longest event: under a pipe's capacity, so that the report cannot block."""


def main() -> int:
    """Serve the client at the other end of standard input; return the exit status."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    line, typed = read_line(0)
    if not line:  # the client ended before it had a wish
        return 0
    config: Config = json.loads(line)
    client_pid = config.get("client_pid", os.getppid())
    try:
        pidfd = open_client(client_pid)
    except ProcessLookupError:
        return 0

    def attach(loop: Loop) -> None:
        loop.obey(control=0, typed=typed, client_pid=client_pid, pidfd=pidfd)

    # A Ctrl-C in the terminal is the client's to handle.
    with Signals(stop=(signal.SIGTERM,), ignore=(signal.SIGINT, signal.SIGHUP)) as wakeup:
        ended = supervise(config, emit, wakeup, attach)
    await_death(client_pid, pidfd)
    sweep_shared_memory(config)
    return 0 if ended is not None else 1


def run_foreground(config: Config) -> int:
    """Run a worker for a person at a terminal; return the exit status for a shell.

    SIGINT, SIGTERM and SIGHUP ask the worker to end, a second one kills it. Call it in the
    main thread. A crash prints the worker's last words on standard error.
    """
    with Signals(stop=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)) as wakeup:
        ended = supervise(config, tell, wakeup, lambda _loop: None)
    sweep_shared_memory(config)
    if ended is None:
        return 1
    if ended["signal"] is not None:
        return 128 + getattr(signal, ended["signal"], 0)
    return int(ended["exit_code"])


def supervise(config: Config, emit: Emit, wakeup: int, attach: Attach) -> Event | None:
    """Run a worker from its start to its end, in a folder that is gone afterwards.

    Returns:
        The ``ended`` event, or None when the worker could not be started.
    """
    try:
        folder = Folder(
            given=config.get("folder"),
            parent=config.get("folder_parent"),
            sockets=config.get("remove", ()),
        )
    except OSError as error:
        emit({"event": "spawn_failed", "error": f"no folder for the worker's socket: {error}"})
        return None
    try:
        ended = run_worker(config, folder.path, emit, wakeup, attach)
    finally:
        folder.remove()
    if ended is not None:
        emit(ended)
    return ended


def await_death(pid: int, pidfd: int | None) -> None:
    """Wait for a client that is dying: it closes its pipes first, and lets go of its arena last."""
    if pidfd is None or not is_exiting(pid):
        return
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll(DEATH_MS)


def is_exiting(pid: int) -> bool:
    """Tell whether a process has begun to die; False where the system does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return bool(int(file.read().rpartition(b")")[2].split()[6]) & PF_EXITING)
    except OSError:
        return False


def sweep_shared_memory(config: Config) -> None:
    """Take away what the worker, or its client, has left in shared memory."""
    from asyncbridge.transport import leases  # noqa: PLC0415 - the start must be quick

    root = config.get("env", {}).get(leases.FOLDER_VARIABLE)
    leases.sweep(root or leases.root_folder())


def run_worker(
    config: Config, folder: str, emit: Emit, wakeup: int, attach: Attach
) -> Event | None:
    """Start the worker and wait for its end, whatever happens in between."""
    try:
        worker = Worker(config, folder)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in a name
        emit({"event": "spawn_failed", "error": str(error)})
        return None
    ended = None
    try:
        emit({"event": "spawned", "pid": worker.pid, "folder": folder})
        loop = Loop(worker, wakeup=wakeup, grace=config.get("grace", GRACE))
        attach(loop)
        ended = loop.run()
    finally:
        if ended is None:
            worker.kill()
            worker.reap(block=True)
        worker.close()
    return ended


def open_client(pid: int) -> int | None:
    """Return a descriptor for the client's process, where the system has such descriptors.

    Raises:
        ProcessLookupError: The client is gone already.
    """
    pidfd = None
    if sys.platform == "linux":
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            raise
        except OSError:  # an old kernel, or a sandbox; the loop looks at the parent's pid too
            pidfd = None
    if os.getppid() != pid:
        raise ProcessLookupError(f"the client (process {pid}) is gone")
    return pidfd


def read_line(fd: int) -> tuple[bytes, bytes]:
    """Return the first line, no bytes if none comes, and what was read after it."""
    data = b""
    while b"\n" not in data:
        chunk = os.read(fd, CHUNK)
        if not chunk:
            return b"", b""
        data += chunk
    line, _, rest = data.partition(b"\n")
    return line, rest


def emit(event: Event) -> None:
    """Write an event to the client, if it still reads."""
    while len(line := json.dumps(event)) >= EVENT_BYTES:  # control characters grow sixfold
        tail, stack = event["stderr_tail"], event["last_stack"]
        if len(tail) >= len(stack):
            event = {**event, "stderr_tail": tail[len(tail) // 2 :]}
        else:  # the calls that came last stand first
            event = {**event, "last_stack": stack[: len(stack) // 2]}
    with contextlib.suppress(BrokenPipeError):
        os.write(1, line.encode() + b"\n")


def tell(event: Event) -> None:
    """Say on standard error what a person at the terminal has to know."""
    if event["event"] == "spawn_failed":
        sys.stderr.write(f"asyncbridge: the worker could not be started: {event['error']}\n")
    elif event["event"] == "ended" and not event["asked"] and event["exit_code"] != 0:
        how = event["signal"] or f"exit status {event['exit_code']}"
        sys.stderr.write(f"{event['stderr_tail']}\nasyncbridge: the worker crashed ({how})\n")


if __name__ == "__main__":
    sys.exit(main())

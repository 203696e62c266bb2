"""The supervisor's view of the worker: how it is started, its pipes, and its end.

Part of a program that uses the standard library alone; see ``supervisor.py``.
"""

# pathlib's import would cost a third of the supervisor's start.
# ruff: noqa: PTH108, PTH118, PTH123

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
import termios

from asyncbridge.worker._last_words import WordsFile
from asyncbridge.worker._supervisor_folder import random_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Required, TypedDict

    class Config(TypedDict, total=False):
        """What to run, and how."""

        argv: Required[list[str]]  # the worker's command
        env: dict[str, str | None]  # changes; None takes a variable away
        worker_config: dict[str, Any]  # goes on to the worker, on its standard input
        client_pid: int  # the process whose end is the worker's end
        folder_parent: str | None  # where to make the worker's folder
        folder: str | None  # foreground: use this folder instead, and leave it
        remove: list[str]  # foreground: sockets to take away from that folder
        grace: float  # seconds between a SIGTERM from outside and the SIGKILL after it

    Event = dict[str, Any]


STUCK_LOOKS = 4
"""Looks at a full pipe that stands still, after the first, until it counts as stuck."""
TAIL_BYTES = 16 * 1024
STDOUT_TAIL_BYTES = 4 * 1024
CHUNK = 64 * 1024
JOURNAL = "journal"
"""The worker's file in its folder, see `protocol/journal.py`; it means nothing to this program."""
JOURNAL_LIMIT = 256


class Tail:
    """The last bytes of a stream."""

    def __init__(self) -> None:
        self.kept = b""

    def add(self, data: bytes) -> None:
        """Append, and forget what is now too far back."""
        self.kept = (self.kept + data)[-TAIL_BYTES:]

    def text(self) -> str:
        """Return the bytes as text, whatever they are."""
        return self.kept.decode("utf-8", "replace")


class Outlet:
    """One of the worker's output pipes, which the worker itself reads.

    It is a FIFO whose name is gone at once. Unlike the ends of ``os.pipe``, each opening of it
    has flags of its own, so this side never blocks, whatever the worker's side does.
    """

    def __init__(self, folder: str) -> None:
        path = os.path.join(folder, f".{random_name()}")
        os.mkfifo(path, 0o600)
        try:
            self.reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            self.writer = os.open(path, os.O_WRONLY)
            self.worker_reader = os.open(path, os.O_RDONLY)
        finally:
            os.unlink(path)
        # Kept open here too: only a writer can ask the kernel whether the pipe is full.
        self._room = select.poll()
        self._room.register(self.writer, select.POLLOUT)
        self._seen: tuple[int, int] | None = None
        self._looks = 0
        self.rescue_ticks = 0
        self._rescued = Tail()

    def is_stuck(self) -> bool:
        """Look once more; say whether the pipe is full and has stood still for long.

        A worker that holds the GIL in C code that prints would wait for its own reader for
        ever. The time of the last read tells that from a flood that is being read.
        """
        seen = None
        if not self._room.poll(0):
            waiting = fcntl.ioctl(self.reader, termios.FIONREAD, bytes(4))
            seen = int.from_bytes(waiting, sys.byteorder), os.fstat(self.reader).st_atime_ns
        self._looks = self._looks + 1 if seen is not None and seen == self._seen else 0
        self._seen = seen
        return self._looks >= STUCK_LOOKS

    def read(self) -> bytes:
        """Return what waits in the pipe, up to one chunk."""
        return read_some(self.reader) or b""

    def rescue(self) -> None:
        """Read in the worker's place, so that what fills the pipe can go on."""
        self._rescued.add(self.read())

    def rest(self) -> bytes:
        """Return what the worker never read, as far as it is kept."""
        self._rescued.add(self.read())
        return self._rescued.kept

    def close(self) -> None:
        """Close this side's ends."""
        os.close(self.reader)
        os.close(self.writer)


class Worker:
    """The worker's process, and this side's ends of its pipes.

    Raises:
        OSError: The process could not be started; the text names its command.
    """

    def __init__(self, config: Config, folder: str) -> None:
        self._oom_kills = oom_kills()
        self.asked_to_end = False
        self._journal = os.path.join(folder, JOURNAL)
        self._crash = Tail()
        self.stdout, self.stderr = Outlet(folder), Outlet(folder)
        self._words = WordsFile(os.path.join(folder, f".{random_name()}"))
        self.crash_fd, crash_writer = os.pipe()
        stdin_reader, self.stdin = os.pipe()
        os.set_blocking(self.crash_fd, False)
        os.set_blocking(self.stdin, False)
        readers = self.stdout.worker_reader, self.stderr.worker_reader
        handed = (*readers, self._words.fd, crash_writer)
        self._unsent = worker_config(config, folder, handed)
        try:
            self.pid = spawn(config, (stdin_reader, self.stdout.writer, self.stderr.writer), handed)
        except BaseException:
            self.close()
            raise
        finally:
            for fd in (stdin_reader, *readers, crash_writer):
                os.close(fd)

    def send_config(self) -> bool:
        """Write as much as the worker's standard input takes; say whether all is done."""
        try:
            self._unsent = self._unsent[os.write(self.stdin, self._unsent) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:  # its end will be seen elsewhere
            self._unsent = b""
        return not self._unsent

    def terminate(self) -> None:
        """Ask the worker to end by itself."""
        self.asked_to_end = True
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the worker's whole process group, at once."""
        self.asked_to_end = True
        self._kill_group()

    def reap(self, *, block: bool = False) -> Event | None:
        """Return the ``ended`` event if the worker is dead; its group is then dead too."""
        pid, status, usage = os.wait4(self.pid, 0 if block else os.WNOHANG)
        if pid == 0:
            return None
        # While any member lives the group's id stays its own; an empty group is simply absent.
        self._kill_group()
        code = os.waitstatus_to_exitcode(status)
        unit = 1 if sys.platform == "darwin" else 1024
        return {
            "event": "ended",
            "exit_code": code if code >= 0 else None,
            "signal": signal_name(-code) if code < 0 else None,
            "oom_kills": max(0, oom_kills() - self._oom_kills),
            "stderr_tail": self._last_words(),
            "peak_rss_bytes": usage.ru_maxrss * unit,
            "journal": read_journal(self._journal),
            "last_stack": self._crash.text(),
            "asked": self.asked_to_end,
        }

    def read_crash(self) -> bytes | None:
        """Read what faulthandler tells of a crash; returns what ``read_some`` does."""
        data = read_some(self.crash_fd)
        self._crash.add(data or b"")
        return data

    def close(self) -> None:
        """Close this side's ends of the pipes."""
        os.close(self.stdin)
        os.close(self.crash_fd)
        self._words.close()
        self.stdout.close()
        self.stderr.close()

    def _kill_group(self) -> None:
        # Nobody may be left, or (macOS) only zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _last_words(self) -> str:
        """Return the end of what it wrote; its standard output too may hold the reason."""
        words = Tail()
        words.add((self._words.read(0) + self.stdout.rest())[-STDOUT_TAIL_BYTES:])
        words.add(self._words.read(1) + self.stderr.rest())
        while self.read_crash():
            pass
        words.add(self._crash.kept)
        return words.text()


def read_journal(path: str) -> str:
    """Return, in hexadecimal, what the worker noted of its commands; "" if it had not begun."""
    try:
        with open(path, "rb") as journal:
            return journal.read(JOURNAL_LIMIT).hex()
    except OSError:
        return ""


def worker_config(config: Config, folder: str, handed: Sequence[int]) -> bytes:
    """Return the one line that the worker finds on its standard input."""
    asked = config.get("worker_config", {})
    address = {} if "host" in asked else {"socket": os.path.join(folder, "worker.sock")}
    mine = {"folder": folder, "supervisor_pid": os.getpid()}
    descriptors = dict(zip(("stdout_fd", "stderr_fd", "words_fd", "crash_fd"), handed, strict=True))
    return json.dumps({**address, **asked, **mine, **descriptors}).encode() + b"\n"


def spawn(config: Config, stdio: Sequence[int], handed: Sequence[int]) -> int:
    """Start the worker in a session, and so a process group, of its own; return its pid.

    Every other descriptor is closed in it, and every signal has its default action.
    """
    for fd in handed:
        os.set_inheritable(fd, True)
    argv = config["argv"]
    return os.posix_spawnp(
        argv[0],
        argv,
        environment(config.get("env", {})),
        file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(stdio)],
        setsid=True,
        setsigmask=(),
        setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
    )


def environment(changes: dict[str, str | None]) -> dict[str, str]:
    """Return this process's environment with the changes made."""
    merged = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def read_some(fd: int) -> bytes | None:
    """Return what a non-blocking pipe holds: None for nothing yet, no bytes at its end."""
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return None


def signal_name(number: int) -> str:
    """Return a signal's name; a real-time signal has only a number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def oom_kills() -> int:
    """Return the kernel's count of memory kills in this control group, 0 where it shows none."""
    for path in _oom_counters():
        try:
            with open(path, encoding="ascii") as lines:
                fields = dict(line.split(maxsplit=1) for line in lines)
            return int(fields["oom_kill"])
        except (OSError, KeyError):
            continue
    return 0


def _oom_counters() -> Iterator[str]:
    """Yield the files that may hold the count: version 2 of control groups, then version 1."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as groups:
            entries = [line.rstrip("\n").split(":", 2) for line in groups]
    except OSError:  # not Linux
        return
    for _, controllers, path in entries:
        if not controllers:
            yield f"/sys/fs/cgroup{path}/memory.events"
        elif "memory" in controllers.split(","):
            yield f"/sys/fs/cgroup/memory{path}/memory.oom_control"
            # In a container the path may be the host's, and the mount the group itself.
            yield "/sys/fs/cgroup/memory/memory.oom_control"

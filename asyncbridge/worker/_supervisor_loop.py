"""The supervisor's one loop: client, worker, signals and time, while the worker lives.

Part of a program that uses the standard library alone; see ``supervisor.py``.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from functools import partial

from asyncbridge.worker._supervisor_process import CHUNK, read_some

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType, TracebackType

    from asyncbridge.worker._supervisor_process import Event, Outlet, Worker

TICK = 0.25
"""Seconds between two looks at the worker's output pipes."""
RESCUE_TICKS = 4
"""Ticks of reading a stuck pipe; then the worker's own reader gets its next chance."""
GRACE = 10.0
"""Seconds between a SIGTERM from outside and the SIGKILL after it."""


class Loop:
    """One ``poll`` over everything that can happen while the worker lives."""

    def __init__(self, worker: Worker, *, wakeup: int, grace: float) -> None:
        self._worker = worker
        self._grace = grace
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._deadline: float | None = None
        self._next_tick = time.monotonic() + TICK
        self._client_pid: int | None = None
        self._typed = b""
        self._ended: Event | None = None
        self._watch(wakeup, partial(self._on_signals, wakeup))
        self._watch(worker.crash_fd, self._on_crash)
        if not worker.send_config():
            self._watch(worker.stdin, self._on_stdin_room, select.POLLOUT)

    def obey(self, *, control: int, typed: bytes, client_pid: int, pidfd: int | None) -> None:
        """Take orders from the client, and end the worker when the client is gone.

        Args:
            control: The pipe from the client.
            typed: What was read from it already.
            client_pid: The client's process, this one's parent.
            pidfd: Its descriptor: a copy of the pipe's end in another process can then not
                hide its death.
        """
        self._client_pid = client_pid
        if pidfd is not None:
            self._watch(pidfd, partial(self._on_client_death, pidfd))
        self._watch(control, partial(self._on_control, control))
        self._take_orders(typed)

    def run(self) -> Event:
        """Return the ``ended`` event once the worker is dead."""
        while self._ended is None:
            self._turn()
        return self._ended

    def _turn(self) -> None:
        wake = self._next_tick if self._deadline is None else min(self._next_tick, self._deadline)
        for fd, _ in self._poll.poll(max(0, wake - time.monotonic()) * 1000):
            # A handler of the same turn may have stopped watching this one.
            if (handler := self._handlers.get(fd)) is not None:
                handler()
            if self._ended is not None:  # its pid is no longer the worker's
                return
        self._keep_time(time.monotonic())

    def _watch(self, fd: int, handler: Callable[[], None], events: int = select.POLLIN) -> None:
        self._handlers[fd] = handler
        self._poll.register(fd, events)

    def _unwatch(self, fd: int) -> None:
        del self._handlers[fd]
        self._poll.unregister(fd)

    def _keep_time(self, now: float) -> None:
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self._worker.kill()
        if now >= self._next_tick:
            self._next_tick = now + TICK
            self._tick()

    def _tick(self) -> None:
        # Slower than the pidfd, which not every system has.
        if self._client_pid not in (None, os.getppid()):
            self._worker.kill()
        for outlet in (self._worker.stdout, self._worker.stderr):
            self._look_after(outlet)

    def _look_after(self, outlet: Outlet) -> None:
        if outlet.rescue_ticks:
            outlet.rescue_ticks -= 1
            if not outlet.rescue_ticks:
                self._unwatch(outlet.reader)
        elif outlet.is_stuck():
            outlet.rescue_ticks = RESCUE_TICKS
            self._watch(outlet.reader, outlet.rescue)

    def _stop(self, grace: float) -> None:
        self._worker.terminate()
        self._deadline = time.monotonic() + grace

    def _on_signals(self, wakeup: int) -> None:
        numbers = read_some(wakeup) or b""
        self._ended = self._worker.reap()
        if self._ended is None and any(number != signal.SIGCHLD for number in numbers):
            if self._worker.asked_to_end:  # the second request is an impatient one
                self._worker.kill()
            else:
                self._stop(self._grace)

    def _on_control(self, control: int) -> None:
        if data := os.read(control, CHUNK):
            self._take_orders(data)
            return
        self._unwatch(control)
        if not self._worker.asked_to_end:
            self._worker.kill()

    def _on_client_death(self, pidfd: int) -> None:
        self._unwatch(pidfd)
        self._worker.kill()

    def _take_orders(self, data: bytes) -> None:
        *lines, self._typed = (self._typed + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if "kill" in order:
                self._worker.kill()
            else:
                self._stop(order["stop"])

    def _on_crash(self) -> None:
        if self._worker.read_crash() == b"":  # the worker closed it
            self._unwatch(self._worker.crash_fd)

    def _on_stdin_room(self) -> None:
        if self._worker.send_config():
            self._unwatch(self._worker.stdin)


class Signals:
    """Turn signals into bytes on a pipe, for as long as the block runs.

    Args:
        stop: Those that ask for an end; SIGCHLD is always among the bytes.
        ignore: Those that mean somebody else.
    """

    def __init__(
        self, *, stop: Sequence[signal.Signals], ignore: Sequence[signal.Signals] = ()
    ) -> None:
        self._stop = (*stop, signal.SIGCHLD)
        self._ignore = ignore

    def __enter__(self) -> int:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._old_fd = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, do_nothing) for number in self._stop}
        self._old |= {number: signal.signal(number, signal.SIG_IGN) for number in self._ignore}
        return self._reader

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, action in self._old.items():
            signal.signal(number, action)
        signal.set_wakeup_fd(self._old_fd)
        os.close(self._reader)
        os.close(self._writer)


def do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal whose byte on the wakeup pipe says it all."""

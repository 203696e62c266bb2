"""Commands with a time limit, and how one that runs past it is brought to its end.

First it is asked to stop, or interrupted where its code does not look whether it is to; then it is
interrupted; and at last the process is ended, from a thread that needs no GIL, after it has
written where each of its threads stands.
"""

from __future__ import annotations

import faulthandler
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, Protocol

from asyncbridge.protocol.limits import LONGEST_S

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from asyncbridge.protocol.messages import StopMode
    from asyncbridge.worker.queue import Job
    from asyncbridge.worker.stopping import Stopper

__all__ = ["RUNG_SECONDS", "Overtime", "overdue_text"]

RUNG_SECONDS: Final = 5.0
"""How long each way of ending a command is given, before the next one."""


_UNLIMITED: Final = nullcontext()


class _Timer(Protocol):
    def cancel(self) -> None: ...


class Overtime:
    """Looks after the limits of the commands that the GPU thread runs, one at a time.

    Args:
        post: Has something called on the loop.
        later: Calls back on the loop after some seconds.
        stopper: Brings commands to their ends.
        crash_fd: Where it is written how the process ended; None where it must not be ended.
    """

    def __init__(
        self,
        *,
        post: Callable[[Callable[[], None]], None],
        later: Callable[[float, Callable[[], None]], _Timer],
        stopper: Stopper,
        crash_fd: int | None = None,
    ) -> None:
        self._post = post
        self._later = later
        self._stopper = stopper
        self._crash_fd = crash_fd
        self._timers: list[_Timer] = []

    def limiting(self, job: Job) -> AbstractContextManager[None]:
        """Bring a command to its end that runs for longer than it may; in the GPU thread."""
        # A client of our own sends none that is longer; of such timers know nothing.
        limit = max(0, min(job.command.run_ms, LONGEST_S * 1000)) / 1000
        return self._limiting(job, limit) if limit else _UNLIMITED

    @contextmanager
    def _limiting(self, job: Job, limit: float) -> Generator[None]:
        if self._crash_fd is not None:
            last = limit + 2 * RUNG_SECONDS
            faulthandler.dump_traceback_later(last, exit=True, file=self._crash_fd)
        self._post(lambda: self._watch(job, limit))
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._post(self._leave)

    def _watch(self, job: Job, limit: float) -> None:
        self._timers = [
            self._later(limit, lambda: self._end(job, "auto")),
            self._later(limit + RUNG_SECONDS, lambda: self._end(job, "interrupt")),
        ]

    def _leave(self) -> None:
        timers, self._timers = self._timers, []
        for timer in timers:
            timer.cancel()

    def _end(self, job: Job, mode: StopMode) -> None:
        job.stop.overdue = True
        self._stopper.ask(job.stop, mode)


def overdue_text(job: Job) -> str:
    """Return what is said of a command that was ended for its limit."""
    how = "interrupted" if job.stop.interrupted else "stopped"
    return f"the command ran for more than {job.command.run_ms / 1000:g} s (run_timeout), and was {how}"

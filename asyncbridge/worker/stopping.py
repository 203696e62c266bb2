"""How a command that runs is brought to its end: by its own consent, or by an exception.

One thread runs commands, so there is one command to stop at most. The code may look whether it is
to stop, as the callbacks of trainings do. Where it does not, ``CommandInterrupted`` is raised in its
midst by the interpreter, again and again until the code has ended: some of them get lost, in
destructors and in handlers that swallow everything.

More of the user's code may run when a command's own has ended: an error's ``__str__``, a destructor,
the ``flush`` of what stands for ``sys.stdout``. It is brought to its end in the same ways, and after
``REST_SECONDS`` in any case.
"""

from __future__ import annotations

import ctypes
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from asyncbridge.outcome import Error, capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.outcome import Outcome
    from asyncbridge.protocol.messages import StopMode

__all__ = [
    "REST_SECONDS",
    "CommandInterrupted",
    "CommandStopped",
    "Stop",
    "Stopper",
    "heed_stop",
    "is_interrupted",
    "shield",
    "stop_asked",
    "was_stopped",
]

T = TypeVar("T")

REPEAT_SECONDS: Final = 0.05
"""Seconds from one exception to the next, until the code has ended."""

SHIELD_SECONDS: Final = 10.0
"""How long code may put an exception off, while it makes what would be of no use half made."""

REST_SECONDS: Final = 2.0
"""How long one thing may take that is left to do when a command's code has ended."""


class CommandInterrupted(BaseException):
    """The client wants the running command to end, at whatever point it is."""


class CommandStopped(Exception):
    """The code has stopped because it was asked to, without a result."""


class Stop:
    """One command's end, as it is wished for.

    Attributes:
        asked: Whether the command is to stop.
        heeded: Whether its code looks at that.
        told: Whether its code has seen it.
        shielded: Whether its code puts exceptions off.
        interrupted: Whether it was to be interrupted.
        overdue: Whether it is to stop because its time is over.
        rest: The end of what is left to do when its code has ended; None before.
    """

    __slots__ = ("asked", "heeded", "interrupted", "overdue", "rest", "shielded", "told")

    def __init__(self) -> None:
        self.asked = self.heeded = self.told = self.interrupted = self.shielded = False
        self.overdue = False
        self.rest: Stop | None = None


def was_stopped(stop: Stop, error: BaseException | None) -> bool:
    """Tell whether a command's end, by an error or by a value, is that of a cancelled one.

    Code may make any other error of an interruption, so its class does not count; nor does a
    value that it gives when it is to be interrupted, and has seen that before it was.
    """
    if error is None:
        return stop.interrupted and stop.told
    # Not isinstance: the error may have a __class__ of its own.
    return stop.interrupted or (stop.asked and issubclass(type(error), CommandStopped))


# Not a context variable: backends run callbacks in threads of their own.
_current: Stop | None = None


def stop_asked() -> bool:
    """Tell whether the client wants the running command to stop; from any thread of it.

    Who asks is expected to stop by itself soon, and is not interrupted for the time being.
    """
    stop = _current
    if stop is None:
        return False
    stop.heeded = True
    stop.told |= stop.asked
    return stop.asked


def shield(*, up: bool) -> None:
    """Put exceptions off, or let them come; from any thread of the running command.

    It is for a model's first batch: one that is cut off while it is built and traced, and its
    optimizer with it, is of no use afterwards. Past ``SHIELD_SECONDS`` it holds no longer.
    """
    if _current is not None:
        _current.shielded = up


def is_interrupted() -> bool:
    """Tell whether the running command is being interrupted."""
    return _current is not None and _current.interrupted


def heed_stop() -> None:
    """Say that the running command looks at ``stop_asked`` from now on."""
    stop_asked()


class Stopper:
    """Runs commands in the GPU thread so that the loop can stop them.

    Args:
        later: Calls back on the loop after some seconds.
        post: Has something called on the loop.
        clock: Seconds.
    """

    def __init__(
        self,
        later: Callable[[float, Callable[[], None]], object],
        post: Callable[[Callable[[], None]], None] = lambda call: call(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._later = later
        self._post = post
        self._clock = clock
        self._lock = threading.Lock()
        self._armed: Stop | None = None
        self._struck = False
        self._thread = 0
        # What is left to do now, since when, and whether the loop looks at that now and then.
        self._rest: tuple[Stop, float] | None = None
        self._watching = False

    def run(self, stop: Stop, function: Callable[[], T]) -> Outcome[T]:
        """Run the code of a command; no exception of ours comes out, or strikes afterwards."""
        outcome: Outcome[T] | None = None
        try:
            try:
                with _BeingRun(stop):
                    self._arm(stop)
                    outcome = capture(function)
            finally:
                self._disarm()
        except CommandInterrupted as error:  # it struck between the code and here
            self._disarm()
            outcome = Error(error) if outcome is None else outcome
        assert outcome is not None
        return outcome

    def guard(self, stop: Stop, function: Callable[[], T]) -> T | None:
        """Do something that is left to do when a command's code has ended, and may run more of it.

        Returns:
            What the function does; None when it had to be interrupted, and when it raised.
        """
        rest = stop.rest = Stop()
        # First that, then the look: the loop does the same in the other order.
        self._rest = rest, self._clock()
        if not self._watching:
            self._watching = True
            self._post(self._watch)
        results: list[T] = []
        self.run(rest, lambda: _attempt(function, results))
        self._rest = None
        return None if rest.interrupted or not results else results[0]

    def ask(self, stop: Stop, mode: StopMode) -> None:
        """Bring the command to its end, if it runs, or what is left to do of it; on the loop."""
        if mode == "dequeue":
            return
        stop.asked = True
        running = stop if stop.rest is None else stop.rest
        if mode == "interrupt" or (mode == "auto" and not running.heeded):
            self._interrupt(running)

    def _interrupt(self, stop: Stop) -> None:
        # Once: two exceptions in one moment would meet the handler of the first.
        if not stop.interrupted:
            stop.interrupted = True
            self._strike(stop, round(SHIELD_SECONDS / REPEAT_SECONDS))

    def _watch(self) -> None:
        """Look at what is left to do, until nothing is: one timer for any number of commands."""
        self._watching = False
        if self._rest is None:
            return
        self._watching = True
        rest, since = self._rest
        left = REST_SECONDS - (self._clock() - since)
        if left <= 0:
            self._interrupt(rest)
        self._later(left if left > 0 else REST_SECONDS, self._watch)

    def _arm(self, stop: Stop) -> None:
        self._thread = threading.get_ident()
        with self._lock:
            self._armed = stop
        if stop.interrupted:  # before there was anything to strike
            raise CommandInterrupted

    def _disarm(self) -> None:
        # The lock: what is struck before is cleared here, and nothing is struck after.
        with self._lock:
            self._armed = None
            if self._struck:
                self._struck = False
                _set_exception(self._thread, None)

    def _strike(self, stop: Stop, patience: int) -> None:
        with self._lock:
            if self._armed is not stop:
                return
            if not (stop.shielded and patience):
                self._struck = True
                _set_exception(self._thread, CommandInterrupted)
        self._later(REPEAT_SECONDS, lambda: self._strike(stop, max(0, patience - 1)))


class _BeingRun:
    """Lets code ask whether a command is to stop, for as long as this lasts."""

    __slots__ = ("_before", "_stop")

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def __enter__(self) -> None:
        global _current
        self._before, _current = _current, self._stop

    def __exit__(self, *_: object) -> None:
        global _current  # noqa: PLW0603 - there is one GPU thread, and one command in it
        _current = self._before


def _attempt(function: Callable[[], T], results: list[T]) -> None:
    # What it raises goes here, where it may still be interrupted: destructors go with it.
    with suppress(BaseException):
        results.append(function())


def _set_exception(thread: int, kind: type[BaseException] | None) -> None:
    argument = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), argument)

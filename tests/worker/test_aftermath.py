"""What is left to do when a command's code has ended."""

from __future__ import annotations

import sys
import threading
import weakref
from typing import TYPE_CHECKING

import pytest

from asyncbridge.outcome import Error, capture
from asyncbridge.worker.aftermath import Aftermath
from asyncbridge.worker.stopping import REPEAT_SECONDS, REST_SECONDS, Stop, Stopper

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.protocol.messages import Fault


class Bench:
    """An aftermath whose thread is this one; timers are strict about who calls them."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.timers: list[threading.Timer] = []
        self.stopper = Stopper(self.later)
        self.aftermath = Aftermath(self.stopper, lambda _: None, lambda _: "a note")
        self.stop = Stop()

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Strike again at once; what ends by itself after a time is not waited for."""
        if seconds == REPEAT_SECONDS:
            timer = threading.Timer(0.001, call)
            self.timers.append(timer)
            timer.start()

    def spin(self) -> None:
        """Never come back."""
        while True:
            self.entered.set()

    def cancelling(self) -> threading.Thread:
        """Interrupt the command once its code, or what is left of it, spins."""

        def cancel() -> None:
            self.entered.wait()
            self.stopper.ask(self.stop, "interrupt")

        thread = threading.Thread(target=cancel)
        thread.start()
        return thread

    def end(self) -> None:
        """Wait for what strikes."""
        for timer in self.timers:
            timer.join()


@pytest.fixture
def bench() -> Bench:
    """A worker's aftermath."""
    return Bench()


def told(bench: Bench, error: BaseException) -> Fault:
    """Describe an error that spins, and is cancelled meanwhile."""
    outcome = capture(_raise, error)
    assert isinstance(outcome, Error)
    thread = bench.cancelling()
    fault = bench.aftermath.told(bench.stop, outcome.error, None)
    thread.join()
    bench.end()
    return fault


def _raise(error: BaseException) -> None:
    raise error


def test_an_error_is_told(bench: Bench) -> None:
    """With what the backend has to say."""
    fault = bench.aftermath.told(bench.stop, ValueError("own"), None)
    assert (fault.type, fault.message, fault.notes) == ("ValueError", "own", ("a note",))
    assert not bench.stop.asked


def test_a_cancel_meets_an_error_that_never_tells_its_text(bench: Bench) -> None:
    """What can be known is told; the command has not been cancelled, it had failed before."""

    class Endless(Exception):
        def __str__(self) -> str:
            bench.spin()
            return ""

    fault = told(bench, Endless())
    assert fault.type.endswith("Endless")
    assert fault.message == "<exception str() took too long>"
    assert fault.frames[-1][2] == "_raise"
    assert "was interrupted" in fault.notes[0]
    assert bench.stop.asked
    assert not bench.stop.interrupted


def test_what_is_plain_is_told_of_it(bench: Bench) -> None:
    """Its causes too, each with its own text."""

    class Note:
        def __str__(self) -> str:
            bench.spin()
            return ""

    error = KeyError("own")
    error.__cause__ = ValueError("older", 1)
    error.__notes__ = [Note()]  # type: ignore[list-item]  # as hostile code does
    fault = told(bench, error)
    assert (fault.type, fault.message) == ("KeyError", "'own'")
    assert fault.cause is not None
    assert fault.cause.message == "('older', 1)"


def test_a_destructor_that_never_ends_is_met_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All the same nothing is kept; Python says on standard error what came out of it."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)

    class Local:
        def __del__(self) -> None:
            bench.spin()

    def work() -> None:
        local = Local()
        raise ValueError(str(local))

    outcome = capture(work)
    assert isinstance(outcome, Error)
    errors, left = [outcome.error], {"x": object()}
    del outcome
    thread = bench.cancelling()
    bench.aftermath.let_go(bench.stop, errors, left)
    thread.join()
    bench.end()
    assert (errors, left) == ([], {})


def test_bindings_go_one_by_one(bench: Bench) -> None:
    """All of them."""
    dropped: list[str] = []
    bench.aftermath.drop(dropped.append, ("a", "b"))
    assert sorted(dropped) == ["a", "b"]


def test_what_is_done_is_told_from_what_is_not(bench: Bench) -> None:
    """By whether it came to its end."""
    assert bench.aftermath.do(bench.stop, lambda: None)
    thread = bench.cancelling()
    assert not bench.aftermath.do(bench.stop, bench.spin)
    thread.join()
    bench.end()


def test_it_ends_without_a_cancel() -> None:
    """When its time is over; the loop looks as long as there is anything to look at."""
    due: list[tuple[float, Callable[[], None]]] = []
    now, posted = [0.0], threading.Event()

    def later(seconds: float, call: Callable[[], None]) -> None:
        due.append((seconds, call))
        posted.set()

    stopper = Stopper(later, clock=lambda: now[0])
    aftermath = Aftermath(stopper, lambda _: None, lambda _: None)
    entered = threading.Event()

    def spin() -> None:
        while True:
            entered.set()

    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(aftermath.do(Stop(), spin)))
    thread.start()
    entered.wait()
    ((seconds, look),) = due
    assert seconds == REST_SECONDS
    due.clear()
    now[0] = REST_SECONDS - 0.5
    look()
    assert [seconds for seconds, _ in due] == [0.5]
    now[0] = REST_SECONDS
    due.pop()[1]()
    thread.join()
    assert ended == [False]
    # The last look finds nothing, and is the last.
    looks = [call for seconds, call in due if seconds == REST_SECONDS]
    due.clear()
    looks[0]()
    assert due == []


def test_nothing_is_kept_of_an_error(bench: Bench) -> None:
    """No frame, no result, no name."""
    error = type("Own", (ValueError,), {})("own")
    errors: list[BaseException] = [error]
    seen = weakref.ref(error)
    del error
    bench.aftermath.told(bench.stop, errors[0], None)
    bench.aftermath.let_go(bench.stop, errors)
    assert seen() is None

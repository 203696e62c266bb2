"""Commands that are brought to their end."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

from asyncbridge.outcome import Error, Value
from asyncbridge.worker.stopping import (
    REPEAT_SECONDS,
    SHIELD_SECONDS,
    CommandInterrupted,
    CommandStopped,
    Stop,
    Stopper,
    heed_stop,
    is_interrupted,
    shield,
    stop_asked,
    was_stopped,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.outcome import Outcome
    from asyncbridge.protocol.messages import StopMode

WAIT_S = 30.0


class Bench:
    """A stopper, a thread that runs one function, and a clock that a test moves."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []
        self.stopper = Stopper(lambda _, call: self.due.append(call))
        self.outcome: Outcome[object] | None = None

    def start(self, function: Callable[[], object]) -> Stop:
        """Run a function in a thread of its own."""
        stop = Stop()

        def run() -> None:
            self.outcome = self.stopper.run(stop, function)

        self._thread = threading.Thread(target=run)
        self._thread.start()
        return stop

    def end(self) -> Outcome[object]:
        """Wait for the end, and return what came of it."""
        self._thread.join(WAIT_S)
        assert self.outcome is not None
        return self.outcome

    def strike_again(self) -> None:
        """Let the time pass until the next exception."""
        due, self.due = self.due, []
        for call in due:
            call()


def spin(entered: threading.Event) -> object:
    """Run for ever, in steps at which the interpreter looks for exceptions."""
    while True:
        entered.set()


def test_a_function_that_nobody_stops() -> None:
    """Its value or its error comes out; outside a command nobody is asked to stop."""
    stopper = Stopper(lambda *_: None)
    assert stopper.run(Stop(), lambda: (stop_asked(), is_interrupted())) == Value((False, False))
    outcome = stopper.run(Stop(), lambda: 1 / 0)
    assert isinstance(outcome, Error)
    assert isinstance(outcome.error, ZeroDivisionError)
    assert not was_stopped(Stop(), outcome.error)
    heed_stop()
    assert not stop_asked()


def test_an_interrupt_strikes_in_the_midst() -> None:
    """Wherever the code is."""
    bench, entered = Bench(), threading.Event()
    stop = bench.start(lambda: spin(entered))
    assert entered.wait(WAIT_S)
    bench.stopper.ask(stop, "interrupt")
    outcome = bench.end()
    assert isinstance(outcome, Error)
    assert isinstance(outcome.error, CommandInterrupted)
    assert was_stopped(stop, outcome.error)


def test_an_interrupt_before_the_code_has_begun() -> None:
    """It was asked for while the command was on its way into the thread: it never begins."""
    stopper, stop = Stopper(lambda *_: None), Stop()
    stopper.ask(stop, "interrupt")
    begun: list[int] = []
    outcome = stopper.run(stop, lambda: begun.append(1))
    assert isinstance(outcome, Error)
    assert isinstance(outcome.error, CommandInterrupted)
    assert was_stopped(stop, outcome.error)
    assert begun == []
    assert stopper.run(Stop(), lambda: 1) == Value(1)


def test_code_may_put_an_interrupt_off() -> None:
    """While it makes what would be of no use half made; it comes as soon as that is done."""
    bench, entered, leave = Bench(), threading.Event(), threading.Event()

    def build() -> None:
        shield(up=True)
        entered.set()
        leave.wait(WAIT_S)
        built.append(True)
        shield(up=False)
        spin(threading.Event())

    built: list[bool] = []
    stop = bench.start(build)
    assert entered.wait(WAIT_S)
    bench.stopper.ask(stop, "interrupt")
    bench.strike_again()
    leave.set()
    while stop.shielded:
        pass
    bench.strike_again()
    assert isinstance(bench.end(), Error)
    assert built == [True]


def test_it_cannot_be_put_off_for_ever() -> None:
    """Past the time for it the exception comes all the same."""
    bench, entered = Bench(), threading.Event()

    def build() -> None:
        shield(up=True)
        spin(entered)

    stop = bench.start(build)
    assert entered.wait(WAIT_S)
    bench.stopper.ask(stop, "interrupt")
    for _ in range(round(SHIELD_SECONDS / REPEAT_SECONDS)):
        assert bench.outcome is None
        bench.strike_again()
    assert isinstance(bench.end(), Error)


def test_a_value_of_code_that_was_to_be_interrupted_and_saw_it_does_not_count() -> None:
    """It was cancelled; code that looks by itself gives its value, if it is only asked."""
    interrupted, asked, unseen = Stop(), Stop(), Stop()
    interrupted.interrupted = interrupted.told = asked.told = unseen.interrupted = True
    assert [was_stopped(stop, None) for stop in (interrupted, asked, unseen)] == [
        True,
        False,
        False,
    ]


def test_it_strikes_until_the_code_has_ended() -> None:
    """Code may swallow everything, now and then; what it makes of it does not count."""
    bench, inside = Bench(), threading.Semaphore(0)

    def stubborn() -> None:
        for _ in range(3):
            try:
                inside.release()
                while True:
                    pass
            except BaseException:
                continue
        raise SystemError("half done")

    stop = bench.start(stubborn)
    assert inside.acquire(timeout=WAIT_S)
    bench.stopper.ask(stop, "interrupt")
    for _ in range(2):
        assert inside.acquire(timeout=WAIT_S)
        bench.strike_again()
    outcome = bench.end()
    assert isinstance(outcome, Error)
    assert isinstance(outcome.error, SystemError)
    assert was_stopped(stop, outcome.error)
    bench.strike_again()  # nobody is there any more
    assert bench.due == []


@pytest.mark.parametrize("mode", ["auto", "graceful"])
def test_code_that_looks_is_left_to_itself(mode: StopMode) -> None:
    """It ends as it sees fit."""
    bench, entered = Bench(), threading.Event()

    def polite() -> str:
        while not stop_asked():
            entered.set()
        return "a part"

    stop = bench.start(polite)
    assert entered.wait(WAIT_S)
    assert not stop.told
    bench.stopper.ask(stop, mode)
    assert bench.end() == Value("a part")
    assert (stop.heeded, stop.told, stop.interrupted) == (True, True, False)


def test_code_that_does_not_look_is_interrupted_by_default() -> None:
    """There is no other way."""
    bench, entered = Bench(), threading.Event()
    stop = bench.start(lambda: spin(entered))
    assert entered.wait(WAIT_S)
    bench.stopper.ask(stop, "auto")
    assert isinstance(bench.end(), Error)
    assert stop.interrupted


def test_a_mode_that_leaves_it_alone() -> None:
    """Only what is queued is meant."""
    bench, entered, leave = Bench(), threading.Event(), threading.Event()

    def wait() -> bool:
        entered.set()
        leave.wait(WAIT_S)
        return stop_asked()

    stop = bench.start(wait)
    assert entered.wait(WAIT_S)
    bench.stopper.ask(stop, "dequeue")
    leave.set()
    assert bench.end() == Value(value=False)


def test_an_end_without_a_result_is_told_by_its_class() -> None:
    """Only if it was asked for."""
    stop = Stop()
    assert not was_stopped(stop, CommandStopped("by itself"))
    stop.asked = True
    assert was_stopped(stop, CommandStopped("as asked"))
    assert not was_stopped(stop, ValueError("another"))


def test_no_interrupt_hits_the_next_command() -> None:
    """However late it comes: thousands of short commands, each struck about its end."""
    stopper = Stopper(lambda *_: None)
    current: list[Stop] = []
    done = threading.Event()

    def strike() -> None:
        while not done.is_set():
            for stop in current[-1:]:
                stopper.ask(stop, "interrupt")

    striker, interval = threading.Thread(target=strike), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    striker.start()
    hit = 0
    try:
        for number in range(3_000):
            struck, spared = Stop(), Stop()
            current[:] = [struck]
            outcome = stopper.run(struck, lambda: sum(map(abs, range(200))))
            current.clear()
            if isinstance(outcome, Error):
                assert isinstance(outcome.error, CommandInterrupted)
                hit += 1
            # Nobody strikes this one.
            assert stopper.run(spared, lambda n=number: n) == Value(number)  # type: ignore[misc]
    finally:
        done.set()
        striker.join(WAIT_S)
        sys.setswitchinterval(interval)
    assert hit > 0

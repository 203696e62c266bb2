"""Commands that run for longer than they may."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from asyncbridge.protocol.limits import LONGEST_S
from asyncbridge.worker.overtime import RUNG_SECONDS, Overtime, overdue_text
from asyncbridge.worker.stopping import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.worker.queue import Job
    from asyncbridge.worker.stopping import Stopper


class Timer:
    """A timer that a test fires."""

    def __init__(self, seconds: float, callback: Callable[[], None]) -> None:
        self.seconds = seconds
        self.fire = callback
        self.cancelled = False

    def cancel(self) -> None:
        """Cancel it."""
        self.cancelled = True


class World:
    """An overtime whose clock is the test's."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []
        self.asked: list[str] = []
        self.overtime = Overtime(
            post=lambda call: call(),
            later=self.later,
            stopper=cast("Stopper", SimpleNamespace(ask=lambda _, mode: self.asked.append(mode))),
        )

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Take a timer."""
        self.timers.append(Timer(seconds, callback))
        return self.timers[-1]


def job(run_ms: int) -> Any:
    """Return a job with a limit."""
    return SimpleNamespace(command=SimpleNamespace(run_ms=run_ms), stop=Stop())


def test_the_rungs() -> None:
    """First as the code likes it, then by an exception."""
    world, late = World(), job(1500)
    with world.overtime.limiting(late):
        assert [timer.seconds for timer in world.timers] == [1.5, 1.5 + RUNG_SECONDS]
        assert not late.stop.overdue
        for timer in world.timers:
            timer.fire()
        assert world.asked == ["auto", "interrupt"]
        assert late.stop.overdue
    assert all(timer.cancelled for timer in world.timers)


def test_what_no_timer_takes() -> None:
    """A client that is not ours may send anything: beyond the longest limit it is that one."""
    world = World()
    with world.overtime.limiting(job(2**60)):
        assert [timer.seconds for timer in world.timers] == [LONGEST_S, LONGEST_S + RUNG_SECONDS]
    with world.overtime.limiting(job(-1)):
        assert len(world.timers) == 2


def test_one_that_is_in_time_is_not_struck_later() -> None:
    """Its timers go with it, also when it raises."""
    world = World()
    with pytest.raises(ValueError, match="own"), world.overtime.limiting(job(1500)):
        raise ValueError("own")
    assert [timer.cancelled for timer in world.timers] == [True, True]


@pytest.mark.parametrize(("interrupted", "how"), [(True, "interrupted"), (False, "stopped")])
def test_what_is_said_of_it(interrupted: bool, how: str) -> None:
    """How long it might run, and what befell it."""
    late: Job = job(2500)
    late.stop.interrupted = interrupted
    assert overdue_text(late) == f"the command ran for more than 2.5 s (run_timeout), and was {how}"

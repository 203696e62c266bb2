"""The times of a command."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from asyncbridge.promise.times import Times
from asyncbridge.testing import ManualClock


def test_while_it_waits_and_runs_the_seconds_grow() -> None:
    """Of one that has not begun, there is no running time."""
    clock = ManualClock(100)
    times = Times(clock)
    clock.advance(2)
    assert (times.queued_for, times.ran_for) == (2.0, None)
    times.start()
    clock.advance(3)
    assert (times.queued_for, times.ran_for) == (2.0, 3.0)


def test_one_that_had_begun_before_it_was_heard_of() -> None:
    """It has run since then; whether it waited before is not known."""
    clock = ManualClock(100)
    times = Times(clock)
    clock.advance(2)
    times.started_before(60)
    clock.advance(3)
    assert (times.queued_for, times.ran_for) == (0.0, 63.0)


def test_the_end_stops_the_clock() -> None:
    """The first end counts."""
    clock = ManualClock()
    times = Times(clock)
    clock.advance(2)
    times.start()
    clock.advance(3)
    times.end()
    clock.advance(4)
    times.end()
    assert (times.queued_for, times.ran_for) == (2.0, 3.0)


def test_one_that_never_began_has_waited_until_its_end() -> None:
    """As a command that was cancelled in the queue."""
    clock = ManualClock()
    times = Times(clock)
    clock.advance(2)
    times.end()
    clock.advance(3)
    assert (times.queued_for, times.ran_for) == (2.0, None)


def test_the_date_is_that_of_the_other_clock() -> None:
    """In UTC, with its zone."""
    times = Times(now=lambda: 86_400.0)
    assert times.created_at == datetime(1970, 1, 2, tzinfo=UTC)


def test_by_default_it_is_now() -> None:
    """The clocks of this process."""
    times = Times()
    assert abs(times.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert times.queued_for >= 0

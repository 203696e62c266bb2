"""When a worker is started anew."""

from __future__ import annotations

from typing import Any

import pytest

from asyncbridge.client.restarts import Restart, Restarts, restart_of
from asyncbridge.errors import WorkerLost

CRASHED, ENDED = WorkerLost("x", signal="SIGKILL"), WorkerLost("x", exit_code=0)


@pytest.mark.parametrize(
    ("when", "after_crash", "after_end"),
    [("on-failure", True, False), ("always", True, True), ("never", False, False)],
)
def test_after_which_ends(when: str, after_crash: bool, after_end: bool) -> None:
    """As the policy says."""
    restarts = Restarts(restart_of(when))
    assert restarts.is_due(CRASHED) is after_crash
    assert restarts.is_due(ENDED) is after_end


def test_the_first_comes_at_once_and_each_further_one_later() -> None:
    """Up to the longest time, and no more than the limit within the window."""
    now = [0.0]
    policy = Restart(limit=5, window=60, backoff=1, longest=3)
    restarts = Restarts(policy, clock=lambda: now[0], share=lambda: 0.0)
    assert [restarts.delay() for _ in range(6)] == [0.0, 1.0, 2.0, 3.0, 3.0, None]
    now[0] = 61.0
    assert restarts.delay() == 0.0


def test_bridges_do_not_come_back_all_at_once() -> None:
    """A part of the time is left to chance."""
    policy = Restart(limit=2, backoff=1)
    restarts = Restarts(policy, clock=lambda: 0.0, share=lambda: 0.25)
    restarts.delay()
    assert restarts.delay() == 0.75
    real = Restarts(policy, clock=lambda: 0.0)
    real.delay()
    assert 0.5 <= (real.delay() or 0) <= 1.0


@pytest.mark.parametrize(
    ("given", "kind"),
    [("sometimes", ValueError), (True, TypeError), (None, TypeError), (3, TypeError)],
)
def test_what_is_no_policy(given: Any, kind: type[Exception]) -> None:
    """Is refused, with what there is."""
    with pytest.raises(kind, match="'on-failure', 'never', 'always'"):
        restart_of(given)


def test_no_negative_numbers() -> None:
    """A policy with them says nothing."""
    with pytest.raises(ValueError, match="not negative"):
        Restart(limit=-1)


def test_an_end_that_was_wished_for_is_not_counted() -> None:
    """It has no delay, and leaves the limit to those that are faults."""
    restarts = Restarts(Restart(limit=1, backoff=8.0), clock=lambda: 0.0, share=lambda: 0.0)
    for _ in range(3):
        restarts.want()
        assert restarts.delay() == 0.0
    assert [restarts.delay(), restarts.delay()] == [0.0, None]

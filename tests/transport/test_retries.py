from __future__ import annotations

from asyncbridge.transport.retries import Backoff, Tries


def test_waits_grow_up_to_the_longest() -> None:
    """The first try is repeated at once, since a kept connection may just have ended."""
    backoff = Backoff(tries=9, first=0.1, longest=0.5)
    assert [backoff.delay(n) for n in range(1, 7)] == [0.0, 0.1, 0.2, 0.4, 0.5, 0.5]


def test_tries_that_come_to_nothing_are_bounded() -> None:
    """The last one is the end."""
    tries = Tries(Backoff(tries=3, first=0.1))
    assert [tries.failed(0) for _ in range(3)] == [0.0, 0.1, None]


def test_whoever_comes_further_begins_anew() -> None:
    """Failures count only since the last byte that was new."""
    tries = Tries(Backoff(tries=3, first=0.1))
    assert [tries.failed(good) for good in (0, 0, 5, 5, 6, 6, 6)] == [
        0.0, 0.1, 0.0, 0.1, 0.0, 0.1, None,
    ]  # fmt: skip
    assert tries.failures == 3

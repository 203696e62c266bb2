"""When a worker is to be replaced."""

from __future__ import annotations

from typing import Any

import pytest

from asyncbridge.worker.recycling import SHORT_S, Limits, Watch

GIB = 2**30


class Clock:
    """What a watch looks at, by hand."""

    def __init__(self, limits: Limits | None, machine: int = 16 * GIB) -> None:
        self.now = 0.0
        self.resident = GIB
        self.looks = 0
        self.watch = Watch(limits, machine=machine, clock=lambda: self.now, rss=self.rss)

    def rss(self) -> int:
        self.looks += 1
        return self.resident


def test_without_limits_and_small_it_says_nothing() -> None:
    """A worker that is no larger than others is left alone."""
    clock = Clock(None)
    assert [clock.watch.ran(1.0) for _ in range(3)] == [None] * 3


def test_a_share_of_the_memory_is_told_once() -> None:
    """Half of the machine's memory is worth a warning, and one is enough."""
    clock = Clock(None)
    clock.resident = 8 * GIB
    advice = clock.watch.ran(1.0)
    assert advice is not None
    assert advice.kind == "memory"
    assert advice.text.startswith("the worker holds 8.0 GiB, 50% of the machine's memory")
    assert "Recycle(rss=...)" in advice.text
    assert clock.watch.ran(1.0) is None


def test_a_machine_of_unknown_memory() -> None:
    """Nothing is a share of what is not known."""
    clock = Clock(None, machine=0)
    clock.resident = 800 * GIB
    assert clock.watch.ran(1.0) is None


@pytest.mark.parametrize(
    ("limits", "change", "why"),
    [
        (Limits(rss=2 * GIB), {"resident": 2 * GIB}, "it holds 2.00 GiB, of 2.00"),
        (Limits(age=60.0), {"now": 60.0}, "it is 60 s old, of 60"),
        (Limits(commands=2), {}, "it has run 2 commands, of 2"),
    ],
)
def test_each_limit_is_a_reason(limits: Limits, change: dict[str, Any], why: str) -> None:
    """Below its limit a worker stays; at it, it is to be replaced, and says why."""
    clock = Clock(limits)
    assert clock.watch.ran(1.0) is None
    vars(clock).update(change)
    advice = clock.watch.ran(1.0)
    assert advice is not None
    assert (advice.kind, advice.text) == ("recycle", why)


def test_short_commands_are_not_looked_at_one_by_one() -> None:
    """To ask for the memory costs as much as a short command: it is asked for once for many."""
    clock = Clock(Limits(rss=2 * GIB))
    for _ in range(20):
        clock.watch.ran(SHORT_S / 8)
    assert clock.looks == 2


def test_what_was_moved_may_be_over_the_limit() -> None:
    """Then it is said, and the worker is replaced when it has grown, not for every command."""
    clock = Clock(Limits(rss=2 * GIB))
    told = clock.watch.begin_with(3 * GIB)
    assert told.startswith("what was moved takes 3.00 GiB, and the policy says 2.00")
    clock.resident = int(3.1 * GIB)
    assert clock.watch.ran(1.0) is None
    clock.resident = int(3.2 * GIB)
    assert clock.watch.ran(1.0) is not None


def test_what_was_moved_is_usually_small() -> None:
    """Then the limit is as it was given."""
    clock = Clock(Limits(rss=2 * GIB))
    assert clock.watch.begin_with(GIB) == ""
    clock.resident = 2 * GIB
    assert clock.watch.ran(1.0) is not None
    assert Clock(Limits(commands=1)).watch.begin_with(GIB) == ""


def test_limits_come_with_the_configuration() -> None:
    """As the client has written them."""
    assert Limits.of(None) is None
    assert Limits.of({"rss": 5, "age": None, "commands": 2}) == Limits(rss=5, commands=2)

"""Whether a worker still answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge.client.heartbeat import LOOK_S, PROBE_LOOKS, SILENT_LOOKS, Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer:
    """A timer that a test fires."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        """Cancel it."""
        self.cancelled = True


class World:
    """A heartbeat, its clock, and what it has done."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.timers: list[Timer] = []
        self.heart = Heartbeat(
            ask=lambda: self.done.append("ask"),
            answers=lambda answers: self.done.append("answers" if answers else "silent"),
            probe=lambda: self.done.append("probe"),
            later=self.later,
        )
        self.heart.start()

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Take a timer."""
        assert seconds == LOOK_S
        self.timers.append(Timer(callback))
        return self.timers[-1]

    def pass_looks(self, count: int) -> None:
        """Let some seconds pass."""
        for _ in range(count):
            self.timers[-1].callback()


@pytest.fixture
def world() -> World:
    """Return a heartbeat that has just begun."""
    return World()


def test_one_that_speaks_is_not_asked(world: World) -> None:
    """There is nothing on the wire for a busy session's sake."""
    for _ in range(20):
        world.heart.heard()
        world.pass_looks(1)
    assert world.done == []


def test_an_idle_one_is_asked_once(world: World) -> None:
    """And asked again when it has answered, and is silent again."""
    world.pass_looks(3)
    assert world.done == ["ask"]
    world.heart.heard()
    world.pass_looks(2)
    assert world.done == ["ask", "ask"]


def test_one_that_does_not_answer_is_silent_until_it_does(world: World) -> None:
    """And the connection is tried, now and then."""
    world.pass_looks(SILENT_LOOKS)
    assert world.done == ["ask", "silent", "probe"]
    world.pass_looks(PROBE_LOOKS)
    assert world.done == ["ask", "silent", "probe", "probe"]
    world.heart.heard()
    assert world.done[-1] == "answers"
    world.heart.heard()
    assert world.done.count("answers") == 1


def test_one_that_is_stopped_looks_no_more(world: World) -> None:
    """Its timer is cancelled."""
    world.heart.stop()
    assert world.timers[-1].cancelled

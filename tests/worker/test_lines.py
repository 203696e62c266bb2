"""What a session has in the queue, and what is dropped between its jobs."""

from __future__ import annotations

from typing import cast

from asyncbridge.protocol.messages import Command, Release
from asyncbridge.worker.lines import Dropping, Line
from asyncbridge.worker.peer import Peer
from asyncbridge.worker.queue import FailureLog, Job

NOBODY = cast(Peer, None)


def job(line: Line, number: int, *, priority: int = 0, aside: bool = False) -> Job:
    """Return a job that waits in a line."""
    command = Command(id=number, code="", priority=priority, aside=aside)
    made = Job(NOBODY, command, FailureLog(), line=line)
    line.waiting.add(made)
    return made


def test_the_newest_in_order() -> None:
    """It is told for jobs that had no priority, and none that others may be run before."""
    line = Line()
    for number, priority, aside in ((1, 0, False), (2, 1, False), (3, 0, True)):
        made = job(line, number, priority=priority, aside=aside)
        assert line.take_up() is made
    assert line.ordered_id == 1
    assert not line.waiting


def dropping(names: tuple[str, ...], behind: int, dropped: list[Dropping]) -> Dropping:
    """Return what is to be dropped, and is noted then."""
    return Dropping(names=names, release=Release(names=names), behind=behind, drop=dropped.append)


def test_what_is_dropped_when() -> None:
    """It goes once no command waits that was sent before it was let go of."""
    line, dropped = Line(), list[Dropping]()
    first, second = dropping(("x",), 1, dropped), dropping(("y",), 3, dropped)
    line.droppings.extend((first, second))
    line.drop_up_to(1)
    assert dropped == []
    line.drop_up_to(3)
    assert dropped == [first]
    line.drop_up_to(None)
    assert dropped == [first, second]


def test_what_is_kept() -> None:
    """A name that was set by a command sent later stays; one set before it was let go of goes."""
    line, dropped = Line(), list[Dropping]()
    line.droppings.append(dropping(("x", "y", "z"), 2, dropped))
    line.keep(["x"], 3)
    line.keep(["y"], 2)
    line.drop_up_to(None)
    assert [due.names for due in dropped] == [("y", "z")]


def test_the_value_of_a_command() -> None:
    """It is forgotten once, whether or not it is there."""
    line = Line()
    line.values[1] = object()
    for _ in range(2):
        line.forget(1)
    assert line.values == {}

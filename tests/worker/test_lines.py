"""What a session has in the queue, and what is dropped between its jobs."""

from __future__ import annotations

from typing import cast

from asyncbridge.protocol.messages import Command
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


def test_what_is_dropped_when() -> None:
    """Names go once no command waits that was sent before they were let go of."""
    line, dropped = Line(), list[tuple[str, ...]]()
    for behind, name in ((1, "x"), (3, "y")):
        line.droppings.append(Dropping(names=(name,), behind=behind, drop=dropped.append))
    line.drop_up_to(1)
    assert dropped == []
    line.drop_up_to(3)
    assert dropped == [("x",)]
    line.drop_up_to(None)
    assert dropped == [("x",), ("y",)]


def test_what_is_kept() -> None:
    """A name that was set by a command sent later stays; one set before it was let go of goes."""
    line, dropped = Line(), list[tuple[str, ...]]()
    line.droppings.append(Dropping(names=("x", "y", "z"), behind=2, drop=dropped.append))
    line.keep(["x"], 3)
    line.keep(["y"], 2)
    line.drop_up_to(None)
    assert dropped == [("y", "z")]

"""One session's commands in the queue, and the bindings to be dropped between them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from asyncbridge.protocol.keeping import URGENT
from asyncbridge.protocol.levels import Levels

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from threading import Lock

    from asyncbridge.protocol.messages import Release
    from asyncbridge.worker.queue import Job

__all__ = ["Dropping", "LaneItem", "Line"]

LaneItem: TypeAlias = "Job | tuple[Release, int]"
"""What a session is to bring into the queue: a release comes with the newest command before it."""


@dataclass(slots=True, kw_only=True)
class Dropping:
    """What nothing in a client refers to any more.

    Attributes:
        names: The bindings among it, but for those that were set anew.
        release: All of it.
        behind: The newest command that had come by then: those up to it may still use it.
        drop: Drops it, in the GPU thread.
    """

    names: tuple[str, ...]
    release: Release
    behind: int
    drop: Callable[[Dropping], None]


class Line:
    """What a session has in the queue.

    Attributes:
        waiting: Its jobs, in their order; used under the queue's lock.
        ordered_id: The newest job taken up of those that run in the order of their ids.
        droppings: What the loop adds and the GPU thread takes, each in one step of a deque.
        values: The values of commands that later ones use; the GPU thread's.
        alone: Those commands among them whose value is nowhere else; likewise.
    """

    __slots__ = ("alone", "droppings", "ordered_id", "values", "waiting")

    def __init__(self) -> None:
        self.waiting: Levels[Job] = Levels()
        self.ordered_id = 0
        self.droppings: deque[Dropping] = deque()
        self.values: dict[int, object] = {}
        self.alone: set[int] = set()

    def take_up(self) -> Job:
        """Take out the job that is to be run now, of those that wait."""
        waiting = self.waiting
        if waiting.ranks:
            job = waiting.first()
            assert job is not None, "one of them always may go"
            waiting.remove(job)
        else:
            job = waiting.plain.popleft()
        command = job.command
        if not (job.moved or command.priority or command.aside):
            self.ordered_id = command.id
        return job

    def is_urgent(self, lock: Lock) -> bool:
        """Tell whether the job that would be taken up now is one of the bridge's own."""
        with lock:
            waiting = self.waiting
            job = waiting.first() if waiting.ranks else None
            return job is not None and job.command.priority >= URGENT

    def keep(self, names: Container[str], command_id: int) -> None:
        """Let names stand that a command has set, if it was sent after they were let go of."""
        for dropping in tuple(self.droppings):
            if command_id > dropping.behind:
                dropping.names = tuple(name for name in dropping.names if name not in names)

    def forget(self, command_id: int) -> None:
        """Let go of a command's value that was kept for others."""
        self.values.pop(command_id, None)
        self.alone.discard(command_id)

    def drop_up_to(self, lowest: int | None) -> None:
        """Drop what no job may use any more, the lowest one that waits being this one."""
        droppings = self.droppings
        while droppings and (lowest is None or droppings[0].behind < lowest):
            due = droppings.popleft()
            due.drop(due)

"""The order in which one session's commands leave: by priority, and in each as they were sent."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asyncbridge.protocol.messages import Command

__all__ = ["Levels", "Ranked"]


class Ranked(Protocol):
    """A command that waits."""

    command: Command


RankedT = TypeVar("RankedT", bound=Ranked)


class Levels(Generic[RankedT]):
    """Commands that wait, a queue for each priority.

    In each queue they stand in the order of their ids, and only the first one may go: those of
    one priority never change their order. Of the first ones the one of the highest priority goes
    that waits for no other command in here. The one with the lowest id of all waits for none,
    so there is always one to go.

    Attributes:
        plain: Those of the default priority. While ``ranks`` is empty there are no others, and
            whoever is in a hurry may take the first one by itself.
        ranks: The other priorities that are in use, negated, so that the highest comes first.
    """

    def __init__(self) -> None:
        self.plain: deque[RankedT] = deque()
        self.ranks: list[int] = []
        self._levels: dict[int, deque[RankedT]] = {}

    def __bool__(self) -> bool:
        return bool(self.plain or self._levels)

    def __iter__(self) -> Iterator[RankedT]:
        return chain(self.plain, *self._levels.values())

    def add(self, item: RankedT) -> None:
        """Add a command, behind those of its priority that were sent before it."""
        command = item.command
        level = self.plain if command.priority == 0 else self._level(command.priority)
        if level and level[-1].command.id > command.id:
            level.insert(_place(level, command.id), item)
        else:
            level.append(item)

    def first(self, may: Callable[[RankedT], bool] | None = None) -> RankedT | None:
        """Return the command that is to go next.

        Args:
            may: Says that one may go; those behind one that may not wait along.
        """
        for level in self._by_rank():
            if (may is None or may(level[0])) and not self._waits(level[0]):
                return level[0]
        return None

    def remove(self, item: RankedT) -> None:
        """Take a command out."""
        priority = item.command.priority
        level = self.plain if priority == 0 else self._levels[priority]
        if level[0] is item:
            level.popleft()
        else:
            level.remove(item)
        if not level and priority != 0:
            del self._levels[priority]
            del self.ranks[bisect_left(self.ranks, -priority)]

    def move(self, item: RankedT, priority: int) -> None:
        """Give a command that waits another priority."""
        self.remove(item)
        item.command = replace(item.command, priority=priority)
        self.add(item)

    def lowest(self) -> int | None:
        """Return the lowest id, None when none waits."""
        heads = [level[0].command.id for level in (self.plain, *self._levels.values()) if level]
        return min(heads, default=None)

    def order(self) -> list[RankedT]:
        """Return all, in the order in which they will go if nothing else comes."""
        waiting = {item.command.id for item in self}
        levels = [deque(level) for level in self._by_rank()]
        found: list[RankedT] = []
        while waiting:
            level = next(each for each in levels if each and not _waits_for(each[0], waiting))
            found.append(item := level.popleft())
            waiting.remove(item.command.id)
        return found

    def _level(self, priority: int) -> deque[RankedT]:
        level = self._levels.get(priority)
        if level is None:
            level = self._levels[priority] = deque()
            insort(self.ranks, -priority)
        return level

    def _by_rank(self) -> Iterator[deque[RankedT]]:
        """Give the queues that are not empty, the highest priority first."""
        plain = self.plain
        for rank in self.ranks:
            if rank > 0 and plain:
                yield plain
                plain = deque()
            yield self._levels[-rank]
        if plain:
            yield plain

    def _waits(self, item: RankedT) -> bool:
        """Tell whether a command waits for another one in here."""
        levels = (self.plain, *self._levels.values())
        return any(
            _holds(level, other)
            for other in item.command.after
            if other < item.command.id
            for level in levels
        )


def _place(level: Sequence[Ranked], command_id: int) -> int:
    return bisect_left(level, command_id, key=lambda item: item.command.id)


def _holds(level: Sequence[Ranked], command_id: int) -> bool:
    place = _place(level, command_id)
    return place < len(level) and level[place].command.id == command_id


def _waits_for(item: Ranked, waiting: set[int]) -> bool:
    return any(other < item.command.id and other in waiting for other in item.command.after)

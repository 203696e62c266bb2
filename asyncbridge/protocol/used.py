"""Which ids were used: nearly all of them up to the newest."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

__all__ = ["UsedIds"]

GAPS_KEPT: Final = 200_000
"""Runs of ids that may still come: as many as a client's backlog holds commands, and more."""


class UsedIds:
    """The ids that commands have had, in little memory: the gaps between them are kept.

    Ids rise, but for commands that a more urgent one has overtaken in the client. That one names the
    lowest id which may yet come; what is lower counts as used, and so does, past ``GAPS_KEPT``
    gaps, the lowest one: an id in there is refused, which is safe, where a second use would not be.

    Attributes:
        newest: The highest one.
    """

    __slots__ = ("_ends", "_starts", "newest")

    def __init__(self) -> None:
        self.newest = 0
        # Of the gaps, in order: the first id of each, and the one behind its last.
        self._starts: list[int] = []
        self._ends: list[int] = []

    @property
    def gaps(self) -> int:
        """How many runs of ids may still come, below the newest one."""
        return len(self._starts)

    def __contains__(self, command_id: int) -> bool:
        if command_id > self.newest:
            return False
        return command_id < 1 or self._gap_of(command_id) is None

    def add(self, command_id: int, overtakes: int = 0) -> None:
        """Note an id that was not used before.

        Args:
            command_id: The id.
            overtakes: The lowest id that may still come, 0 when that is the next one.
        """
        if command_id == self.newest + 1:
            self.newest = command_id
        elif command_id > self.newest:
            self._starts.append(self.newest + 1)
            self._ends.append(command_id)
            self.newest = command_id
            self._forget()
        else:
            self._fill(command_id)
        if self._starts:
            self._close(overtakes or command_id)

    def _close(self, lowest: int) -> None:
        """Let ids below one count as used."""
        place = bisect_right(self._ends, lowest)
        del self._starts[:place], self._ends[:place]
        if self._starts and self._starts[0] < lowest:
            self._starts[0] = lowest

    def _fill(self, command_id: int) -> None:
        place = self._gap_of(command_id)
        assert place is not None, "the caller has looked"
        start, end = self._starts[place], self._ends[place]
        rest = [(a, b) for a, b in ((start, command_id), (command_id + 1, end)) if a < b]
        self._starts[place : place + 1] = [a for a, _ in rest]
        self._ends[place : place + 1] = [b for _, b in rest]
        self._forget()

    def _gap_of(self, command_id: int) -> int | None:
        place = bisect_right(self._starts, command_id) - 1
        return place if place >= 0 and command_id < self._ends[place] else None

    def _forget(self) -> None:
        if len(self._starts) > GAPS_KEPT:
            del self._starts[0], self._ends[0]

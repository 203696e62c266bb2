"""Which ids of commands may still come in a session, whose commands may overtake one another."""

from __future__ import annotations

__all__ = ["Ids"]


class Ids:
    """One session's ids, each of which comes once.

    They rise, but for commands that a more urgent one has overtaken in the client. That one
    names the lowest id which may yet come behind it, so that no more than these gaps are kept.
    """

    def __init__(self) -> None:
        self.newest = 0
        self._gaps: list[range] = []

    def take(self, number: int, overtakes: int = 0) -> bool:
        """Take the id of a command that has come; return whether it may come now.

        Args:
            number: The id.
            overtakes: The lowest id that may still come, 0 when that is the next one.
        """
        if number == self.newest + 1 and not self._gaps:
            self.newest = number
            return True
        if number > self.newest:
            if number > self.newest + 1:
                self._gaps.append(range(self.newest + 1, number))
            self.newest = number
        elif not self._fill(number):
            return False
        if self._gaps:
            lowest = overtakes or number
            self._gaps = [range(max(gap.start, lowest), gap.stop)
                          for gap in self._gaps if gap.stop > lowest]  # fmt: skip
        return True

    def _fill(self, number: int) -> bool:
        for place, gap in enumerate(self._gaps):
            if number in gap:
                parts = range(gap.start, number), range(number + 1, gap.stop)
                self._gaps[place : place + 1] = [part for part in parts if part]
                return True
        return False

"""How often a transfer that was cut is taken up again, and after how long."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Backoff", "Tries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Times between tries that come to nothing; in seconds.

    Attributes:
        tries: How many may come to nothing, one after the other.
        first: Before the second of them; a connection that was kept may just have ended, so the
            one before that is at once.
        longest: Each wait is twice the one before, up to this.
    """

    tries: int = 8
    first: float = 0.05
    longest: float = 2.0

    def delay(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row."""
        return 0.0 if failures <= 1 else min(self.longest, self.first * 2 ** (failures - 2))


class Tries:
    """Counts the failures of one transfer since it last came any further."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._good = 0
        self.failures = 0

    def failed(self, good: int) -> float | None:
        """Note a failure; return how long to wait, None to give up.

        Args:
            good: Bytes of the transfer that are done.
        """
        self.failures = 1 if good > self._good else self.failures + 1
        self._good = max(self._good, good)
        if self.failures >= self._backoff.tries:
            return None
        return self._backoff.delay(self.failures)

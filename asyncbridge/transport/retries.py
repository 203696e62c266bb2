"""How often what was cut is taken up again, and after how long: transfers, and connections."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Attempts", "Backoff", "Patience", "Tries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Times between tries that come to nothing; in seconds.

    Attributes:
        tries: How many may come to nothing, one after the other.
        first: Before the second of them; a connection that was kept may just have ended, so the
            one before that is at once.
        longest: Each wait is twice the one before, up to this.
    """

    tries: int = 20
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """When a connection is tried again; in seconds.

    Attributes:
        first: Before the second attempt; the first one is at once.
        longest: Each wait is twice the one before, up to this, and less by chance: many clients
            of a worker that comes back are not to come all at once.
        whole: For how long it is tried at all.
        clock: Tells the time.
        sleep: Waits.
        chance: Returns a number between its two arguments.
    """

    first: float = 0.02
    longest: float = 1.0
    whole: float = 30.0
    clock: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], Awaitable[object]] = field(default=asyncio.sleep)
    chance: Callable[[float, float], float] = field(default=random.uniform)

    def begin(self) -> Attempts:
        """Return the attempts that begin now."""
        return Attempts(self)


class Attempts:
    """The attempts to come by a connection again."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._begun = patience.clock()
        self._count = 0

    async def wait(self) -> None:
        """Wait until the next one is due."""
        patience = self._patience
        if self._count:
            due = min(patience.longest, patience.first * 2 ** min(self._count - 1, 20))
            await patience.sleep(patience.chance(due / 2, due))
        self._count += 1

    @property
    def are_over(self) -> bool:
        """Whether it was tried for long enough."""
        return self._patience.clock() - self._begun >= self._patience.whole

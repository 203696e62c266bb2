"""When a worker that has ended is started anew, and how often."""

from __future__ import annotations

import random
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from asyncbridge.client.checks import check_timeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.errors import WorkerLost

__all__ = ["Restart", "RestartWhen", "Restarts", "restart_of"]

RestartWhen = Literal["on-failure", "never", "always"]
WHEN: Final = get_args(RestartWhen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """What becomes of a bridge whose worker has ended.

    Attributes:
        when: ``"on-failure"``: another one is started, unless it ended by itself with status 0;
            ``"always"``: also then; ``"never"``: the bridge is lost.
        limit: Restarts within ``window``; with one more the bridge is lost.
        window: Seconds.
        backoff: Seconds before the second restart in a window; twice as many before each further
            one, and a random part of them less. The first comes at once.
        longest: Seconds that are waited at most.

    Raises:
        ValueError: ``when`` is none of the three, a number is negative, or seconds are too many.
    """

    when: RestartWhen = "on-failure"
    limit: int = 5
    window: float = 60.0
    backoff: float = 0.5
    longest: float = 10.0

    def __post_init__(self) -> None:
        if self.when not in WHEN:
            raise ValueError(f"restart is one of {', '.join(map(repr, WHEN))}, not {self.when!r}")
        if min(self.limit, self.window, self.backoff, self.longest) < 0:
            raise ValueError(f"the numbers of a restart policy are not negative: {self!r}")
        for name in ("window", "backoff", "longest"):
            check_timeout(getattr(self, name) or None, name)


def restart_of(given: object) -> Restart:
    """Return the policy that an argument of ``connect`` stands for.

    Raises:
        TypeError: It is neither a policy nor a text.
        ValueError: The text is none of the three.
    """
    if isinstance(given, Restart):
        return given
    if isinstance(given, str):
        return Restart(when=given)  # type: ignore[arg-type]
    raise TypeError(f"restart= is one of {', '.join(map(repr, WHEN))}, or a Restart, not {given!r}")


class Restarts:
    """Counts the restarts of one bridge against its policy.

    Args:
        policy: What the user wants.
        clock: Seconds.
        share: Returns the share of a waiting time that is left off, from 0 to 0.5.
    """

    def __init__(
        self,
        policy: Restart,
        *,
        clock: Callable[[], float] = time.monotonic,
        share: Callable[[], float] = lambda: random.uniform(0, 0.5),
    ) -> None:
        self.policy = policy
        self._clock = clock
        self._share = share
        self._begun: deque[float] = deque()
        self._wanted = False

    def is_due(self, lost: WorkerLost) -> bool:
        """Tell whether another worker is wanted after such an end."""
        return self.policy.when == "always" or (
            self.policy.when == "on-failure" and lost.exit_code != 0
        )

    def want(self) -> None:
        """Note that the worker's end is wished for: it speaks for no fault, and is not counted."""
        self._wanted = True

    def delay(self) -> float | None:
        """Count a restart in, and return the seconds before it; None if there were too many."""
        if self._wanted:
            self._wanted = False
            return 0.0
        now, policy = self._clock(), self.policy
        while self._begun and now - self._begun[0] > policy.window:
            self._begun.popleft()
        count = len(self._begun)
        if count >= policy.limit:
            return None
        self._begun.append(now)
        if not count:
            return 0.0
        wait: float = min(policy.longest, policy.backoff * 2 ** (count - 1))
        return wait * (1 - self._share())

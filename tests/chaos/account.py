"""The account of a campaign: what has become of each promise, held against the ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from asyncbridge.errors import RemoteError, WorkerLost
from tests.chaos.commands import is_right
from tests.chaos.ledger import lies

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

__all__ = ["Account"]


@dataclass(slots=True, kw_only=True)
class Account:
    """What was counted; the last four are to be 0.

    Attributes:
        commands: That were asked for.
        faults: That have come about.
        kills: Of the worker, among them.
        values: Promises with a value.
        errors: Promises with the error that their code raised.
        gone: Promises that tell how far their command had come when the worker was killed.
        lost: Promises that end in any other way, or tell what the ledger denies.
        twice: Commands that have run more than once.
        misrouted: Results of another command, and commands out of order.
        unsettled: Promises that came to nothing in time.
    """

    commands: int = 0
    faults: int = 0
    kills: int = 0
    values: int = 0
    errors: int = 0
    gone: int = 0
    lost: int = 0
    twice: int = 0
    misrouted: int = 0
    unsettled: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing is there that must not be."""
        return not (self.lost or self.twice or self.misrouted or self.unsettled)

    def __add__(self, other: Account) -> Account:
        return Account(**{
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
        })  # fmt: skip

    def take(
        self,
        seed: int,
        promises: Mapping[int, asyncio.Future[Any]],
        ran: Sequence[int],
        *,
        killed: bool = False,
    ) -> list[str]:
        """Count one step's commands; return in words what is wrong.

        Args:
            seed: What the commands were drawn from.
            promises: By the commands' numbers; those of the commands that were taken.
            ran: Numbers, as the ledger has them.
            killed: Whether the worker was.
        """
        runs = Counter(ran)
        wrong = [f"{number} ran {count} times" for number, count in runs.items() if count > 1]
        self.twice += len(wrong)
        if list(runs) != sorted(runs) or not runs.keys() <= promises.keys():
            self.misrouted += 1
            wrong.append(f"the ledger has {ran[:10]}... of {list(promises)[:10]}...")
        for number, promise in promises.items():
            trouble = self._take_one(seed, number, promise, runs[number], killed=killed)
            if trouble:
                wrong.append(f"{number} {trouble}")
        return wrong

    def _take_one(
        self, seed: int, number: int, promise: asyncio.Future[Any], runs: int, *, killed: bool
    ) -> str:
        if not promise.done():
            self.unsettled += 1
            return f"is not settled, and ran {runs} times"
        error = promise.exception()
        if isinstance(error, WorkerLost) and killed:
            self.gone += 1
            if not lies(error.phase, runs):
                return ""
            self.lost += 1
            return f"is told to be {error.phase}, and ran {runs} times"
        if error is not None and not isinstance(error, RemoteError):
            self.lost += 1
            return f"ended by {error!r}"
        if not is_right(seed, number, error or promise.result()):
            self.misrouted += 1
            return f"has the result {error or promise.result()!r:.200}"
        self.values += error is None
        self.errors += error is not None
        self.lost += runs != 1
        return "" if runs == 1 else f"has a result, and ran {runs} times"

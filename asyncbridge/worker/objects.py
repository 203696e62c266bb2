"""Objects that the worker keeps for its clients: each by a number of its own, until nobody has it.

Everything here happens in the GPU thread, where the objects are made, used and destroyed; the loop
only looks, in single steps of a dict.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from asyncbridge.errors import StaleReference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Claimant", "Entry", "Objects"]

FORGOTTEN: Final = "nothing refers to it any more: its last handle was let go of"


class Claimant:
    """Whoever may have handles: one client, for as long as it lives, or is waited for.

    Args:
        owner: What people call it: a session's name, or its id.

    Attributes:
        counts: How often it was told of each object.
        names: The collected bindings that it has made.
        has_left: Whether it has none any more, nor will have.
    """

    __slots__ = ("counts", "has_left", "names", "owner")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.counts: dict[int, int] = {}
        self.names: set[str] = set()
        self.has_left = False


class Entry:
    """One object.

    Attributes:
        value: It.
        claims: How many handles and leases there are.
        leases: How many of those are leases.
        since: When it was kept first, by the worker's clock.
    """

    __slots__ = ("claims", "leases", "since", "value")

    def __init__(self, value: object, since: float) -> None:
        self.value = value
        self.claims = 0
        self.leases = 0
        self.since = since


class Objects:
    """The kept objects of one incarnation, by number.

    Attributes:
        newest: The highest number that there was.
    """

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        # By id(), which is theirs alone while they are kept here.
        self._numbers: dict[int, int] = {}
        self._count = itertools.count(1)
        self.newest = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, number: int) -> bool:
        return number in self._entries

    def items(self) -> list[tuple[int, Entry]]:
        """Return what there is; from any thread."""
        return list(self._entries.items())

    def number_of(self, value: object, now: float) -> int:
        """Return an object's number, a new one if it had none; ``claim`` it, or ``tidy`` it away."""
        number = self._numbers.get(id(value))
        if number is None:
            number = self.newest = next(self._count)
            self._numbers[id(value)] = number
            self._entries[number] = Entry(value, now)
        return number

    def begin_after(self, newest: int) -> None:
        """Use no number that the worker before this one has used."""
        self.newest = max(self.newest, newest)
        self._count = itertools.count(self.newest + 1)

    def put(self, number: int, value: object, now: float) -> None:
        """Keep an object under the number that it had in the worker before this one."""
        self._numbers[id(value)] = number
        self._entries[number] = Entry(value, now)

    def known(self, value: object) -> int | None:
        """Return an object's number, if it is kept."""
        return self._numbers.get(id(value))

    def value_of(self, number: int) -> object:
        """Return the object of a number.

        Raises:
            StaleReference: It is kept no longer.
        """
        entry = self._entries.get(number)
        if entry is None:
            raise self._stale(number)
        return entry.value

    def claim(self, claimant: Claimant, number: int) -> None:
        """Count one handle more.

        Raises:
            StaleReference: The object is kept no longer.
        """
        entry = self._entries.get(number)
        if entry is None:
            raise self._stale(number)
        entry.claims += 1
        claimant.counts[number] = claimant.counts.get(number, 0) + 1

    def lease(self, number: int) -> bool:
        """Count a claim of nobody's; tell whether the object is there."""
        entry = self._entries.get(number)
        if entry is not None:
            entry.claims += 1
            entry.leases += 1
        return entry is not None

    def end_lease(self, number: int) -> None:
        """Take such a claim back."""
        if (entry := self._entries.get(number)) is not None:
            entry.leases -= 1
        self._take_back(number, 1)

    def give_back(self, claimant: Claimant, number: int, count: int) -> None:
        """Take back so many of a claimant's handles, as far as it has as many."""
        had = claimant.counts.get(number, 0)
        left = had - min(count, had)
        if left:
            claimant.counts[number] = left
        else:
            claimant.counts.pop(number, None)
        self._take_back(number, had - left)

    def move(self, before: Claimant, after: Claimant, number: int) -> None:
        """Make one handle of a claimant that of another one."""
        if before.counts.get(number, 0):
            self.claim(after, number)
            self.give_back(before, number, 1)

    def tidy(self, numbers: Iterable[int]) -> None:
        """Let go of those that nobody has claimed."""
        for number in numbers:
            self._take_back(number, 0)

    def holders(self, claimants: Iterable[Claimant]) -> dict[int, list[str]]:
        """Return the owners of the handles on each object."""
        found: dict[int, list[str]] = {}
        for claimant in claimants:
            for number in list(claimant.counts):
                found.setdefault(number, []).append(claimant.owner)
        return found

    def numbers(self) -> Iterator[int]:
        """Return the numbers of what is kept."""
        return iter(list(self._entries))

    def _take_back(self, number: int, count: int) -> None:
        entry = self._entries.get(number)
        if entry is None:
            return
        entry.claims -= count
        if entry.claims <= 0:
            del self._entries[number]
            del self._numbers[id(entry.value)]

    def _stale(self, number: int) -> StaleReference:
        never = number > self.newest
        reason = "this worker has kept no such object" if never else FORGOTTEN
        return StaleReference(f"object {number} is not in the worker: {reason}", number=number)

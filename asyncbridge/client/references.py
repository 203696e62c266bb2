"""A bridge's references: one for each object, and how often the worker has told of it.

The garbage collector only enqueues: a finalizer may run at any allocation, in any thread, in the
middle of anything. It appends to a deque and asks the loop to have a look, nothing more.
"""

from __future__ import annotations

from collections import deque
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import ref

from asyncbridge.references.ref import Ref, Residence
from asyncbridge.serialization.handles import ref_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from asyncbridge.protocol.keeping import Told

__all__ = ["References"]


class _Tie(ref[Ref]):
    """To one reference: which object it is of, and how often that was told."""

    __slots__ = ("count", "number")

    count: int
    number: int


class References:
    """Those of one bridge.

    Args:
        wake: Asks the loop to call ``take`` soon; called from any thread, and from within the
            garbage collector. It must not block, nor raise.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._woken = False
        self._home: ref[Any] = ref(self)
        self._residence = Residence("")
        self._ties: dict[int, _Tie] = {}
        self._dead: deque[_Tie] = deque()
        # Values are read in several threads. Finalizers do not take it; what a destructor of the
        # user's calls may come by in the middle of anything, in the thread that has it already.
        self._lock = RLock()
        self._former: dict[str, Residence] = {}
        self._moved: set[str] = set()

    def __len__(self) -> int:
        return len(self._ties)

    def __contains__(self, number: int) -> bool:
        return number in self._ties

    @property
    def residence(self) -> Residence:
        """The worker that objects come from now."""
        return self._residence

    def former(self, incarnation: str) -> Residence | None:
        """Return a worker that this was to before, if that is one."""
        return self._former.get(incarnation)

    def has_moved(self, incarnation: str) -> bool:
        """Tell whether what a worker had, as far as it could move, is in the present one."""
        return incarnation in self._moved

    def begin(self, home: object, incarnation: str) -> None:
        """Take references from another worker from here on."""
        self._home = ref(home)
        self._residence = Residence(incarnation)

    def end(self, reason: str, *, died: bool = True) -> None:
        """Note that the worker is gone, with all that it kept, or out of reach."""
        self._residence.end(reason, died=died)
        self._former[self._residence.incarnation] = self._residence
        self._moved.clear()
        self._forget()

    def told(self, tree: dict[str, object]) -> Ref:
        """Return the reference that a worker has told of; in any thread.

        Raises:
            DecodeError: It is none.
        """
        return self.of(ref_of(tree))

    def of(self, told: Told) -> Ref:
        """Return the reference to an object: the one that lives, or a new one."""
        with self._lock:
            tie = self._ties.get(told.number)
            known = None if tie is None else tie()
            if known is not None and not known._released:
                known._tell(told)
                return known
            made = Ref(told, self._home, self._residence)
            self._tie(made, told.number, 0)
            return made

    def count(self, numbers: Iterable[int]) -> tuple[int, ...]:
        """Count what a value has told of, which holds the references.

        Returns:
            What was released before it could be counted: it goes back at once.
        """
        lost: list[int] = []
        with self._lock:
            for number in numbers:
                tie = self._ties.get(number)
                if tie is not None:
                    tie.count += 1
                else:
                    lost.append(number)
        return tuple(lost)

    def uncounted(self, numbers: Iterable[int]) -> list[int]:
        """Return which of these objects are told for the first time, or again after a release."""
        return [
            number for number in numbers if number in self._ties and not self._ties[number].count
        ]

    def claim(self, told: Told) -> Ref:
        """Return the reference to an object that the worker was asked for."""
        made = self.of(told)
        self.count([told.number])
        return made

    def release(self, reference: Ref, how: str) -> None:
        """Let go of an object before its reference is garbage; from any thread."""
        reference._released = how
        with self._lock:
            tie = self._ties.get(reference._number)
            if tie is None or tie() is not reference:
                return
            del self._ties[reference._number]
        again = _Tie(reference)
        again.number, again.count = tie.number, tie.count
        tie.count = 0
        self._enqueue(again)

    def take(self, used: Container[int] = ()) -> tuple[tuple[int, int], ...]:
        """Return the objects to be released now, each with its count.

        Args:
            used: Those of commands that have not been sent yet; they are for another time.
        """
        self._woken = False
        due: list[tuple[int, int]] = []
        later: list[_Tie] = []
        while self._dead:
            tie = self._dead.popleft()
            if tie.number in used:
                later.append(tie)
                continue
            with self._lock:
                if self._ties.get(tie.number) is tie:
                    del self._ties[tie.number]
            if tie.count:
                due.append((tie.number, tie.count))
        self._dead.extendleft(reversed(later))
        return tuple(due)

    def living_of(self, numbers: Iterable[int]) -> list[Ref]:
        """Return the references to these objects, each once."""
        found = [self._ties[number]() for number in dict.fromkeys(numbers) if number in self._ties]
        return [each for each in found if each is not None]

    def living(self) -> list[Ref]:
        """Return the references that there are."""
        found = [tie() for tie in list(self._ties.values())]
        return [each for each in found if each is not None]

    def move(
        self, living: Mapping[int, Ref], lost: Mapping[int, str], incarnation: str, reason: str
    ) -> None:
        """Let references be to objects that have moved to another worker, with their numbers.

        Args:
            living: The references that there were, by number.
            lost: Why some objects have not moved.
            incarnation: The new worker's.
            reason: Why the last one was replaced.
        """
        before, self._residence = self._residence, Residence(incarnation)
        before.end(reason)
        self._former[before.incarnation] = before
        self._moved.add(before.incarnation)
        self._forget()
        for number, reference in living.items():
            if number in lost:
                reference._residence = Residence(before.incarnation)
                reference._residence.end(f"{reason}; it was not moved: {lost[number]}")
            elif not reference._released:
                reference._residence = self._residence
                self._tie(reference, number, 1)

    def _tie(self, reference: Ref, number: int, count: int) -> None:
        tie = _Tie(reference, self._enqueue)
        tie.number, tie.count = number, count
        self._ties[number] = tie

    def _forget(self) -> None:
        """Let go of what was told by a worker that is gone: nothing is to be released there."""
        self._ties.clear()
        self._dead.clear()

    def _enqueue(self, tie: _Tie) -> None:
        self._dead.append(tie)
        if not self._woken:
            self._woken = True
            self._wake()

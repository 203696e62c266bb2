"""A model of promises with no event loop: values, reasons, and a queue of what is still to run.

It says what ``Promise`` must come to. What happens at once (settling, cancelling) happens in the
call; what only the loop may do (handlers, adopting another promise) waits for ``run``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

State = Literal["pending", "fulfilled", "rejected", "cancelled"]


class Boom(Exception):
    """What handlers and transform blocks raise."""


@dataclass(frozen=True, slots=True)
class End:
    """How a promise ended: by a number, by an error's type and number, or cancelled."""

    state: State
    number: int
    error: type[BaseException] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a handler does with the number that it gets."""

    does: Literal["add", "raise", "cancel", "give"]
    number: int = 0
    gives: int = 0
    """Index of the promise that it returns."""
    coroutine: bool = False


@dataclass(slots=True, eq=False)
class Modelled:
    """One promise."""

    index: int
    shared: bool = True
    end: End | None = None
    resolved: bool = False
    """Whether one of its two functions was called."""
    blocks: list[Act] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)

    @property
    def state(self) -> State:
        return "pending" if self.end is None else self.end.state


Reaction: TypeAlias = Callable[[End], None]


class Model:
    """All promises, and the reactions that are due."""

    def __init__(self) -> None:
        self.promises: list[Modelled] = []
        self.calls: list[tuple[int, bool]] = []
        """Handlers that ran: the tag of each, and whether it was a coroutine function."""
        self._due: deque[tuple[Reaction, End]] = deque()

    def add(self, *, shared: bool = True) -> Modelled:
        """Create a pending promise."""
        self.promises.append(Modelled(len(self.promises), shared))
        return self.promises[-1]

    def run(self) -> None:
        """Do what is due, and what comes of it."""
        while self._due:
            reaction, end = self._due.popleft()
            reaction(end)

    def settle(self, promise: Modelled, end: End) -> None:
        """End the promise, if it is pending: a number by what the transform blocks make of it."""
        if promise.end is not None:
            return
        blocks, promise.blocks = promise.blocks, []
        for block in blocks if end.state == "fulfilled" else ():
            if block.does == "raise":
                end = End("rejected", block.number, Boom)
                break
            end = End("fulfilled", end.number + block.number)
        promise.end = end
        for reaction in promise.reactions:
            self._due.append((reaction, end))
        promise.reactions.clear()

    def react(self, source: Modelled, reaction: Reaction) -> None:
        """Have the reaction run once the source has ended."""
        if source.end is None:
            source.reactions.append(reaction)
        else:
            self._due.append((reaction, source.end))

    def resolve(self, promise: Modelled, x: Modelled | End) -> None:
        """Run the Promise Resolution Procedure."""
        if x is promise:
            self.settle(promise, End("rejected", -1, TypeError))
        elif isinstance(x, Modelled):
            self.react(x, lambda end: self.settle(promise, end))
        else:
            self.settle(promise, x)

    def then(
        self,
        source: Modelled,
        on_fulfilled: Act | None,
        on_rejected: Act,
        catches: type[BaseException] | tuple[type[BaseException], ...],
        tag: int,
    ) -> Modelled:
        """Derive a promise by ``then`` or ``catch``."""
        derived = self.add()

        def reaction(end: End) -> None:
            if derived.end is not None:
                return
            act = on_fulfilled if end.state == "fulfilled" else None
            if end.error is not None and issubclass(end.error, catches):
                act = on_rejected
            if act is None:
                self.settle(derived, end)
            else:
                self.calls.append((tag, act.coroutine))
                self.resolve(derived, self._what_comes_of(act, end.number))

        self.react(source, reaction)
        return derived

    def finally_(self, source: Modelled, act: Act, tag: int) -> Modelled:
        """Derive a promise by ``finally_``."""
        derived = self.add()

        def reaction(end: End) -> None:
            self.calls.append((tag, act.coroutine))
            handled = Modelled(-1)
            self.resolve(handled, self._what_comes_of(act, 0))
            self.react(
                handled, lambda by: self.settle(derived, end if by.state == "fulfilled" else by)
            )

        self.react(source, reaction)
        return derived

    def _what_comes_of(self, act: Act, number: int) -> Modelled | End:
        if act.does == "give":
            return self.promises[act.gives]
        if act.does == "raise":
            return End("rejected", act.number, Boom)
        if act.does == "cancel":
            return End("cancelled", act.number)
        return End("fulfilled", number + act.number)

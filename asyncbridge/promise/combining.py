"""How a combinator's inputs settle its promise, and let it go.

A promise is typed here as the future that it is, as in ``reactions.py``.
"""

from __future__ import annotations

import asyncio
from asyncio.events import _get_running_loop
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncbridge.outcome import Error, Outcome, Value, capture
from asyncbridge.promise.loops import loop_here
from asyncbridge.promise.reactions import (
    command_of,
    is_awaitable,
    outcome_of,
    reject_with,
    resolve_with,
)
from asyncbridge.promise.waiting import no_longer_when_done, when_done

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from asyncbridge.promise.handle import Handle

__all__ = [
    "ALL_SETTLED",
    "ANY",
    "RACE",
    "Combination",
    "Rule",
    "all_rule",
    "inputs_of",
    "kind",
    "loop_for",
]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a combinator makes of its inputs' ends.

    Attributes:
        each: Called with each as it comes, until the promise is settled.
        last: Called with all of them, if the promise is not settled by then.
    """

    each: Callable[[asyncio.Future[Any], Outcome[Any]], None]
    last: Callable[[asyncio.Future[Any], list[Outcome[Any]]], None]


class Combination:
    """The inputs of one combinator, until its promise is settled.

    Args:
        promise: What is settled by them.
        rule: How.
        count: How many there are.
    """

    __slots__ = ("_left", "_outcomes", "_promise", "_rule", "_waiting")

    def __init__(self, promise: Handle[Any], rule: Rule, count: int) -> None:
        self._promise = promise
        self._rule = rule
        self._left = count
        self._outcomes: list[Any] = [None] * count
        self._waiting: set[_Input] = set()

    def start(self, values: list[object]) -> None:
        """Wait for the inputs; on the promise's loop."""
        if not values:
            self._rule.last(self._promise, [])
            return
        outcome = capture(self._wait_for, values)
        if isinstance(outcome, Error):  # an input of a loop that is closed
            reject_with(self._promise, outcome.error)
        self._promise._add_own_callback(self._let_go)

    def _wait_for(self, values: list[object]) -> None:
        loop = self._promise.get_loop()
        for index, value in enumerate(values):
            future = value if isinstance(value, asyncio.Future) else _future_of(value, loop)
            waiting = _Input(self, index, future)
            self._waiting.add(waiting)
            when_done(future, loop, waiting)

    def ended(self, waiting: _Input, outcome: Outcome[Any]) -> None:
        """Take the end of one input."""
        if self._promise.done():  # another one has decided, or it was cancelled
            return
        self._waiting.discard(waiting)
        self._outcomes[waiting.index] = outcome
        if isinstance(outcome, Error):
            self._promise._root = command_of(waiting.future) or self._promise._root
        self._left -= 1
        self._rule.each(self._promise, outcome)
        if self._left == 0 and not self._promise.done():
            self._rule.last(self._promise, self._outcomes)

    def _let_go(self, promise: asyncio.Future[Any]) -> None:
        """Leave nothing of this in the inputs that go on."""
        for waiting in self._waiting:
            no_longer_when_done(waiting.future, promise.get_loop(), waiting)
        self._waiting.clear()
        self._outcomes.clear()


class _Input:
    """The callback of one input."""

    __slots__ = ("combination", "future", "index")

    def __init__(self, combination: Combination, index: int, future: asyncio.Future[Any]) -> None:
        self.combination = combination
        self.index = index
        self.future = future

    def __call__(self, future: asyncio.Future[Any]) -> None:
        # Read even when it comes too late: what ends in the same turn counts as seen.
        self.combination.ended(self, outcome_of(future))


def _reject_by_an_error(promise: asyncio.Future[Any], outcome: Outcome[Any]) -> None:
    if isinstance(outcome, Error):
        reject_with(promise, outcome.error)


def _fulfil_with_values(
    make: Callable[[Iterable[Any]], object],
    promise: asyncio.Future[Any],
    outcomes: list[Outcome[Any]],
) -> None:
    promise.set_result(make(outcome.unwrap() for outcome in outcomes))


def _fulfil_by_a_value(promise: asyncio.Future[Any], outcome: Outcome[Any]) -> None:
    if isinstance(outcome, Value):
        promise.set_result(outcome.value)


def _reject_with_errors(promise: asyncio.Future[Any], outcomes: list[Outcome[Any]]) -> None:
    ends = [outcome.error for outcome in outcomes if isinstance(outcome, Error)]
    errors = [error for error in ends if not isinstance(error, asyncio.CancelledError)]
    if not errors and ends:
        reject_with(promise, ends[0])
        return
    cancelled = len(ends) - len(errors)
    text = f"none of {len(ends)} gave a value" + f", {cancelled} cancelled" * bool(cancelled)
    # A group cannot be empty.
    reject_with(promise, BaseExceptionGroup(text, errors or [ValueError("any() of nothing")]))


def _settle(promise: asyncio.Future[Any], outcome: Outcome[Any]) -> None:
    if isinstance(outcome, Error):
        reject_with(promise, outcome.error)
    else:
        promise.set_result(outcome.value)


def _fulfil_with_outcomes(promise: asyncio.Future[Any], outcomes: list[Outcome[Any]]) -> None:
    promise.set_result(list(outcomes))


def _do_nothing(*_: object) -> None:
    """Leave the promise as it is."""


ANY = Rule(_fulfil_by_a_value, _reject_with_errors)
RACE = Rule(_settle, _do_nothing)
ALL_SETTLED = Rule(_do_nothing, _fulfil_with_outcomes)


def all_rule(make: Callable[[Iterable[Any]], object]) -> Rule:
    """Return the rule of ``all``, which makes one value of all of them."""
    return Rule(_reject_by_an_error, partial(_fulfil_with_values, make))


def inputs_of(name: str, awaitables: Iterable[Any]) -> list[Any]:
    """Return what a combinator was given, once.

    Raises:
        TypeError: It is not something to iterate over, or one awaitable alone.
    """
    # A promise can be iterated over, for `yield from`; one alone is a mistake here, and so are
    # the letters of a text and the keys of a dict.
    one = is_awaitable(awaitables) or isinstance(awaitables, (str, bytes, Mapping))
    if one or not isinstance(awaitables, Iterable):
        raise TypeError(
            f"{name}() takes an iterable of awaitables, such as a list, not {kind(awaitables)}"
        )
    return list(awaitables)


def loop_for(values: list[Any]) -> AbstractEventLoop:
    """Return the loop that runs here; where none does, that of the first promise, or a script's."""
    if _get_running_loop() is None:
        for value in values:
            if isinstance(value, asyncio.Future):
                return value.get_loop()
    return loop_here()


def _future_of(value: object, loop: AbstractEventLoop) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = loop.create_future()
    resolve_with(future, value)
    return future


def kind(value: object) -> str:
    """Return what a wrong argument is, for an error's text: its repr may be anything."""
    return f"a {type(value).__qualname__}"

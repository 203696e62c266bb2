"""How the rules of Promises/A+ are tested: by scenarios that run in each case that may matter.

A scenario is a coroutine function of a ``Case``, registered under the numbers of the rules that
it shows. It gets its promises and its handlers from the case.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import pytest

from asyncbridge.promise import Promise
from tests.promise.conftest import pending, settle, turns

When = Literal["already", "immediately", "eventually"]
Kind = Literal["plain", "coroutine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """When promises settle, and of which kind the handlers are.

    Attributes:
        when: ``already`` before the scenario gets them; ``immediately`` after what it does up to
            its next wait, with no turn of the loop between; ``eventually`` some turns later.
        kind: Whether handlers are plain functions or coroutine functions.
        due: What settles as soon as the scenario waits.
    """

    when: When
    kind: Kind
    due: list[Callable[[], None]] = field(default_factory=list)

    def settled(self, value: object = None) -> Promise[Any]:
        """Return a promise that is settled when this case says."""
        promise = pending()
        self.settle(promise, value)
        return promise

    def settle(self, promise: asyncio.Future[Any], value: object) -> None:
        """Settle it when this case says."""
        if self.when == "already":
            settle(promise, value)
        elif self.when == "immediately":
            self.due.append(partial(settle, promise, value))
        else:
            asyncio.get_running_loop().call_later(0, _after_turns, 3, promise, value)

    def handler(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a handler of this case's kind that does what the function does."""
        if self.kind == "plain":
            return function

        async def coroutine(*args: object) -> Any:
            return function(*args)

        return coroutine


Scenario = Callable[[Case], Awaitable[None]]
CASES = [
    pytest.param(when, kind, id=f"{when}-{kind}")
    for when in ("already", "immediately", "eventually")
    for kind in ("plain", "coroutine")
]


class Rules(dict[str, Scenario]):
    """The scenarios of one file, by the numbers of their rules and their own names."""

    def shown_by(self, *numbers: str) -> Callable[[Scenario], Scenario]:
        """Register a scenario under the numbers of the rules that it shows."""

        def register(scenario: Scenario) -> Scenario:
            name = getattr(scenario, "__name__", repr(scenario))
            self.update({f"{number}-{name}": scenario for number in numbers})
            return scenario

        return register

    def numbers(self) -> set[str]:
        """Return which rules are shown."""
        return {name.partition("-")[0] for name in self}

    def parameters(self) -> list[Any]:
        """Return the scenarios as a test's parameters."""
        return [pytest.param(scenario, id=name) for name, scenario in self.items()]


async def play(scenario: Scenario, when: When, kind: Kind) -> None:
    """Run the scenario in the case; then let the loop turn, for what it left."""
    case = Case(when=when, kind=kind)
    await _settling_at_waits(scenario(case), case.due)
    await turns()


@types.coroutine
def _settling_at_waits(
    scenario: Awaitable[None], due: list[Callable[[], None]]
) -> Generator[Any, Any, None]:
    """Run the scenario, and whenever it waits do what is due, before the loop gets to turn."""
    steps = scenario.__await__()
    resume: Callable[[], Any] = partial(next, steps)
    while True:
        try:
            waited = resume()
        except StopIteration:
            return
        while due:
            due.pop(0)()
        try:
            yield waited
            resume = partial(next, steps)
        except BaseException as error:  # what it waited for ended so
            resume = partial(steps.throw, error)


def _after_turns(count: int, promise: asyncio.Future[Any], value: object) -> None:
    if count:
        asyncio.get_running_loop().call_soon(_after_turns, count - 1, promise, value)
    else:
        settle(promise, value)

"""The Promise Resolution Procedure of Promises/A+ 1.1: section 2.3, by number.

``x`` is what a handler returns, or what ``resolve`` is given. Where the rules speak of a thenable,
the deviation holds that it must be awaitable: awaiting it is calling its ``then``.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Any

import pytest

from asyncbridge.promise import Promise
from tests.promise.aplus import CASES, Case, Kind, Rules, Scenario, When, play
from tests.promise.conftest import (
    ERROR,
    CustomAwaitable,
    Token,
    give,
    never,
    outcome,
    pending,
    raiser,
    settle,
    turns,
)

RULES = Rules()


def ways(case: Case, x: object) -> Iterator[Promise[Any]]:
    """Resolve promises with ``x`` in every way there is."""
    yield case.settled(1).then(case.handler(give(x)))
    yield case.settled(ERROR).then(None, case.handler(give(x)))
    yield case.settled(ERROR).catch(case.handler(give(x)))
    promise, resolve, _ = Promise[Any].with_resolvers()
    resolve(x)
    yield promise
    if not isinstance(x, Promise):  # which would come back as it is
        yield Promise.resolve(x)


async def coroutine_of(value: object) -> object:
    """Return the value, or raise it, a turn later."""
    await asyncio.sleep(0)
    if isinstance(value, BaseException):
        raise value
    return value


@types.coroutine
def old_style(value: object) -> Generator[Any, None, object]:
    """Do the same in a generator-based coroutine."""
    return (yield from CustomAwaitable(value).__await__())


KINDS_OF_AWAITABLES: tuple[Callable[[object], Awaitable[Any]], ...] = (
    coroutine_of,
    old_style,
    CustomAwaitable,
)


@RULES.shown_by("2.3.1")
async def resolving_with_itself_rejects(case: Case) -> None:
    """A promise resolved with itself is rejected with a TypeError."""
    for value in (1, ERROR):
        derived: list[Promise[Any]] = []
        handler = case.handler(lambda _, derived=derived: derived[0])
        derived.append(case.settled(value).then(handler, handler))
        got = await outcome(derived[0])
        assert isinstance(got, TypeError)
        assert "itself" in str(got)
    promise, resolve, _ = Promise[Any].with_resolvers()
    resolve(promise)
    assert isinstance(await outcome(promise), TypeError)


@RULES.shown_by("2.3.2", "2.3.2.1")
async def a_pending_promise_is_waited_for(case: Case) -> None:
    """While a promise or future that it was resolved with is pending, so is the promise."""
    for make in (pending, asyncio.get_running_loop().create_future):
        x = make()
        resolved = list(ways(case, x))
        case.settle(pending(), None)
        await turns()
        assert not any(each.done() for each in resolved)
        x.set_result(1)
        assert [await each for each in resolved] == [1] * len(resolved)


@RULES.shown_by("2.3.2.2", "2.3.2.3")
async def a_promise_is_adopted(case: Case) -> None:
    """The promise ends by the value or the reason that the one which it got ends by."""
    for make in (pending, asyncio.get_running_loop().create_future):
        for value in (Token(), ERROR):
            x = make()
            case.settle(x, value)
            for each in ways(case, x):
                assert await outcome(each) is value


@RULES.shown_by("2.3.3", "2.3.3.1", "2.3.3.3", "2.3.3.3.1", "2.3.3.3.2")
async def any_awaitable_is_assimilated(case: Case) -> None:
    """Coroutines, custom awaitables and generator-based coroutines settle by what they end by."""
    for make in KINDS_OF_AWAITABLES:
        for value in (Token(), ERROR):
            handler = case.handler(lambda _, make=make, value=value: make(value))
            for settled in (1, OSError()):
                assert await outcome(case.settled(settled).then(handler, handler)) is value
            assert await outcome(Promise.resolve(make(value))) is value
            promise, resolve, _ = Promise[Any].with_resolvers()
            resolve(make(value))
            assert await outcome(promise) is value


@RULES.shown_by("2.3.3.3.1")
async def an_awaitables_awaitable_is_assimilated_too(case: Case) -> None:
    """Resolution is repeated on what an awaitable ends by, until it is no awaitable."""
    inner = case.settled("bottom")

    async def nested(depth: int) -> Any:
        return CustomAwaitable(nested(depth - 1)) if depth else inner

    assert await case.settled(1).then(case.handler(lambda _: nested(3))) == "bottom"
    assert await Promise.resolve(nested(2)) == "bottom"


@RULES.shown_by("2.3.3.2", "2.3.3.3.4", "2.3.3.3.4.2")
async def an_awaitable_that_fails_at_once_rejects(case: Case) -> None:
    """An exception from __await__ itself rejects, and what it returns must be an iterator."""

    class Broken:
        def __await__(self) -> Generator[Any, None, Any]:
            raise ERROR

    class NoIterator:
        def __await__(self) -> Any:
            return 5

    for broken, expected in ((Broken(), ValueError), (NoIterator(), TypeError)):
        for each in ways(case, broken):
            assert isinstance(await outcome(each), expected)


@RULES.shown_by("2.3.3.3.3", "2.3.3.3.4.1")
async def only_the_first_resolution_counts(case: Case) -> None:
    """The first call of resolve or reject wins, even while what it got is still pending."""
    for value in (Token(), ERROR):
        promise, resolve, reject = Promise[Any].with_resolvers()
        x = pending()
        resolve(x)
        resolve("second")
        reject(OSError())
        await turns()
        assert not promise.done()
        case.settle(x, value)
        assert await outcome(promise) is value
        resolve("late")
        reject(OSError())
        assert await outcome(promise) is value


@RULES.shown_by("2.3.3.3.3")
async def after_a_rejection_nothing_counts(case: Case) -> None:
    """The same holds where reject came first."""
    promise, resolve, reject = Promise[Any].with_resolvers()
    reject(ERROR)
    resolve(case.settled(1))
    reject(OSError())
    await turns()
    assert await outcome(promise) is ERROR


@RULES.shown_by("2.3.3.4", "2.3.4")
async def any_other_value_fulfils(case: Case) -> None:
    """A value that is no awaitable fulfils, whatever it is: a class, a generator, an error."""
    for x in (CustomAwaitable, (_ for _ in ()), ERROR, None, False, 0, Token(), types):
        for each in ways(case, x):
            assert await each is x


@RULES.shown_by("2.3.3.4", "2.3.4")
async def what_is_no_awaitable_by_its_type_fulfils(case: Case) -> None:
    """As for Python itself, an attribute of the object alone does not make it awaitable."""
    x = types.SimpleNamespace(__await__=lambda: iter(()))
    for each in ways(case, x):
        assert await each is x


@RULES.shown_by("2.3.2")
async def a_cancelled_promise_is_adopted(case: Case) -> None:
    """A cancellation is adopted with its message, as a value or a reason would be."""
    x = pending()
    settle(x, asyncio.CancelledError("why"))
    for each in ways(case, x):
        assert repr(await outcome(each)) == "CancelledError('why')"
        assert each.cancelled()


@pytest.mark.asyncio
@pytest.mark.parametrize(("when", "kind"), CASES)
@pytest.mark.parametrize("scenario", RULES.parameters())
async def test_promises_a_plus(scenario: Scenario, when: When, kind: Kind) -> None:
    """The rule holds however the promise settles, and for either kind of handlers."""
    await play(scenario, when, kind)


def test_every_rule_of_this_section_is_shown() -> None:
    """Each numbered rule of 2.3 has a scenario."""
    assert RULES.numbers() == {
        *("2.3.1", "2.3.2", "2.3.2.1", "2.3.2.2", "2.3.2.3", "2.3.3", "2.3.3.1", "2.3.3.2"),
        *("2.3.3.3", "2.3.3.3.1", "2.3.3.3.2", "2.3.3.3.3", "2.3.3.3.4"),
        *("2.3.3.3.4.1", "2.3.3.3.4.2", "2.3.3.4", "2.3.4"),
    }


class Lazy:
    """A proxy of something that is not set up."""

    @property  # type: ignore[misc] # what is tested
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        """Fail, as what it stands for would."""
        raise LookupError("not set up")


class Hostile(Exception):
    """An error that must not be looked at."""

    def __getattribute__(self, name: str) -> Any:
        """Fail, whatever is asked."""
        raise LookupError(name)


@pytest.mark.asyncio
async def test_a_value_that_cannot_be_looked_at_rejects() -> None:
    """Rule 2.3.3.2: where looking for its ``__await__`` fails, that error is the reason."""
    assert isinstance(await outcome(Promise.resolve(1).then(lambda _: Lazy())), LookupError)
    assert isinstance(await outcome(Promise.resolve(Lazy())), LookupError)


@pytest.mark.asyncio
async def test_an_error_that_cannot_be_looked_at_rejects() -> None:
    """Also on its way down a chain."""
    error = Hostile()
    chained = Promise.resolve(1).then(raiser(error)).catch(ValueError, never).then(str)
    promise, _, reject = Promise[int].with_resolvers()
    reject(error)
    for ended in (chained, promise):
        await asyncio.wait([ended])
    assert chained.exception() is promise.exception() is error

"""The class methods of ``Promise`` that make one out of other awaitables, or of time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from asyncbridge.promise.combining import (
    ALL_SETTLED,
    ANY,
    RACE,
    Combination,
    Rule,
    all_rule,
    inputs_of,
    kind,
    loop_for,
)
from asyncbridge.promise.handle import Handle
from asyncbridge.promise.loops import loop_here, start_on
from asyncbridge.promise.reactions import is_awaitable, resolve_with
from asyncbridge.promise.waiting import check_seconds

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Iterable

    from asyncbridge.outcome import Outcome
    from asyncbridge.promise.promise import Promise

__all__ = ["Combinators"]

T = TypeVar("T")
U = TypeVar("U")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")


class Combinators(Handle[T]):
    """JavaScript's combinators, ``delay`` and ``from_awaitable``, as ``Promise`` has them.

    The combinators take any awaitables, and plain values as what is there already. They never
    cancel them: not when they settle early, and not when their own promise is cancelled. What
    they no longer wait for they let go of, as if it had never been given to them.

    Without a running loop the promise that is made belongs to the loop of the first promise that
    is given, else to that of the script's bridge.
    """

    @overload
    @classmethod
    def all(cls, awaitables: tuple[Awaitable[A]]) -> Promise[tuple[A]]: ...  # type: ignore[overload-overlap] # a tuple is an iterable, too
    @overload
    @classmethod
    def all(cls, awaitables: tuple[Awaitable[A], Awaitable[B]]) -> Promise[tuple[A, B]]: ...  # type: ignore[overload-overlap] # a tuple is an iterable, too
    @overload
    @classmethod
    def all(  # type: ignore[overload-overlap] # a tuple is an iterable, too
        cls, awaitables: tuple[Awaitable[A], Awaitable[B], Awaitable[C]]
    ) -> Promise[tuple[A, B, C]]: ...
    @overload
    @classmethod
    def all(  # type: ignore[overload-overlap] # a tuple is an iterable, too
        cls, awaitables: tuple[Awaitable[A], Awaitable[B], Awaitable[C], Awaitable[D]]
    ) -> Promise[tuple[A, B, C, D]]: ...
    @overload
    @classmethod
    def all(  # type: ignore[overload-overlap] # a tuple is an iterable, too
        cls, awaitables: tuple[Awaitable[A], Awaitable[B], Awaitable[C], Awaitable[D], Awaitable[E]]
    ) -> Promise[tuple[A, B, C, D, E]]: ...
    @overload
    @classmethod
    def all(  # type: ignore[overload-overlap] # a tuple is an iterable, too
        cls,
        awaitables: tuple[
            Awaitable[A], Awaitable[B], Awaitable[C], Awaitable[D], Awaitable[E], Awaitable[F]
        ],
    ) -> Promise[tuple[A, B, C, D, E, F]]: ...
    @overload
    @classmethod
    def all(cls, awaitables: tuple[Awaitable[U], ...]) -> Promise[tuple[U, ...]]: ...  # type: ignore[overload-overlap] # a tuple is an iterable, too
    @overload
    @classmethod
    def all(cls, awaitables: Iterable[Awaitable[U]]) -> Promise[list[U]]: ...
    @classmethod
    def all(cls, awaitables: Iterable[Any]) -> Promise[Any]:
        """Return a promise of all values, in the order given; the first error rejects it.

        Args:
            awaitables: What to wait for; of none the promise is fulfilled at once.

        Returns:
            A promise of a tuple for a tuple, of a list for anything else.
        """
        rule = all_rule(tuple if isinstance(awaitables, tuple) else list)
        return cls._combined("all", awaitables, rule)

    @classmethod
    def any(cls, awaitables: Iterable[Awaitable[U]]) -> Promise[U]:
        """Return a promise of the first value there is.

        When there is none, an ``ExceptionGroup`` of the errors rejects it, in the order given;
        those that were cancelled are told in its text, and if all were, so is the promise. Of
        no awaitables, the group holds a ``ValueError``.
        """
        return cls._combined("any", awaitables, ANY)

    @classmethod
    def race(cls, awaitables: Iterable[Awaitable[U]]) -> Promise[U]:
        """Return a promise that ends as the first of them does; of none it never ends."""
        return cls._combined("race", awaitables, RACE)

    @classmethod
    def all_settled(cls, awaitables: Iterable[Awaitable[U]]) -> Promise[list[Outcome[U]]]:
        """Return a promise of how each ended, in the order given; it is never rejected.

        Returns:
            A promise of ``Value(value)`` and ``Error(error)``, of ``asyncbridge.outcome``. What
            was cancelled is the ``Error`` of a ``CancelledError``.
        """
        return cls._combined("all_settled", awaitables, ALL_SETTLED)

    @classmethod
    def _combined(cls, name: str, awaitables: Iterable[Any], rule: Rule) -> Promise[Any]:
        inputs = inputs_of(name, awaitables)
        loop = loop_for(inputs)
        promise = _new(cls, loop)
        start_on(loop, partial(Combination(promise, rule, len(inputs)).start, inputs))
        return promise

    @overload
    @classmethod
    def delay(cls, seconds: float, value: None = None) -> Promise[None]: ...
    @overload
    @classmethod
    def delay(cls, seconds: float, value: Awaitable[U]) -> Promise[U]: ...
    @overload
    @classmethod
    def delay(cls, seconds: float, value: U) -> Promise[U]: ...
    @classmethod
    def delay(cls, seconds: float, value: object = None) -> Promise[Any]:
        """Return a promise of the value that is resolved with it when the time has passed.

        Raises:
            ValueError: The time is negative.
        """
        check_seconds("the delay", seconds)
        loop = loop_here()
        promise = _new(cls, loop)
        start_on(loop, partial(_resolve_later, promise, seconds, value))
        return promise

    @classmethod
    def from_awaitable(cls, awaitable: Awaitable[U]) -> Promise[U]:
        """Return a promise of what the awaitable gives; a promise is returned as it is.

        A coroutine starts to run. It runs on when the promise is cancelled.

        Raises:
            TypeError: It is no awaitable; ``resolve`` takes any value.
        """
        if not is_awaitable(awaitable):
            raise TypeError(f"from_awaitable() takes an awaitable, not {kind(awaitable)}")
        if isinstance(awaitable, cls):
            return cast("Promise[U]", awaitable)
        loop = loop_for([awaitable])
        promise = _new(cls, loop)
        start_on(loop, partial(resolve_with, promise, awaitable))
        return promise


def _resolve_later(promise: Promise[Any], seconds: float, value: object) -> None:
    timer = promise.get_loop().call_later(seconds, resolve_with, promise, value)
    promise._add_own_callback(lambda _: timer.cancel())


def _new(cls: type[Handle[Any]], loop: AbstractEventLoop) -> Promise[Any]:
    return cast("Promise[Any]", cls._shared_on(loop))

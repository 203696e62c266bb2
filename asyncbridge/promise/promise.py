"""``Promise``: an ``asyncio.Future`` with Promises/A+ chaining and shared awaiting.

It is the paper's promise (section 5): the holder of a command's value, with callbacks and
with transform blocks. Where asyncio differs from JavaScript, asyncio wins; docs/promises.md
lists where, by the rule numbers of Promises/A+ 1.1, which the code names as well.
"""

from __future__ import annotations

import asyncio
from asyncio.events import _get_running_loop
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, NoReturn, TypeVar, cast, overload

from asyncbridge.errors import WrongLoopError
from asyncbridge.outcome import runs_elsewhere
from asyncbridge.promise.blocking import block_until_settled
from asyncbridge.promise.combinators import Combinators
from asyncbridge.promise.handlers import check_handlers, split_catch
from asyncbridge.promise.loops import loop_here, start_on
from asyncbridge.promise.reactions import (
    Finally,
    Reaction,
    Tap,
    as_exception,
    command_of,
    reject_with,
    resolve_with,
    settlers,
)
from asyncbridge.promise.refusals import AWAIT_IT, NotItsValue
from asyncbridge.promise.waiting import (
    check_seconds,
    copy_of,
    wait,
    wait_at_most,
)

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["Promise", "Resolvers"]

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
E = TypeVar("E", bound=BaseException)
F = TypeVar("F", bound=BaseException)

_await = asyncio.Future.__await__  # called unbound: ``super()`` is slower


class Promise(Combinators[T], NotItsValue):
    """A value that is not there yet: ``await`` it, or chain with ``then``.

    Awaiting never cancels it: a waiter that is cancelled, or times out, leaves it alive.
    ``cancel`` does, and so does what calls it: a cancelled ``asyncio.gather``, and before
    Python 3.12 an ``asyncio.wait_for`` that times out (``asyncio.timeout`` never does). One
    that you construct yourself, as a loop's ``create_future`` would, is the exception: it is
    awaited as a Future is, and its waiter's cancellation is its own.
    """

    @classmethod
    def with_resolvers(cls, *, loop: AbstractEventLoop | None = None) -> Resolvers[T]:
        """Return a pending promise and the two functions that settle it, from any thread.

        The first call of either wins; later ones are ignored (2.3.3.3.3).
        """
        promise: Promise[T] = cls._shared_on(loop or loop_here())
        resolve, reject = settlers(promise)
        return Resolvers(promise, resolve, reject)

    @overload
    @classmethod
    def resolve(cls, value: Awaitable[U]) -> Promise[U]: ...
    @overload
    @classmethod
    def resolve(cls, value: U) -> Promise[U]: ...
    @classmethod
    def resolve(cls, value: object) -> Promise[Any]:
        """Return a promise of the value; a promise is returned as it is."""
        if issubclass(type(value), cls):  # by its type: a proxy's attributes may be hostile
            return cast("Promise[Any]", value)
        promise: Promise[Any] = cls._shared_on(loop_here())
        start_on(promise._loop, partial(resolve_with, promise, value))
        return promise

    @classmethod
    def reject(cls, reason: BaseException) -> Promise[T]:
        """Return a promise rejected with the exception.

        Raises:
            TypeError: The reason is no exception.
        """
        error = as_exception(reason)
        promise: Promise[T] = cls._shared_on(loop_here())
        start_on(promise._loop, partial(reject_with, promise, error))
        return promise

    # --- chaining ------------------------------------------------------------------------

    @overload
    def then(self, on_fulfilled: None = None, on_rejected: None = None) -> Promise[T]: ...
    @overload
    def then(
        self, on_fulfilled: Callable[[T], Awaitable[U]], on_rejected: None = None
    ) -> Promise[U]: ...
    @overload
    def then(self, on_fulfilled: Callable[[T], U], on_rejected: None = None) -> Promise[U]: ...
    @overload
    def then(
        self, on_fulfilled: None, on_rejected: Callable[[BaseException], Awaitable[V]]
    ) -> Promise[T | V]: ...
    @overload
    def then(
        self, on_fulfilled: None = None, *, on_rejected: Callable[[BaseException], Awaitable[V]]
    ) -> Promise[T | V]: ...
    @overload
    def then(
        self, on_fulfilled: None, on_rejected: Callable[[BaseException], V]
    ) -> Promise[T | V]: ...
    @overload
    def then(
        self, on_fulfilled: None = None, *, on_rejected: Callable[[BaseException], V]
    ) -> Promise[T | V]: ...
    @overload
    def then(
        self,
        on_fulfilled: Callable[[T], Awaitable[U]],
        on_rejected: Callable[[BaseException], Awaitable[V]],
    ) -> Promise[U | V]: ...
    @overload
    def then(
        self,
        on_fulfilled: Callable[[T], Awaitable[U]],
        on_rejected: Callable[[BaseException], V],
    ) -> Promise[U | V]: ...
    @overload
    def then(
        self,
        on_fulfilled: Callable[[T], U],
        on_rejected: Callable[[BaseException], Awaitable[V]],
    ) -> Promise[U | V]: ...
    @overload
    def then(
        self, on_fulfilled: Callable[[T], U], on_rejected: Callable[[BaseException], V]
    ) -> Promise[U | V]: ...
    def then(
        self,
        on_fulfilled: Callable[[T], Any] | None = None,
        on_rejected: Callable[[BaseException], Any] | None = None,
    ) -> Promise[Any]:
        """Return a promise of what the handler that fits this promise's end returns.

        Handlers are plain or coroutine functions. They run from the event loop, never from
        within this call, and in its contextvars context. A cancelled promise runs neither
        and cancels the returned one.

        Args:
            on_fulfilled: Gets the value; None passes it on.
            on_rejected: Gets the exception; None passes it on.

        Raises:
            TypeError: A handler is neither callable nor None.
            WrongLoopError: The loop is closed.
        """
        check_handlers("then", on_fulfilled, on_rejected)
        return self._derive(on_fulfilled, on_rejected, (BaseException,))

    @overload
    def catch(self, handler: Callable[[Exception], Awaitable[U]], /) -> Promise[T | U]: ...
    @overload
    def catch(self, handler: Callable[[Exception], U], /) -> Promise[T | U]: ...
    @overload  # a pair on its own: mypy joins its types to their base otherwise
    def catch(
        self, types: tuple[type[E], type[F]], handler: Callable[[E | F], Awaitable[U]], /
    ) -> Promise[T | U]: ...
    @overload
    def catch(
        self, types: tuple[type[E], type[F]], handler: Callable[[E | F], U], /
    ) -> Promise[T | U]: ...
    @overload
    def catch(
        self, types: type[E] | tuple[type[E], ...], handler: Callable[[E], Awaitable[U]], /
    ) -> Promise[T | U]: ...
    @overload
    def catch(
        self, types: type[E] | tuple[type[E], ...], handler: Callable[[E], U], /
    ) -> Promise[T | U]: ...
    @overload
    def catch(
        self, type1: type[E], type2: type[F], handler: Callable[[E | F], Awaitable[U]], /
    ) -> Promise[T | U]: ...
    @overload
    def catch(
        self, type1: type[E], type2: type[F], handler: Callable[[E | F], U], /
    ) -> Promise[T | U]: ...
    def catch(self, *types_and_handler: Any) -> Promise[Any]:
        """Handle a rejection: ``catch(handler)`` or ``catch(ValueError, handler)``.

        Args:
            types_and_handler: The exception types to handle, ``Exception`` if there are
                none, one tuple or several; then the handler, as in ``then``.

        Raises:
            TypeError: There is no callable handler, or a type is no exception type.
        """
        types, handler = split_catch(types_and_handler)
        return self._derive(None, handler, types)

    def finally_(self, handler: Callable[[], object] | None) -> Promise[T]:
        """Run the handler however this promise ends, and return a promise that ends the same.

        The handler gets no argument and what it returns is awaited, if it can be, and
        dropped. Only when it fails does the returned promise end otherwise: with its error.
        It runs even when the returned promise was cancelled before.

        Raises:
            TypeError: The handler is neither callable nor None.
        """
        check_handlers("finally_", handler)
        if handler is None:
            return self._derive(None, None, ())
        derived = self._next()
        self.add_done_callback(Finally(derived, handler))
        return derived

    def tap(self, handler: Callable[[T], object] | None) -> Promise[T]:
        """Run the handler with the value, and return a promise of that same value.

        What the handler returns is awaited, if it can be, and dropped; when it fails, its error
        rejects the returned promise. A rejection or a cancellation passes it by.

        Raises:
            TypeError: The handler is neither callable nor None.
        """
        check_handlers("tap", handler)
        if handler is None:
            return self._derive(None, None, ())
        derived = self._next()
        self.add_done_callback(Tap(derived, handler))
        return derived

    def _derive(
        self,
        on_fulfilled: Callable[[T], Any] | None,
        on_rejected: Callable[[Any], Any] | None,
        catches: tuple[type[BaseException], ...],
    ) -> Promise[Any]:
        derived = self._next()
        reaction = Reaction(derived, on_fulfilled, on_rejected, catches)
        if derived._root is not None:
            derived._link = reaction  # a finally_ has none: it runs in any case
        self.add_done_callback(reaction)
        return derived

    def _next(self) -> Promise[Any]:
        """Create a promise that is derived from this one.

        Raises:
            WrongLoopError: The loop is closed, so that no handler would ever run.
        """
        if self._loop.is_closed():
            raise WrongLoopError(
                f"the event loop of {self!r} is closed, so no handler would ever run: chain while "
                "its loop, or the bridge that has one of its own, is open; the state and the value "
                "of a settled promise can still be read"
            )
        derived: Promise[Any] = Promise._shared_on(self._loop)
        root = command_of(self)
        if root is not None:
            derived._root, derived._upstream = root, self
        return derived

    # --- waiting -------------------------------------------------------------------------

    # As a Future's: ``yield from`` is asyncio's own, which passes cancellation on.
    def __iter__(self) -> Generator[Any, None, T]:
        if not self.done():
            self._asyncio_future_blocking = True
            yield self
            if not self.done():  # no task has driven this, but a ``for`` and its like
                raise RuntimeError(f"a Promise is no list, await wasn't used with it: {AWAIT_IT}")
        return self.result()

    def __await__(self) -> Generator[Any, None, T]:
        if self.done():
            return _await(self)
        if hasattr(self, "_owner"):
            in_debug_mode = self._source_traceback is not None
            return _await(copy_of(self)) if in_debug_mode else wait(self)
        # As in add_done_callback.
        if _get_running_loop() is not self._loop and runs_elsewhere(self._loop):
            return wait(self)
        return _await(self)

    async def wait(self, timeout: float | None = None, *, cancel_on_abandon: bool = False) -> T:
        """Wait for the value, for a limited time; the promise goes on when that is over.

        Args:
            timeout: Seconds to wait at most; None waits for ever.
            cancel_on_abandon: Have the promise cancelled when its last waiter leaves, whoever
                that is: is cancelled, or does not wait any longer. Handlers and what else is
                told of its end count as waiters; the combinators never cancel it.

        Raises:
            TimeoutError: The time is over.
            ValueError: The timeout is negative.
            WrongLoopError: The promise is of another loop, which does not run.
        """
        check_seconds("timeout", timeout)
        try:
            await wait_at_most(self, timeout, self._abandon if cancel_on_abandon else None)
            return self.result()
        finally:
            del self  # as in __await__

    def wait_for_value(self, timeout: float | None = None) -> T:
        """Block this thread until the promise is settled; return its value or raise its error.

        Args:
            timeout: Seconds to wait at most; None waits for ever.

        Raises:
            DeadlockError: It can never come, for this thread holds up the command before it.
            WrongLoopError: An event loop runs in this thread; use ``await``.
            TimeoutError: The time is over; the promise goes on.
            RuntimeError: The promise's loop does not run, so it can never be settled.
            ValueError: The timeout is negative.
        """
        block_until_settled(self, timeout)
        try:
            return self.result()
        finally:
            del self  # as in __await__

    # --- what is in its value ---

    def __getitem__(self, key: Any) -> Any:
        """Build the code of an item of a command's value, which stays in the worker.

        It is a ``RemoteExpression``: nothing is sent until it is awaited, or stands as an argument.

        Raises:
            TypeError: No command is behind the promise; await it.
        """
        return self._expression("has no items")[key]

    def attr(self, name: str) -> Any:
        """Build the code of an attribute of a command's value, likewise."""
        return self._expression("has no such attributes").attr(name)

    def _expression(self, why: str) -> Any:
        source = self._source
        if source is None:
            raise TypeError(f"a {type(self).__name__} {why}: {AWAIT_IT}")
        return source.expression(self)

    def __bool__(self) -> bool:
        """Refuse: a forgotten ``await`` would always be true."""
        raise TypeError(
            "a Promise is neither true nor false: its value may not be there yet. Write "
            "`if await promise:` for its value (in a script `promise.wait_for_value()`), "
            "`promise.done()` for whether it is settled, "
            "`promise is not None` for whether there is one"
        )

    def __array__(self, *_: object, **__: object) -> NoReturn:
        """Refuse: numpy would make an array of the promise itself."""
        raise TypeError(f"a Promise is no array: {AWAIT_IT}")


class Resolvers(NamedTuple, Generic[T]):
    """A promise and the functions that settle it."""

    promise: Promise[T]
    resolve: Callable[[T | Awaitable[T]], None]
    reject: Callable[[BaseException], None]

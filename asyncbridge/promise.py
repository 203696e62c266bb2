"""``Promise``: an ``asyncio.Future`` with Promises/A+ chaining and shared awaiting.

It is the paper's promise (section 5): the holder of a command's value, with callbacks and
with transform blocks. Rule numbers are those of Promises/A+ 1.1. Where asyncio differs from
JavaScript, asyncio wins: reasons are exceptions, any awaitable is assimilated (and nothing
is for merely having a ``then``), and cancellation is a third way to end. Only the standard
library is imported.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, NoReturn, TypeVar, cast, overload

from asyncbridge.handlers import apply_blocks, check_block, check_handlers, split_catch
from asyncbridge.outcome import call_on, capture, runs_elsewhere
from asyncbridge.reactions import Finally, Reaction, reject_with, resolve_with, settle_as, settlers
from asyncbridge.source import Source
from asyncbridge.waiting import block_until_settled, wait

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable, Generator
    from contextvars import Context

__all__ = ["Promise", "Resolvers", "Source"]

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
E = TypeVar("E", bound=BaseException)
F = TypeVar("F", bound=BaseException)

# Future's own methods, called unbound: ``super()`` is slower, and this is the hot path.
_set_result = asyncio.Future.set_result
_set_exception = asyncio.Future.set_exception
_await = asyncio.Future.__await__
_add_done_callback = asyncio.Future.add_done_callback


class Promise(asyncio.Future[T]):
    """A value that is not there yet: ``await`` it, or chain with ``then``.

    Awaiting never cancels it: a waiter that is cancelled, or times out, leaves it alive.
    ``cancel`` does, and so does what calls it: a cancelled ``asyncio.gather``, and before
    Python 3.12 an ``asyncio.wait_for`` that times out (``asyncio.timeout`` never does). One
    that you construct yourself, as a loop's ``create_future`` would, is the exception: it is
    awaited as a Future is, and its waiter's cancellation is its own.
    """

    # No __init__ and defaults on the class, so that creating one costs what a Future costs.
    _shared = False
    _source: Source | None = None
    _transforms: list[Callable[[Any], Any]] | None = None

    @classmethod
    def _shared_on(cls, loop: AbstractEventLoop) -> Promise[T]:
        """Create a promise that no waiter's cancellation ends."""
        promise = cls(loop=loop)
        promise._shared = True
        return promise

    @classmethod
    def with_resolvers(cls, *, loop: AbstractEventLoop | None = None) -> Resolvers[T]:
        """Return a pending promise and the two functions that settle it, from any thread.

        The first call of either wins; later ones are ignored (2.3.3.3.3).
        """
        promise: Promise[T] = cls._shared_on(loop or asyncio.get_running_loop())
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
        if isinstance(value, cls):
            return value
        promise: Promise[Any] = cls._shared_on(asyncio.get_running_loop())
        resolve_with(promise, value)
        return promise

    @classmethod
    def reject(cls, reason: BaseException) -> Promise[T]:
        """Return a promise rejected with the exception."""
        promise: Promise[T] = cls(loop=asyncio.get_running_loop())
        reject_with(promise, reason)
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
        derived: Promise[T] = Promise._shared_on(self._loop)
        self.add_done_callback(Finally(derived, handler))
        return derived

    def _derive(
        self,
        on_fulfilled: Callable[[T], Any] | None,
        on_rejected: Callable[[Any], Any] | None,
        catches: tuple[type[BaseException], ...],
    ) -> Promise[Any]:
        derived: Promise[Any] = Promise._shared_on(self._loop)
        self.add_done_callback(Reaction(derived, on_fulfilled, on_rejected, catches))
        return derived

    def transform(self, block: Callable[[Any], U]) -> Promise[U]:
        """Turn the raw value into a domain object before anyone sees it (the paper's section 5).

        Blocks run in order when the promise is given its value; one that raises rejects it.

        Args:
            block: A plain function; for a coroutine function use ``then``.

        Returns:
            This promise itself.

        Raises:
            asyncio.InvalidStateError: The promise is settled; ``then`` still works.
            TypeError: The block is no plain callable.
        """
        check_block(block)
        if runs_elsewhere(self._loop):
            # Whether it came in time is known on the loop alone, so ask there.
            call_on(self._loop, partial(self._add_transform, block))
        else:
            self._add_transform(block)
        return cast("Promise[U]", self)

    def _add_transform(self, block: Callable[[Any], Any]) -> None:
        if self.done():
            raise asyncio.InvalidStateError(f"{self!r} is settled: use then(), not transform()")
        if self._transforms is None:
            self._transforms = []
        self._transforms.append(block)

    def add_done_callback(
        self, fn: Callable[[Any], object], /, *, context: Context | None = None
    ) -> None:
        """Have the loop call ``fn(promise)`` once it is settled; from any thread."""
        context = copy_context() if context is None else context
        if runs_elsewhere(self._loop):
            add = partial(_add_done_callback, self, fn, context=context)
            self._loop.call_soon_threadsafe(add)
        else:
            _add_done_callback(self, fn, context=context)

    # --- settling ------------------------------------------------------------------------

    def set_result(self, result: T, /) -> None:
        """Fulfil the promise with what its transform blocks make of ``result``."""
        # getattr: a Future's method takes a Task as well, and CPython's own tests call it so.
        blocks: list[Callable[[Any], Any]] | None = getattr(self, "_transforms", None)
        if blocks is None or self.done():
            _set_result(self, result)
            return
        outcome = capture(apply_blocks, blocks, result)
        self._transforms = None
        settle_as(self, outcome)
        del self, blocks, outcome  # an error's traceback may hold this frame: a cycle otherwise

    def _settle(self, value: object) -> None:
        """Fulfil from the owner's raw value; one that comes after the end is ignored."""
        if not self.done():
            self.set_result(cast("T", value))

    def set_exception(self, exception: BaseException | type[BaseException], /) -> None:
        """Reject the promise; see ``asyncio.Future``."""
        _set_exception(self, exception)
        _drop_transforms(self)

    def _settle_cancelled(self, msg: object = None) -> bool:
        """End as cancelled without asking the source; return False if settled before."""
        _drop_transforms(self)
        return super().cancel(msg)

    def cancel(self, msg: object = None, *, mode: str | None = None) -> bool:
        """Ask for the promise's end; return False if it is settled.

        With no command behind it the promise is cancelled at once, as a Future is, and what
        it was derived from is left alone. With one, its owner decides how. From another
        thread this only passes the request on.

        Args:
            msg: For the ``CancelledError``.
            mode: How hard the command may be cancelled, for its owner.
        """
        if runs_elsewhere(self._loop) and not self.done():
            self._loop.call_soon_threadsafe(partial(self.cancel, msg, mode=mode))
            return True
        if self._source is None or self.done():
            return self._settle_cancelled(msg)
        return self._source.cancel(self, msg, mode)

    # --- the command behind it -----------------------------------------------------------

    def _attach(self, source: Source) -> None:
        """Name the command's owner, which then answers for ``state`` and ``cancel``."""
        self._source = source
        self._shared = True

    @property
    def command_id(self) -> int | None:
        """Id of the command behind this promise, None when there is none."""
        return None if self._source is None else self._source.id

    @property
    def state(self) -> str:
        """``pending`` (or ``queued``, ``running``), ``fulfilled``, ``rejected``, ``cancelled``."""
        if not self.done():
            return "pending" if self._source is None else self._source.state
        if self.cancelled():
            return "cancelled"
        # Not exception(): a look at the state must not count as handling the error.
        return "fulfilled" if self._exception is None else "rejected"

    # --- waiting -------------------------------------------------------------------------

    # __iter__ stays a Future's: ``yield from`` is asyncio's own, which passes cancellation on.
    def __await__(self) -> Generator[Any, None, T]:
        if self.done() or not (self._shared or runs_elsewhere(self._loop)):
            return _await(self)
        return wait(self)

    def wait_for_value(self, timeout: float | None = None) -> T:
        """Block this thread until the promise is settled; return its value or raise its error.

        Args:
            timeout: Seconds to wait at most; None waits for ever.

        Raises:
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

    def __bool__(self) -> bool:
        """Refuse: a forgotten ``await`` would always be true."""
        raise TypeError(
            "a Promise is neither true nor false: its value may not be there yet. Write "
            "`if await promise:` for its value, `promise.done()` for whether it is settled, "
            "`promise is not None` for whether there is one"
        )

    def __array__(self, *_: object, **__: object) -> NoReturn:
        """Refuse: numpy would make an array of the promise itself."""
        raise TypeError(
            "a Promise is no array: its value may not be there yet. Write `await promise`"
        )


def _drop_transforms(promise: Promise[Any]) -> None:
    # A promise that is kept must not keep what blocks that never run hold on to.
    if getattr(promise, "_transforms", None) is not None:
        promise._transforms = None


class Resolvers(NamedTuple, Generic[T]):
    """A promise and the functions that settle it."""

    promise: Promise[T]
    resolve: Callable[[T | Awaitable[T]], None]
    reject: Callable[[BaseException], None]

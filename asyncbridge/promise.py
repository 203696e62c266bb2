"""``Promise``: an ``asyncio.Future`` with Promises/A+ chaining and shared awaiting.

It is the paper's promise (section 5): the holder of a command's value, with callbacks and
with transform blocks. Rule numbers are those of Promises/A+ 1.1. Where asyncio differs from
JavaScript, asyncio wins: reasons are exceptions, any awaitable is assimilated (and nothing
is for merely having a ``then``), and cancellation is a third way to end. Only the standard
library is imported.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from asyncio.events import _get_running_loop
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar, cast, overload

from asyncbridge.errors import WrongLoopError
from asyncbridge.outcome import Error, block_until, call_on, capture, runs_elsewhere
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable, Generator
    from contextvars import Context
    from typing import TypeGuard

__all__ = ["Promise", "Resolvers", "Source"]

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
E = TypeVar("E", bound=BaseException)
F = TypeVar("F", bound=BaseException)


class Source(Protocol):
    """What settles a promise, as its command's owner tells it."""

    @property
    def id(self) -> int:
        """The command's id."""
        ...

    @property
    def state(self) -> str:
        """``"queued"`` or ``"running"``, while the promise is pending."""
        ...

    def cancel(self, promise: Promise[Any], msg: object, mode: str | None) -> bool:
        """Start to cancel the command; return whether that can still have an effect.

        The source ends the promise by ``promise._settle_cancelled(msg)``, now or later.
        """
        ...


class Promise(asyncio.Future[T]):
    """A value that is not there yet: ``await`` it, or chain with ``then``.

    Awaiting never cancels it: a waiter that is cancelled, or times out, leaves it alive.
    ``cancel`` does, and so does what calls it: a cancelled ``asyncio.gather``, and before
    Python 3.12 an ``asyncio.wait_for`` that times out (``asyncio.timeout`` never does).
    """

    # No __init__ and defaults on the class, so that creating one costs what a Future costs.
    _source: Source | None = None
    _transforms: list[Callable[[Any], Any]] | None = None

    @classmethod
    def with_resolvers(cls, *, loop: AbstractEventLoop | None = None) -> Resolvers[T]:
        """Return a pending promise and the two functions that settle it, from any thread.

        The first call of either wins; later ones are ignored (2.3.3.3.3).
        """
        promise: Promise[T] = cls(loop=loop or asyncio.get_running_loop())
        unused = [True]
        return Resolvers(
            promise,
            partial(_settle_once, promise, unused, _resolve),
            partial(_settle_once, promise, unused, _reject),
        )

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
        promise: Promise[Any] = cls(loop=asyncio.get_running_loop())
        _resolve(promise, value)
        return promise

    @classmethod
    def reject(cls, reason: BaseException) -> Promise[T]:
        """Return a promise rejected with the exception."""
        promise: Promise[T] = cls(loop=asyncio.get_running_loop())
        _reject(promise, reason)
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
        _check_handler("then", on_fulfilled)
        _check_handler("then", on_rejected)
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
        types, handler = _split_catch(types_and_handler)
        return self._derive(None, handler, types)

    def finally_(self, handler: Callable[[], object] | None) -> Promise[T]:
        """Run the handler however this promise ends, and return a promise that ends the same.

        The handler gets no argument and what it returns is awaited, if it can be, and
        dropped. Only when it fails does the returned promise end otherwise: with its error.
        It runs even when the returned promise was cancelled before.

        Raises:
            TypeError: The handler is neither callable nor None.
        """
        _check_handler("finally_", handler)
        if handler is None:
            return self._derive(None, None, ())
        derived: Promise[T] = Promise(loop=self._loop)
        self.add_done_callback(_Finally(derived, handler))
        return derived

    def _derive(
        self,
        on_fulfilled: Callable[[T], Any] | None,
        on_rejected: Callable[[Any], Any] | None,
        catches: tuple[type[BaseException], ...],
    ) -> Promise[Any]:
        derived: Promise[Any] = Promise(loop=self._loop)
        self.add_done_callback(_Reaction(derived, on_fulfilled, on_rejected, catches))
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
        _check_block(block)
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
        if self._transforms is None or self.done():
            _set_result(self, result)
            return
        outcome = capture(_apply, self._transforms, result)
        self._transforms = None
        if self.done():  # a block has settled it
            return
        if isinstance(outcome, Error):
            _reject(self, outcome.error)
            _let_exits_out(outcome.error)
        else:
            _set_result(self, outcome.value)
        del self, outcome  # see _settle_by

    def _settle(self, value: object) -> None:
        """Fulfil from the owner's raw value; one that comes after the end is ignored."""
        if not self.done():
            self.set_result(cast("T", value))

    def _settle_cancelled(self, msg: object = None) -> bool:
        """End as cancelled without asking the source; return False if settled before."""
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
            return super().cancel(msg)
        return self._source.cancel(self, msg, mode)

    # --- the command behind it -----------------------------------------------------------

    def _attach(self, source: Source) -> None:
        """Name the command's owner, which then answers for ``state`` and ``cancel``."""
        self._source = source

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

    def __await__(self) -> Generator[Any, None, T]:
        try:
            if not self.done():
                if _get_running_loop() is self._loop:
                    yield _Waiter(self)
                else:
                    yield from _wait_elsewhere(self)
            return self.result()
        finally:
            del self  # the error's traceback holds this frame: a cycle otherwise

    __iter__ = __await__

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
        if timeout is not None and timeout < 0:
            raise ValueError(f"timeout must be 0 or more seconds, not {timeout}")
        if _get_running_loop() is not None:
            raise WrongLoopError("wait_for_value() would block this event loop: use `await`")
        if not self.done():
            self._block(timeout)
        try:
            return self.result()
        finally:
            del self  # as in __await__

    def _block(self, timeout: float | None) -> None:
        settled = threading.Event()
        callback = partial(_set_event, settled)
        self.add_done_callback(callback)
        try:
            in_time = block_until(settled, self._loop, timeout)
        finally:
            _when_open(self._loop, self.remove_done_callback, callback)
        if not in_time:
            raise TimeoutError(f"no value after {timeout} s; the promise itself goes on")

    def __bool__(self) -> bool:
        """Refuse: a forgotten ``await`` would always be true."""
        raise TypeError(
            "a Promise is neither true nor false: its value may not be there yet. Write "
            "`if await promise:` for its value, `promise.done()` for whether it is settled, "
            "`promise is not None` for whether there is one"
        )


class Resolvers(NamedTuple, Generic[T]):
    """A promise and the functions that settle it."""

    promise: Promise[T]
    resolve: Callable[[T | Awaitable[T]], None]
    reject: Callable[[BaseException], None]


# Future's own methods, called unbound: ``super()`` is slower, and this is the hot path.
_set_result = asyncio.Future.set_result
_cancel = asyncio.Future.cancel
_add_done_callback = asyncio.Future.add_done_callback


class _Waiter:
    """The private future that one ``await`` waits on: asyncio's duck type, one task wide.

    It passes the task's wake-up on to the promise, so waking costs what it costs on a
    Future; but the task's cancellation stops here and only takes the wake-up back.
    """

    __slots__ = ("_asyncio_future_blocking", "_cancelled", "_message", "_promise", "_wakeup")

    def __init__(self, promise: Promise[Any]) -> None:
        self._asyncio_future_blocking = True  # the mark of `yield from` in asyncio's protocol
        self._promise = promise
        self._cancelled = False

    def __repr__(self) -> str:
        return repr(self._promise)

    def get_loop(self) -> AbstractEventLoop:
        return self._promise.get_loop()

    def add_done_callback(
        self, wakeup: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        self._wakeup = (wakeup, context)
        _add_done_callback(self._promise, wakeup, context=context)

    def cancel(self, msg: object = None) -> bool:
        if self._cancelled or self._promise.done():
            return False
        self._cancelled = True
        self._message = msg
        wakeup, context = self._wakeup
        self._promise.remove_done_callback(wakeup)
        self._promise.get_loop().call_soon(wakeup, self, context=context)
        return True

    def result(self) -> None:
        raise asyncio.CancelledError(*(() if self._message is None else (self._message,)))


class _Reaction:
    """One ``then`` or ``catch``: settles the derived promise by a settled future (2.2.7)."""

    __slots__ = ("_catches", "_derived", "_on_fulfilled", "_on_rejected")

    def __init__(
        self,
        derived: Promise[Any],
        on_fulfilled: Callable[[Any], object] | None = None,
        on_rejected: Callable[[Any], object] | None = None,
        catches: tuple[type[BaseException], ...] = (),
    ) -> None:
        self._derived = derived
        self._on_fulfilled = on_fulfilled
        self._on_rejected = on_rejected
        self._catches = catches

    def __repr__(self) -> str:
        # Names the handlers alone: with the derived promise a long chain would be recursive.
        return f"then({_name(self._on_fulfilled)}, {_name(self._on_rejected)})"

    def __call__(self, source: asyncio.Future[Any]) -> None:
        derived = self._derived
        if derived.done():  # cancelled meanwhile; an error of the source stays unretrieved
            return
        if source.cancelled():
            _cancel(derived, getattr(source, "_cancel_message", None))  # not public
            return
        error = source.exception()
        if error is None:
            handler, argument = self._on_fulfilled, source.result()
        else:
            handler = self._on_rejected if isinstance(error, self._catches) else None
            argument = error
        if handler is not None:
            _settle_by(derived, handler, argument)
        elif error is None:
            derived.set_result(argument)
        else:
            _reject(derived, error)
        del self, source, derived, error, argument  # see _settle_by


class _Finally:
    """One ``finally_``: runs the handler, then ends the derived promise as the source did."""

    __slots__ = ("_derived", "_handler")

    def __init__(self, derived: Promise[Any], handler: Callable[[], object]) -> None:
        self._derived = derived
        self._handler = handler

    def __repr__(self) -> str:
        return f"finally_({_name(self._handler)})"

    def __call__(self, source: asyncio.Future[Any]) -> None:
        # Where the handler fails, the source's own error stays unretrieved: logged, not lost.
        handled: Promise[Any] = Promise(loop=self._derived.get_loop())
        handled.add_done_callback(_Reaction(self._derived, partial(_first, source)))
        _settle_by(handled, self._handler)
        del self, source, handled  # see _settle_by


class _Relay:
    """A callback that runs on a loop which is not the future's own."""

    __slots__ = ("_callback", "_loop")

    def __init__(self, loop: AbstractEventLoop, callback: Callable[[Any], object]) -> None:
        self._loop = loop
        self._callback = callback

    def __call__(self, future: asyncio.Future[Any]) -> None:
        _when_open(self._loop, self._callback, future)


def _wait_elsewhere(promise: Promise[Any]) -> Generator[Any, None, None]:
    """Wait on the running loop for a promise of another one."""
    if not promise.get_loop().is_running():
        raise WrongLoopError(f"{promise!r} belongs to an event loop that does not run")
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()
    relay = _Relay(loop, partial(_wake, woken))
    promise.add_done_callback(relay)
    try:
        yield from woken
    finally:
        _when_open(promise.get_loop(), promise.remove_done_callback, relay)


def _wake(woken: asyncio.Future[None], _: object) -> None:
    if not woken.done():
        woken.set_result(None)


def _when_done(
    future: asyncio.Future[Any], loop: AbstractEventLoop, callback: Callable[[Any], object]
) -> None:
    """Have ``loop`` call ``callback(future)`` when the future, of any loop, is done."""
    home = future.get_loop()
    if home is loop:
        future.add_done_callback(callback)
    elif future.done():
        loop.call_soon(callback, future)
    else:
        home.call_soon_threadsafe(future.add_done_callback, _Relay(loop, callback))


def _when_open(loop: AbstractEventLoop, callback: Callable[..., object], *args: object) -> None:
    """Run the callback on another thread's loop; where that has closed, nobody waits for it."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, *args)


def _set_event(event: threading.Event, _: object) -> None:
    event.set()


def _settle_by(promise: Promise[Any], handler: Callable[..., object], *args: object) -> None:
    outcome = capture(handler, *args)
    if isinstance(outcome, Error):
        _reject(promise, outcome.error)
        _let_exits_out(outcome.error)
    else:
        _resolve(promise, outcome.value)
    # An error's traceback holds the handler's frame, and that one the frames it was called
    # from: their locals would be reference cycles, and keep the promises until a collection.
    del promise, args, outcome


def _resolve(promise: Promise[Any], value: object) -> None:
    """Run the Promise Resolution Procedure (2.3)."""
    if value is promise:
        _reject(promise, TypeError("a promise cannot be resolved with itself"))  # 2.3.1
    elif _is_awaitable(value):
        outcome = capture(_adopt, promise, value)
        if isinstance(outcome, Error):
            _reject(promise, outcome.error)
    elif not promise.done():
        promise.set_result(value)


def _adopt(promise: Promise[Any], value: Awaitable[Any]) -> None:
    if isinstance(value, asyncio.Future):
        _when_done(value, promise.get_loop(), _Reaction(promise))  # 2.3.2: its state, as it is
    else:
        task = spawn(_await(value), name="promise handler")
        task.add_done_callback(_Reaction(promise, _first))  # 2.3.3.3.1: resolve by its value


async def _await(value: Awaitable[U]) -> U:
    return await value


def _first(value: U, *_: object) -> U:
    return value


def _reject(promise: Promise[Any], reason: BaseException | type[BaseException]) -> None:
    if promise.done():
        return
    error = reason() if isinstance(reason, type) else reason
    if isinstance(error, asyncio.CancelledError):
        _cancel(promise, *error.args[:1])
    elif isinstance(error, StopIteration):  # a Future refuses it: awaiting would swallow it
        wrapped = RuntimeError(f"a handler or its promise raised {error!r}")
        wrapped.__cause__ = error
        promise.set_exception(wrapped)
    else:
        promise.set_exception(error)


def _settle_once(
    promise: Promise[Any],
    unused: list[bool],
    settle: Callable[[Promise[Any], Any], None],
    argument: object,
) -> None:
    try:
        unused.pop()  # atomic: of two threads, one wins
    except IndexError:
        return
    if runs_elsewhere(promise.get_loop()):
        promise.get_loop().call_soon_threadsafe(settle, promise, argument)
    else:
        settle(promise, argument)


def _let_exits_out(error: BaseException) -> None:
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        raise error  # to the loop, which ends: what asyncio's Task does


def _apply(blocks: list[Callable[[Any], Any]], value: Any) -> Any:
    for block in blocks:
        value = block(value)
        if inspect.iscoroutine(value):
            value.close()
            raise TypeError(f"transform block {block!r} returned a coroutine; use then()")
    return value


def _check_block(block: object) -> None:
    if not callable(block) or inspect.iscoroutinefunction(block):
        raise TypeError(f"transform() takes a plain function, not {block!r}; then() takes others")


def _check_handler(method: str, handler: object) -> None:
    if handler is not None and not callable(handler):
        raise TypeError(f"{method}() takes functions or None, not {handler!r}")


def _split_catch(
    arguments: tuple[Any, ...],
) -> tuple[tuple[type[BaseException], ...], Callable[[Any], Any] | None]:
    *given, handler = arguments or (None,)
    if not arguments or _is_exception_type(handler) or isinstance(handler, tuple):
        raise TypeError("catch() takes a handler last: catch(handler), catch(ValueError, handler)")
    _check_handler("catch", handler)
    types = given[0] if len(given) == 1 and isinstance(given[0], tuple) else tuple(given)
    for item in types:
        if not _is_exception_type(item):
            raise TypeError(f"catch() takes exception types before the handler, not {item!r}")
    return (types if given else (Exception,)), handler


def _is_exception_type(item: object) -> bool:
    return isinstance(item, type) and issubclass(item, BaseException)


def _is_awaitable(value: object) -> TypeGuard[Awaitable[Any]]:
    # The first test says what the ABC would, at a tenth of its cost.
    if getattr(type(value), "__await__", None) is not None:
        return True
    return inspect.isgenerator(value) and inspect.isawaitable(value)


def _name(handler: object) -> str:
    return "None" if handler is None else str(getattr(handler, "__qualname__", type(handler)))

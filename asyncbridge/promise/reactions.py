"""What a promise's end sets off: handlers, and the promises that are settled by them.

Rule numbers are those of Promises/A+ 1.1. A promise is typed here as the future that it is,
and made by the type of another: ``promise.py`` imports this module, not the other way round.
"""

from __future__ import annotations

import asyncio
import inspect
from asyncio.events import _get_running_loop
from functools import partial
from types import GeneratorType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asyncbridge.outcome import Error, Outcome, Value, capture, without_top_frame
from asyncbridge.promise.loops import start_on
from asyncbridge.promise.traces import chained_at, in_context, note_call
from asyncbridge.promise.waiting import when_done
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeGuard

    from asyncbridge.promise.source import Source

__all__ = [
    "Finally",
    "Link",
    "Reaction",
    "Tap",
    "as_exception",
    "command_of",
    "is_awaitable",
    "outcome_of",
    "reject_with",
    "resolve_with",
    "settle_as",
    "settlers",
]

U = TypeVar("U")

# Called unbound: a promise's own methods run its transform blocks, and ask its command's owner.
_set_result = asyncio.Future.set_result
_cancel = asyncio.Future.cancel


class Link:
    """What a derived promise hangs on its source: a done callback that ends it.

    Attributes:
        derived: The promise.
    """

    __slots__ = ("derived",)

    def __init__(self, derived: asyncio.Future[Any]) -> None:
        self.derived = derived

    def let_go(self) -> None:
        """Let the derived promise keep nothing of its source, which has ended."""
        derived: Any = self.derived
        if getattr(derived, "_upstream", None) is not None:  # it may be a plain future
            derived._upstream = derived._link = None


class Reaction(Link):
    """One ``then`` or ``catch``: settles the derived promise by a settled future (2.2.7)."""

    __slots__ = ("_catches", "_on_fulfilled", "_on_rejected")

    def __init__(
        self,
        derived: asyncio.Future[Any],
        on_fulfilled: Callable[[Any], object] | None = None,
        on_rejected: Callable[[Any], object] | None = None,
        catches: tuple[type[BaseException], ...] = (),
    ) -> None:
        super().__init__(derived)
        self._on_fulfilled = on_fulfilled
        self._on_rejected = on_rejected
        self._catches = catches

    def __repr__(self) -> str:
        # Names the handlers alone: with the derived promise a long chain would be recursive.
        return f"then({_name(self._on_fulfilled)}, {_name(self._on_rejected)})"

    def __call__(self, source: asyncio.Future[Any]) -> None:
        """Settle the derived promise, by the handler that fits the source's end."""
        derived = self.derived
        self.let_go()
        if derived.done():  # cancelled meanwhile; an error of the source stays unretrieved
            return
        if source.cancelled():
            _cancel(derived, _message(source))
            return
        error = source.exception()
        if error is None:
            handler, argument = self._on_fulfilled, source.result()
        else:
            handler = self._on_rejected if issubclass(type(error), self._catches) else None
            argument = error
            _inherit(source, derived)
        if handler is not None:
            _settle_by(derived, handler, argument, handling=error)
        elif error is None:
            derived.set_result(argument)
        else:
            reject_with(derived, error)
        del self, source, derived, error, argument  # see _settle_by


def _inherit(source: asyncio.Future[Any], derived: Any) -> None:
    """Have an error that came by way of a combinator keep the command that it is of."""
    root = command_of(source)
    if root is not None and getattr(derived, "_root", root) is None:
        derived._root = root


def _message(cancelled: asyncio.Future[Any]) -> object:
    # By its exception, for a task that cancelled itself has the message nowhere else.
    try:
        cancelled.exception()
    except asyncio.CancelledError as error:
        return error.args[0] if error.args else None
    return None


class Finally(Link):
    """One ``finally_``: runs the handler, then ends the derived promise as the source did."""

    __slots__ = ("_handler",)

    def __init__(self, derived: asyncio.Future[Any], handler: Callable[[], object]) -> None:
        super().__init__(derived)
        self._handler = handler

    def __repr__(self) -> str:
        return f"finally_({_name(self._handler)})"

    def __call__(self, source: asyncio.Future[Any]) -> None:
        """Run the handler, which settles the derived promise once it is done."""
        self.let_go()
        handled = type(self.derived)(loop=self.derived.get_loop())
        if self.derived._source_traceback:  # type: ignore[attr-defined] # untyped
            handled._source_traceback[:] = self.derived._source_traceback  # type: ignore[attr-defined]
        handled.add_done_callback(partial(_end_as, self.derived, source))
        _settle_by(handled, self._handler, handling=source._exception)
        del self, source, handled  # see _settle_by


def _end_as(
    derived: asyncio.Future[Any], source: asyncio.Future[Any], handled: asyncio.Future[Any]
) -> None:
    """End a promise as its source did, or by what its handler has failed with."""
    if not handled.cancelled() and handled._exception is None:
        Reaction(derived, partial(_first, source))(handled)
        return
    if not (derived.done() or source.cancelled()):
        source.exception()  # it has been told: it is the context of the other one
    Reaction(derived)(handled)
    del derived, source, handled  # see _settle_by


class Tap(Link):
    """One ``tap``: runs the handler with the value, then ends the derived promise as the source."""

    __slots__ = ("_handler",)

    def __init__(self, derived: asyncio.Future[Any], handler: Callable[[Any], object]) -> None:
        super().__init__(derived)
        self._handler = handler

    def __repr__(self) -> str:
        return f"tap({_name(self._handler)})"

    def __call__(self, source: asyncio.Future[Any]) -> None:
        """Run the handler of a value; an error or a cancellation goes on without it."""
        self.let_go()
        if self.derived.done():  # as in Reaction
            return
        if source.cancelled() or source.exception() is not None:
            Reaction(self.derived)(source)
        else:
            Finally(self.derived, partial(self._handler, source.result()))(source)
        del self, source  # see _settle_by


class Returned(Link):
    """The coroutine that a handler returned: resolves the derived promise by what it comes to."""

    __slots__ = ("_handling",)

    def __init__(self, derived: asyncio.Future[Any], handling: BaseException | None) -> None:
        super().__init__(derived)
        self._handling = handling

    def __call__(self, task: asyncio.Future[Any]) -> None:
        """End the derived promise, if nothing else has."""
        derived = self.derived
        if derived.done():  # as in Reaction
            return
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            _cancel(derived, _message(task))
        elif error is not None:
            reject_with(derived, chained_at(derived, in_context(error, self._handling)))
        else:
            resolve_with(derived, task.result(), self._handling)
        del self, task, derived, error  # see _settle_by


def _settle_by(
    promise: asyncio.Future[Any],
    handler: Callable[..., object],
    *args: object,
    handling: BaseException | None = None,
) -> None:
    # By hand what capture() does: this is each link of a chain, and the outcome would double it.
    try:
        value = handler(*args)
    except BaseException as error:  # noqa: BLE001 - whatever the handler raises rejects (2.2.7.2)
        note_call(without_top_frame(error), handler, args)
        reject_with(promise, chained_at(promise, in_context(error, handling)))
        _let_exits_out(error)
    else:
        resolve_with(promise, value, handling)
        del value
    # An error's traceback holds the handler's frame, and that one the frames it was called
    # from: their locals would be reference cycles, and keep the promises until a collection.
    del promise, args, handling


def settle_as(promise: asyncio.Future[Any], outcome: Outcome[Any]) -> None:
    """End the promise by what its transform blocks came to, if none of them has settled it."""
    if promise.done():
        return
    if isinstance(outcome, Error):
        reject_with(promise, outcome.error)
        _let_exits_out(outcome.error)
    else:
        _set_result(promise, outcome.value)
    del promise, outcome  # see _settle_by


def _let_exits_out(error: BaseException) -> None:
    if issubclass(type(error), (KeyboardInterrupt, SystemExit)):
        raise error  # to the loop, which ends: what asyncio's Task does


def resolve_with(
    promise: asyncio.Future[Any], value: object, handling: BaseException | None = None
) -> None:
    """Run the Promise Resolution Procedure (2.3).

    Args:
        promise: What is resolved.
        value: What with.
        handling: The error in whose handler the value came up.
    """
    try:
        must_wait = value is not promise and is_awaitable(value)
    except BaseException as error:  # noqa: BLE001 - what a proxy raises when it is looked at
        reject_with(promise, without_top_frame(error))  # as 2.3.3.2
        return
    if value is promise:
        reject_with(promise, TypeError("a promise cannot be resolved with itself"))  # 2.3.1
    elif must_wait:
        outcome = capture(_adopt, promise, cast("Awaitable[Any]", value), handling)
        if isinstance(outcome, Error):
            reject_with(promise, outcome.error)
    elif not promise.done():
        promise.set_result(value)


def _adopt(
    promise: asyncio.Future[Any], value: Awaitable[Any], handling: BaseException | None
) -> None:
    loop = promise.get_loop()
    if isinstance(value, asyncio.Future):
        _follow(promise, value)
        when_done(value, loop, Reaction(promise))  # 2.3.2: its state, as it is
    elif _get_running_loop() is not loop:  # that one is yet to run, and tasks are made on it
        loop.call_soon_threadsafe(resolve_with, promise, value, handling)
    else:
        # A coroutine runs as it is: a frame around it would stand in its errors' tracebacks.
        task = spawn(value if inspect.iscoroutine(value) else _await(value), name="promise handler")
        task.add_done_callback(Returned(promise, handling))  # 2.3.3.3.1: resolve by its value


def _follow(promise: asyncio.Future[Any], value: asyncio.Future[Any]) -> None:
    """Have what is told of the promise, and its cancellation, reach the other one's command."""
    root = command_of(value)
    if root is not None and hasattr(promise, "_upstream"):
        promise._upstream, promise._root = value, root  # type: ignore[attr-defined]


def command_of(future: asyncio.Future[Any]) -> Source | None:
    """Return the command at the root of a promise's chain; None of any other future."""
    return getattr(future, "_root", None) or getattr(future, "_owner", None)


async def _await(value: Awaitable[U]) -> U:
    return await value


def _first(value: U, *_: object) -> U:
    return value


def reject_with(promise: asyncio.Future[Any], error: BaseException) -> None:
    """End the promise by the exception: a ``CancelledError`` cancels it; a settled one stays."""
    if promise.done():
        return
    # By its type: an exception's own attributes may be hostile.
    if issubclass(type(error), asyncio.CancelledError):
        _cancel(promise, *error.args[:1])
    elif issubclass(type(error), StopIteration):  # a Future refuses it: awaiting would swallow it
        wrapped = RuntimeError(f"a handler or its promise raised {type(error).__qualname__}")
        wrapped.__cause__ = error
        promise.set_exception(wrapped)
    else:
        promise.set_exception(error)


def outcome_of(future: asyncio.Future[Any]) -> Outcome[Any]:
    """Return how a future has ended; a cancelled one by a ``CancelledError``."""
    if future.cancelled():
        message = getattr(future, "_cancel_message", None)  # not public
        return Error(asyncio.CancelledError(*(() if message is None else (message,))))
    error = future.exception()
    return Value(future.result()) if error is None else Error(error)


def settlers(
    promise: asyncio.Future[Any],
) -> tuple[Callable[[Any], None], Callable[[BaseException], None]]:
    """Return the functions that resolve and reject the promise, from any thread.

    The first call of either wins; later ones are ignored (2.3.3.3.3).
    """
    unused = [True]
    return (
        partial(_settle_once, promise, unused, resolve_with),
        lambda reason: _settle_once(promise, unused, reject_with, as_exception(reason)),
    )


def as_exception(reason: object) -> BaseException:
    """Return the exception that a reason is, or that a class makes.

    Raises:
        TypeError: It is neither.
    """
    # By its type, as in reject_with.
    error: Any = cast("Any", reason)() if issubclass(type(reason), type) else reason
    if not issubclass(type(error), BaseException):
        raise TypeError(f"a promise is rejected with an exception, not {type(error).__qualname__}")
    return cast("BaseException", error)


def _settle_once(
    promise: asyncio.Future[Any],
    unused: list[bool],
    settle: Callable[[asyncio.Future[Any], Any], None],
    argument: object,
) -> None:
    try:
        unused.pop()  # atomic: of two threads, one wins
    except IndexError:
        return
    start_on(promise.get_loop(), partial(settle, promise, argument))


def is_awaitable(value: object) -> TypeGuard[Awaitable[Any]]:
    """Return whether ``await`` takes the value."""
    # The first test says what the ABC would, at a tenth of its cost.
    if getattr(type(value), "__await__", None) is not None:
        # What is in the worker has an ``__await__`` that says what to write in its place.
        return not getattr(type(value), "_refuses_await", False)
    return isinstance(value, GeneratorType) and inspect.isawaitable(value)


def _name(handler: object) -> str:
    return "None" if handler is None else str(getattr(handler, "__qualname__", type(handler)))

"""The future under a promise: how it is settled, and the command that settles it."""

from __future__ import annotations

import asyncio
from asyncio.events import _get_running_loop
from contextvars import copy_context
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asyncbridge.outcome import call_on, capture, runs_elsewhere
from asyncbridge.promise.handlers import apply_blocks, check_block
from asyncbridge.promise.log import LogReader
from asyncbridge.promise.reactions import Link, command_of, settle_as
from asyncbridge.promise.source import CANCEL_MODES, CancelMode, check_mode
from asyncbridge.promise.traces import trim
from asyncbridge.promise.views import short

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from contextvars import Context
    from datetime import datetime
    from typing import Self

    from rich.table import Table

    from asyncbridge.promise.output import OutputLine
    from asyncbridge.promise.promise import Promise
    from asyncbridge.promise.source import Source

__all__ = ["Handle"]

T = TypeVar("T")
U = TypeVar("U")

# Future's own methods, called unbound: ``super()`` is slower, and this is the hot path.
_set_result = asyncio.Future.set_result
_set_exception = asyncio.Future.set_exception
_add_done_callback = asyncio.Future.add_done_callback
_remove_done_callback = asyncio.Future.remove_done_callback
_repr = asyncio.Future.__repr__


class Handle(asyncio.Future[T]):
    """What ``Promise`` is apart from its chains and its waiters: a future with an owner.

    With no owner it is a bare future, which whoever holds it may settle. With one, a command
    stands behind it: the owner settles it, and answers for its state and its cancellation.
    """

    # No __init__ and defaults on the class, so that creating one costs what a Future costs. What
    # a shared one sets has a slot instead: the first attribute in a __dict__ costs to make that.
    # It is unset in a bare promise, and None in a shared one without a command.
    __slots__ = ("_owner",)
    _owner: Source | None
    _source_traceback: Any  # a Future's, which is untyped: set in asyncio's debug mode
    # Of one that is derived from a command's:
    _root: Source | None = None
    _upstream: Handle[Any] | None = None
    _link: Link | None = None
    _transforms: list[Callable[[Any], Any]] | None = None
    _cancel_on_abandon = False
    _own_callbacks = 0

    @classmethod
    def _shared_on(cls, loop: AbstractEventLoop) -> Self:
        """Create a promise that no waiter's cancellation ends."""
        promise = cls(loop=loop)
        promise._owner = None
        return promise

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
        # Asked here first, and so mostly without the call: this is the hot path.
        if _get_running_loop() is not self._loop and runs_elsewhere(self._loop):
            add = partial(_add_done_callback, self, fn, context=context)
            self._loop.call_soon_threadsafe(add)
        else:
            _add_done_callback(self, fn, context=context)

    def _add_own_callback(self, fn: Callable[[Any], object]) -> None:
        """Add a done callback of what makes this promise: it is no waiter."""
        self._own_callbacks += 1
        self.add_done_callback(fn)

    def remove_done_callback(self, fn: Callable[[Any], object], /) -> int:
        """Take a callback back; return how often it was there.

        A waiter that leaves does this, so where ``wait(cancel_on_abandon=True)`` was asked for,
        the last one of them cancels the promise.
        """
        removed = _remove_done_callback(self, fn)
        if self._cancel_on_abandon and removed and not self.done() and not self._waiters(1):
            self.cancel("nobody waits for it any more")
        return removed

    def _abandon(self) -> None:
        """Have the promise cancelled when its last waiter leaves; on its loop."""
        self._cancel_on_abandon = True

    def _waiters(self, most: int) -> int:
        """Count who waits for it, up to a number: tasks, callbacks, and what is derived from it."""
        waiting = filter(_waits, self._callbacks or ())
        own = self._own_callbacks
        return sum(1 for _ in islice(waiting, own + most)) - own

    # --- settling ------------------------------------------------------------------------

    def set_result(self, result: T, /) -> None:
        """Fulfil the promise with what its transform blocks make of ``result``."""
        try:
            blocks = self._transforms
        except AttributeError:
            blocks = None  # a Future's method takes a Task as well, and CPython's tests call it so
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
            self.set_result(value)  # type: ignore[arg-type]  # whatever the worker gave

    def set_exception(self, exception: BaseException | type[BaseException], /) -> None:
        """Reject the promise; see ``asyncio.Future``."""
        _set_exception(self, exception)
        _drop_transforms(self)
        trim(self)
        if command_of(self) is not None:
            _give_finalizer(self)

    def _settle_cancelled(self, msg: object = None) -> bool:
        """End as cancelled without asking the source; return False if settled before."""
        _drop_transforms(self)
        if self._upstream is not None:
            _let_go(self, self._upstream)
        return super().cancel(msg)

    def cancel(self, msg: object = None, *, mode: CancelMode | None = None) -> bool:
        """Ask for the promise's end; return False if it is settled.

        A command's promise ends when its command does: that is taken out of the queue, or
        stopped if it runs. Any other is cancelled at once, as a Future is; one that was derived
        from a command's has the command cancelled, too, if nobody else waits for it. From
        another thread this only passes the request on.

        Args:
            msg: For the ``CancelledError``.
            mode: How a command that runs is stopped: ``"graceful"`` asks its code,
                ``"interrupt"`` raises an exception in it, ``"kill"`` ends the worker; None asks
                code that looks, as trainings do, and interrupts other code.

        Raises:
            ValueError: There is no such mode, or it is given as the message; or it is ``"kill"``,
                of a worker that is not the bridge's own.
        """
        check_mode(mode)
        if runs_elsewhere(self._loop) and not self.done():
            self._loop.call_soon_threadsafe(partial(self.cancel, msg, mode=mode))
            return True
        if self.done():
            return super().cancel(msg)
        if self._source is not None:
            if mode is None and isinstance(msg, str) and msg in CANCEL_MODES:
                raise ValueError(f"cancel({msg!r}) says it as a message: write mode={msg!r}")
            return self._source.cancel(self, msg, mode)
        if self._upstream is not None:
            _cancel_command(self._upstream, msg, mode)
        return self._settle_cancelled(msg)

    # --- the command behind it -----------------------------------------------------------

    def _attach(self, source: Source) -> None:
        """Name the command's owner, which then answers for ``state`` and ``cancel``."""
        self._owner = source

    @property
    def _source(self) -> Source | None:
        return getattr(self, "_owner", None)

    @property
    def command_id(self) -> int | None:
        """Id of the command behind this promise; None when there is none, or it has none yet.

        It gets one when there is a worker: while that is replaced, commands wait without.
        """
        return None if self._source is None else self._source.id or None

    @property
    def state(self) -> str:
        """``pending`` (or ``queued``, ``running``), ``fulfilled``, ``rejected``, ``cancelled``."""
        if not self.done():
            return "pending" if self._source is None else self._source.state
        if self.cancelled():
            return "cancelled"
        # Not exception(): a look at the state must not count as handling the error.
        return "fulfilled" if self._exception is None else "rejected"

    @property
    def cancelled_phase(self) -> str | None:
        """Where the command was when ``cancel`` had its effect, once that is known.

        ``queued``: it never started. ``running``: it was stopped in the middle. ``finished``: it
        had come to its end by itself before. None without a command, and if nobody cancelled it.
        """
        return None if self._source is None else self._source.cancelled_phase

    @property
    def position(self) -> int | None:
        """How many commands of this bridge come before it, until it runs; None otherwise.

        The one that runs is counted, those of other clients of the worker are not.
        """
        source, waits = self._source, self.state in ("pending", "queued")
        return source.ahead if source is not None and waits else None

    @property
    def created_at(self) -> datetime | None:
        """When the command was sent, in UTC; None without a command."""
        return None if self._source is None else self._source.times.created_at

    @property
    def queued_for(self) -> float | None:
        """Seconds from ``send`` until the command began, or until now; None without a command."""
        return None if self._source is None else self._source.times.queued_for

    @property
    def ran_for(self) -> float | None:
        """Seconds that the command ran until its value was here, or until now.

        None without a command, and for one that has not begun, or never will.
        """
        return None if self._source is None else self._source.times.ran_for

    def output(self) -> LogReader[OutputLine]:
        """Return a new iterator of the lines that the command prints, from its first one on.

        ``async for`` on any loop, ``for`` in a script. It ends with the command, however that
        ends. Of a command that prints more than 10,000 lines, or 4 MiB, the newest are kept.

        Raises:
            ValueError: There is no command behind this promise.
        """
        if self._source is None:
            raise ValueError(
                f"{self!r} has no command that prints: ask the promise that `send`, or a model's "
                "method, has returned, not one that `then`, `Promise.all` and the like have made"
            )
        return LogReader(self._source.output, self._loop)

    # --- how it looks ---------------------------------------------------------------------

    def __repr__(self) -> str:
        """Return a Future's, with its command; also where that of the exception fails."""
        try:
            trim(self)
            return _with_command(self, _repr(self))
        except Exception:  # noqa: BLE001 - an exception's __repr__ may raise anything
            name = type(self._exception).__qualname__
            return f"<{type(self).__name__} finished exception=<{name}, whose repr fails>>"

    def _progress_text(self) -> str:
        """Say how far the command is; empty when that is not known."""
        return ""

    def _repr_html_(self) -> str:
        from asyncbridge.promise.views import html_of  # noqa: PLC0415 - for those who look at it this way

        return html_of(self)

    def __rich__(self) -> Table:
        from asyncbridge.promise.views import rich_of  # noqa: PLC0415 - likewise

        return rich_of(self)


def _with_command(promise: Handle[Any], text: str) -> str:
    """Return a repr that says which command it is, by its number and its name, and its state."""
    source = promise._source
    if source is None:
        return text
    if not promise.done():
        text = text.replace(" pending", f" {source.state}", 1)
    what = f"command={source.id or 'unsent'}"
    return f"{text[:-1]} {what}{f' {short(source.label)}' if source.label else ''}>"


def _drop_transforms(promise: Handle[Any]) -> None:
    # A promise that is kept must not keep what blocks that never run hold on to.
    if getattr(promise, "_transforms", None) is not None:
        promise._transforms = None


def _let_go(derived: Handle[Any], upstream: Handle[Any]) -> None:
    """Have a promise that was cancelled, and its source, keep nothing of each other."""
    derived._upstream = None
    link: Any = derived._link
    if link is not None:
        _remove_done_callback(upstream, link)
        derived._link = None


def _waits(entry: tuple[Any, Any]) -> bool:
    callback = entry[0]
    return not (isinstance(callback, Link) and callback.derived.done())


def _cancel_command(promise: Handle[Any], msg: object, mode: str | None) -> None:
    """Cancel the command that a promise comes from, if one alone waits for each on the way."""
    link: Handle[Any] | None = promise
    while link is not None and not link.done() and link._waiters(2) == 1:
        if link._source is not None:
            link._source.cancel(link, msg, mode)
            return
        link = link._upstream


def _give_finalizer(promise: Handle[Any]) -> None:
    promise.__class__ = _with_finalizer(type(promise))


@cache
def _with_finalizer(cls: type[Handle[Any]]) -> type[Handle[Any]]:
    """Return the class of rejected promises with a command: the same, and it tells of its error.

    A class of its own, for a finalizer in Python would cost each promise a quarter of a Future.
    """
    inherited = cls.__del__  # a Future's, if nothing else

    def __del__(promise: Handle[Any]) -> None:  # noqa: N807 - a method's name
        _report(promise)
        inherited(promise)

    namespace = {"__slots__": (), "__module__": cls.__module__, "__doc__": cls.__doc__}
    return type(cls.__name__, (cls,), {**namespace, "__del__": __del__})


def _report(promise: Handle[Any]) -> None:
    """Tell of an error, if nobody took it, with the command that it comes from."""
    root, error = command_of(promise), promise._exception
    if not promise._log_traceback or root is None or error is None:
        return
    context = {
        "message": f"{type(promise).__name__} exception was never retrieved",
        "exception": error,
        "future": promise,
        **root.unhandled(error),
    }
    if promise._source_traceback:
        context["source_traceback"] = promise._source_traceback
    promise._loop.call_exception_handler(context)
    promise._log_traceback = False

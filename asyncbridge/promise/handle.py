"""The future under a promise: how it is settled, and the command that settles it."""

from __future__ import annotations

import asyncio
from asyncio.events import _get_running_loop
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asyncbridge.outcome import call_on, capture, runs_elsewhere
from asyncbridge.promise.handlers import apply_blocks, check_block
from asyncbridge.promise.reactions import settle_as

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from contextvars import Context
    from datetime import datetime
    from typing import Self

    from rich.table import Table

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
        if self._cancel_on_abandon and removed and not self.done() and self._is_abandoned():
            self.cancel("nobody waits for it any more")
        return removed

    def _is_abandoned(self) -> bool:
        return len(self._callbacks or ()) <= self._own_callbacks

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
        self._owner = source

    @property
    def _source(self) -> Source | None:
        return getattr(self, "_owner", None)

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

    @property
    def position(self) -> int | None:
        """How many commands of this bridge come before it, while it is ``queued``; else None.

        The one that runs is counted, those of other clients of the worker are not.
        """
        source = self._source
        return source.ahead if source is not None and self.state == "queued" else None

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

    # --- how it looks ---------------------------------------------------------------------

    def __repr__(self) -> str:
        """Return a Future's; also where that of the exception fails, for errors show it."""
        try:
            return _repr(self)
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


def _drop_transforms(promise: Handle[Any]) -> None:
    # A promise that is kept must not keep what blocks that never run hold on to.
    if getattr(promise, "_transforms", None) is not None:
        promise._transforms = None

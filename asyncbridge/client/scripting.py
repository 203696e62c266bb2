"""What a plain script needs of a bridge: handlers that run in its own thread."""

from __future__ import annotations

from contextvars import copy_context
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from asyncbridge.client.life import BridgeLife
from asyncbridge.errors import WrongLoopError
from asyncbridge.outcome import Error, capture
from asyncbridge.promise import Promise
from asyncbridge.promise.waiting import check_seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncbridge.promise.callbacks import CallbackQueue

__all__ = ["Scripting"]

T = TypeVar("T")
P = ParamSpec("P")


class Scripting(BridgeLife):
    """Adds to a bridge what belongs to scripts, which have no event loop."""

    @overload
    def callback(self, function: Callable[P, Awaitable[T]], /) -> Callable[P, Promise[T]]: ...
    @overload
    def callback(self, function: Callable[P, T], /) -> Callable[P, Promise[T]]: ...
    def callback(self, function: Callable[P, Any], /) -> Callable[P, Promise[Any]]:
        """Return the function as a handler that runs in the thread that entered this bridge.

        ``promise.then(bridge.callback(function))``. Other handlers run in the bridge's own
        thread. This one waits until its thread is in ``run_callbacks``, in ``wait_for_value``
        of one of the bridge's promises, or leaves the ``with`` block; its promise waits along.
        The coroutine of a coroutine function runs on the bridge's loop.

        Raises:
            BridgeClosed: The bridge is not open.
            TypeError: It is no function.
            WrongLoopError: The bridge was entered by ``async with``: handlers run on its loop.
        """
        if not callable(function):
            raise TypeError(f"callback() takes a function, not {function!r}")
        loop, calls = self._usable_loop(), self._script_calls()

        @wraps(function)
        def handler(*args: P.args, **kwargs: P.kwargs) -> Promise[Any]:
            promise, resolve, reject = Promise[Any].with_resolvers(loop=loop)
            call = partial(copy_context().run, function, *args, **kwargs)
            calls.add(partial(settle_by, call, resolve, reject))
            return promise

        return handler

    def run_callbacks(self, timeout: float | None = None) -> int:
        """Run the handlers made by ``callback`` that are due; wait for one if none is.

        Args:
            timeout: Seconds to wait at most; None waits for ever, 0 not at all.

        Returns:
            How many ran.

        Raises:
            BridgeClosed: The bridge is not open.
            ValueError: The timeout is negative.
            WrongLoopError: Called in another thread than the one that entered the bridge, or the
                bridge was entered by ``async with``.
        """
        check_seconds("timeout", timeout)
        self._usable_loop()
        calls = self._script_calls()
        if not calls.is_mine():
            raise WrongLoopError("run_callbacks() is for the thread that entered the bridge")
        return calls.run_one(timeout)

    def _script_calls(self) -> CallbackQueue:
        if self._callbacks is None:
            raise WrongLoopError("an async bridge's handlers run on the app's own loop already")
        return self._callbacks


def settle_by(
    call: Callable[[], object],
    resolve: Callable[[Any], None],
    reject: Callable[[BaseException], None],
) -> None:
    """Settle a promise by what a call comes to; what ends a program ends this one, too."""
    outcome = capture(call)
    if isinstance(outcome, Error):
        reject(outcome.error)
        if isinstance(outcome.error, (KeyboardInterrupt, SystemExit)):
            outcome.unwrap()
    else:
        resolve(outcome.value)

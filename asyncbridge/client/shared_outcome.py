"""One outcome for several promises, when a command is asked for that somebody waits for already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncbridge.promise.progress import WatchedPromise

if TYPE_CHECKING:
    from asyncbridge.promise import Promise

__all__ = ["SharedOutcome"]


class SharedOutcome(WatchedPromise[Any]):
    """Passes on to each promise what comes of the command; nobody waits for this one itself.

    Each gets the raw value, for its own transform blocks. One that is settled already, such as by
    its ``timeout``, is left alone.

    Args:
        first: The promise that was there.
    """

    def __init__(self, first: Promise[Any]) -> None:
        super().__init__(loop=first._loop)
        self._promises = [first]

    def add(self, promise: Promise[Any]) -> None:
        """Have one more promise wait."""
        self._promises.append(promise)

    def _settle(self, value: object) -> None:
        for promise in self._promises:
            promise._settle(value)
        super()._settle(None)

    def _settle_cancelled(self, msg: object = None) -> bool:
        for promise in self._promises:
            if not promise.done():
                promise._settle_cancelled(msg)
        return super()._settle_cancelled(msg)

    def set_exception(self, exception: BaseException | type[BaseException], /) -> None:
        """Reject them."""
        for promise in self._promises:
            if not promise.done():
                promise.set_exception(exception)
        super().set_exception(exception)
        self._log_traceback = False

    def _report(self, value: Any, *, transient: bool) -> None:
        for promise in self._promises:
            if isinstance(promise, WatchedPromise) and not promise.done():
                promise._report(value, transient=transient)

"""Errors of a bridge's promises that nobody took: to whoever asked to be told of them."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncbridge.client.endings import Endings
from asyncbridge.promise.reactions import is_awaitable
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable

    Handler = Callable[["UnhandledRejection"], object]

__all__ = ["Rejections", "UnhandledRejection"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnhandledRejection:
    """A promise was rejected, and is gone without anybody having taken its error.

    Attributes:
        error: The error.
        command_id: The command that the promise was of, or at the root of its chain.
        command: What a person would call that command; may be empty.
        sent_from: Where it was sent, ``file:line, in function``.
        code: The code that it ran.
    """

    error: BaseException
    command_id: int
    command: str
    sent_from: str
    code: str


class Rejections:
    """Tells one handler, on the bridge's loop.

    Attributes:
        endings: How the bridge's commands have ended.
        bridge: The bridge, while it lives.
    """

    def __init__(self) -> None:
        self.endings = Endings()
        self.bridge: Callable[[], Any] = lambda: None
        self._handler: Handler | None = None
        self._loop: AbstractEventLoop | None = None

    def handle_by(self, handler: Handler | None, loop: AbstractEventLoop) -> None:
        """Have the handler told from now on; None ends it.

        Raises:
            TypeError: It is no function.
        """
        if handler is not None and not callable(handler):
            raise TypeError(
                f"on_unhandled_rejection() takes a function or None, not {type(handler).__name__}"
            )
        self._handler, self._loop = handler, loop

    def tell(self, rejection: UnhandledRejection) -> None:
        """Leave it to the loop; from any thread, and in the midst of a garbage collection."""
        if self._handler is not None and self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(partial(_call, self._handler, rejection))


def _call(handler: Handler, rejection: UnhandledRejection) -> None:
    try:
        result = handler(rejection)
    except Exception:
        log.exception(
            "the handler of unhandled rejections failed; it was told of %s",
            type(rejection.error).__qualname__,
        )
        return
    if is_awaitable(result):
        spawn(_finish(result), name="asyncbridge-unhandled-rejection")


async def _finish(result: Awaitable[Any]) -> None:
    await result

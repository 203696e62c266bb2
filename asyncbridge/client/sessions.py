"""What a bridge offers whose session has a name: it may go on in another process."""

from __future__ import annotations

import asyncio
import logging
import warnings
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from asyncbridge.client.current import leave
from asyncbridge.client.life import BridgeLife, in_thread_of
from asyncbridge.promise import Promise
from asyncbridge.promise.waiting import check_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.protocol.holdings import HeldCommand

__all__ = ["Sessions"]

log = logging.getLogger(__name__)

MOMENT_S: Final = 1.0
"""Seconds for what is on its way to the worker when an exception leaves the block."""

P = TypeVar("P", bound=Promise[Any])


class Sessions(BridgeLife):
    """Adds to a bridge what belongs to sessions that outlive processes."""

    @property
    def session(self) -> str:
        """The name of the session; empty for one that ends with this bridge."""
        return self._options.session

    def held(self) -> tuple[HeldCommand, ...]:
        """Return the commands of earlier processes that nobody here has asked for, by id.

        Each tells its ``id``, ``label`` and ``state``; ``promise(id)`` gives its outcome. It is
        what is known here: nothing is sent.

        Raises:
            BridgeClosed: The bridge is not open.
        """
        self._usable_loop()
        known = list(self._opened().protocol.held.commands.values())
        return tuple(sorted(known, key=lambda held: held.id))

    @overload
    def promise(
        self, command_id: int, *, transform: Callable[[Any], Any] | None = None
    ) -> Promise[Any]: ...
    @overload
    def promise(
        self,
        command_id: int,
        *,
        transform: Callable[[Any], Any] | None = None,
        promise_factory: Callable[..., P],
    ) -> P: ...
    def promise(
        self,
        command_id: int,
        *,
        transform: Callable[[Any], Any] | None = None,
        promise_factory: Callable[..., Promise[Any]] = Promise,
    ) -> Promise[Any]:
        """Return a promise of a command of this session, whichever process has sent it.

        Its outcome is delivered once: then the worker forgets it. The promise is rejected with
        ``UnknownCommand`` where no command had the id, and with ``ResultExpired`` where the
        outcome was delivered before, to this process or an earlier one, or dropped for want of
        room. Of a command that this process waits for, also in vain for its ``timeout``, it is
        one promise more.

        Args:
            command_id: As ``promise.command_id`` tells it, and ``held()``.
            transform: Makes a domain object of the raw value.
            promise_factory: As of ``send``. ``keras.Training`` takes over a training: it tells the
                progress from now on, and gives the whole history.

        Raises:
            BridgeClosed: The bridge is not open.
            TypeError: The id is no number.
        """
        loop = self._usable_loop()
        if isinstance(command_id, bool) or not isinstance(command_id, int):
            raise TypeError(f"a command's id is a number, not {command_id!r:.80}")
        promise = promise_factory(loop=loop)
        if transform is not None:
            promise._add_transform(transform)
        tools, session = self._tools(), self._opened()
        item = tools.Pending(
            promise, code="", bindings=None, lifetime="command", label="", after=(),
            home=self._rejections, annotate=None, origin=tools.origin(),
            writable=self._options.writable,
        )  # fmt: skip
        item.id = command_id
        promise._attach(item)
        if in_thread_of(loop):
            session.claim(item)
        else:
            loop.call_soon_threadsafe(session.claim, item)
        return promise

    def detach(self, *, timeout: float | None = None) -> Promise[None]:
        """Leave the session as it is, and close the bridge; its commands go on in the worker.

        Waits until all that was sent is there, and for no outcome. What has none yet is rejected
        with ``Detached``, whose text says how to get it in another process. Streams end with
        their process, and commands that draw from them fail.

        Args:
            timeout: Seconds for what is still on its way there, ``close_timeout`` of ``connect``
                by default; what has not left by then is rejected, and does not run.

        Raises:
            BridgeClosed: The bridge is not open.
            ValueError: The session has no name: nobody could ever ask for the outcomes.
        """
        check_seconds("timeout", timeout)
        self._usable_loop()
        if not self.session:
            raise ValueError("detach() is for a session with a name: connect(url, session=...)")
        if self._closing is None:
            leave(self, None)
            limit = self._options.close_timeout if timeout is None else timeout
            self._closing = self._promise_of(lambda: self._detach(limit), "asyncbridge-detach")
        return self._closing

    def _leave(self, error: BaseException | None) -> Promise[None]:
        """End the block: what was to outlive the process is left in the session, not ended.

        A Ctrl-C, a mistake in what follows, a service that is told to stop: the name says that
        another process will ask for the outcomes.
        """
        if not self.session or self._closing is not None or not self._states.is_open:
            return super()._leave(error)
        limit = self._options.close_timeout if error is None else 0
        self._closing = self._promise_of(lambda: self._part(limit), "asyncbridge-detach")
        return self._closing

    async def _part(self, limit: float) -> None:
        """Finish what can be finished in time, and leave the rest, halted or not."""
        self._states.become("closing")
        try:
            await self._finish(limit)
        except TimeoutError:
            log.warning(
                "%r is left before its commands have ended: session %r keeps them, and "
                "connect(url, session=%r) goes on", self, self.session, self.session,
            )  # fmt: skip
            await self._detach(MOMENT_S)
        else:
            await self._end(quietly=True)

    async def _detach(self, limit: float) -> None:
        session = self._opened()
        self._states.become("closing")
        self._sealed = True
        try:
            async with asyncio.timeout(limit):
                await session.sent()
        except TimeoutError:
            warnings.warn(
                f"{self!r} had commands that were not sent after {limit} s and leaves without them",
                ResourceWarning,
                stacklevel=1,
            )
        try:
            await session.detach()
        finally:
            await self._let_go()

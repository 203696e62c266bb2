"""A bridge's next worker, in the place of one that has ended: who may go on there, and with what."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from asyncbridge.client.connected import Connected
from asyncbridge.client.faults import closed_error, lost_error
from asyncbridge.errors import AsyncBridgeError, StateLost, WorkerLost, WorkerStartError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from asyncbridge.client.pending import Pending
    from asyncbridge.client.recycling import Move
    from asyncbridge.client.session import Session

__all__ = ["Succession"]

log = logging.getLogger(__name__)
T = TypeVar("T")
_NONE: Final[Mapping[Pending, StateLost]] = MappingProxyType({})


class Succession(Connected):
    """Adds to a bridge what becomes of its commands when it gets another worker."""

    async def _succeed(self, session: Session, ending: WorkerLost | None) -> bool:
        """Start another worker, and give it what waits; return whether there is one."""
        lost = ending
        await self._put_away()
        if self._move is not None:
            return await self._move_on(self._move)
        while lost is not None and self._restarts.is_due(lost):
            if (delay := self._restarts.delay()) is None:
                lost = lost.because("it has ended too often to be started again")
                break
            await asyncio.sleep(delay)
            try:
                await self._bring_up_again()
            except AsyncBridgeError as error:
                lost = lost.because(f"another one could not be started: {error}")
                log.warning("%s", lost.reason)
            else:
                await self._resume(lost)
                return True
        self._lose(lost, session.closed.result())
        return False

    async def _bring_up_again(self) -> None:
        """Start the next worker.

        Raises:
            AsyncBridgeError: There is none, for whatever reason: who waits is told of it.
        """
        try:
            await self._bring_up()
        except AsyncBridgeError:
            raise
        except Exception as error:  # the system's: no file descriptor is left, or no memory
            raise WorkerStartError(f"{type(error).__name__}: {error}") from error

    def _lose(self, lost: WorkerLost | None, ended: AsyncBridgeError) -> None:
        """Go on without a worker: what waits has none to wait for."""
        self._last = lost or (ended if isinstance(ended, WorkerLost) else None)
        self._states.become("lost")
        self._backlog.close()
        self._output.end()
        error = self._last or ended
        self._drop_held(lambda item: lost_error(item, error, "not_started"))

    async def _stop_succeeding(self) -> None:
        """Look for no other worker any more: the bridge closes."""
        if self._watching is not None and self._held is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        why = "the bridge was closed before there was a worker"
        self._drop_held(lambda item: closed_error(item, why))

    async def _put_away(self) -> None:
        """Let go of a worker that has ended."""
        assert self._worker is not None
        if self._finalizer is not None:
            self._finalizer.detach()
        with contextlib.suppress(AsyncBridgeError):
            await self._worker.close()

    async def _resume(self, lost: WorkerLost) -> None:
        """Give the commands that wait to the new session, as far as they may run there."""
        held, session = self._held, self._opened()
        assert held is not None
        sent = [item for item in held.items if held.was_sent(item)]
        loop = asyncio.get_running_loop()
        lost_to = self._tools().lost_to
        told = self._finalizers.told
        refused, there = await loop.run_in_executor(None, lost_to, sent, lost, told)
        self._lost_names |= dict.fromkeys((self._finalizers.names | self._eternal) - there, lost)
        self._eternal &= there
        log.warning("%s; another one has taken its place", lost.reason)
        self._send_held(session, refused)

    def _send_held(self, session: Session, refused: Mapping[Pending, StateLost] = _NONE) -> None:
        """Send what has waited, those that came meanwhile, too; end what may not run there."""
        held, self._held = self._held, None
        assert held is not None
        for item in held.items:
            if (error := refused.get(item)) is not None:
                held.reject(item, error)
                continue
            # Of those that were sent before it is known already what they need.
            again = held.was_sent(item) and self._move is None
            held.let_go(item)
            self._send_on(session, item, again=again)
        if self._states.is_open:
            self._states.opened()
        self._pass_on()

    def _send_on(self, session: Session, item: Pending, *, again: bool) -> None:
        """Send a command that has waited; what it needs is looked for, unless it was before."""
        size = item.size
        try:
            if not again and (missing := self._missing(item)) is not None:
                raise missing
            for reference in item.references:
                reference._check_alive()
            if self._awaiting.admits(item):
                session.submit(item, again=True)
        except Exception as error:  # noqa: BLE001 - nobody else could be told
            self._reject(item, size, error)

    def _reject(self, item: Pending, size: int, error: Exception) -> None:
        """End a command that no session has taken; those that depend on it fail with it."""
        promise = item.promise
        self._backlog.give(size)
        item.settled(failed=True, reason=error)
        promise.set_exception(error)

    def _drop_held(self, error: Callable[[Pending], Exception]) -> None:
        """Reject what waits for a worker that will not come."""
        held, self._held = self._held, None
        if held is not None:
            held.reject_all(error)
        self._pass_on()

    def _pass_on(self) -> None:
        """Let those go on that wait for the next worker, or for the news that there is none."""
        if self._successor is not None and not self._successor.done():
            self._successor.set_result(None)

    def _named(self, names: Iterable[str]) -> None:
        """Note that names stand for something in the worker from now on."""
        for name in names:
            self._lost_names.pop(name, None)

    def _missing(self, item: Pending) -> StateLost | None:
        """Return why a command cannot run in this worker: it names what an earlier one had."""
        if not self._lost_names:
            return None
        needs = self._tools().needs_of(item.code)
        used = (needs.names - set(item.names)) | set(item.handed)
        missing = sorted(used & self._lost_names.keys())
        if not missing:
            self._named(needs.sets)  # by its code they stand for something again
            return None
        lost, told = self._lost_names[missing[0]], self._finalizers.told
        return StateLost.of(lost, tuple(missing), command=item.sent(), told=told)

    async def _current(self) -> Session:
        """Return the session, once there is one again."""
        while self._held is not None and self._successor is not None:
            await asyncio.shield(self._successor)
        return self._opened()

    async def _asked(self, question: Callable[[Session], Awaitable[T]]) -> T:
        """Ask the worker, or its successor, if it ends before it has answered."""
        while True:
            session = await self._current()
            try:
                return await question(session)
            except WorkerLost:
                if self._held is None and session is self._session:
                    raise

    @abstractmethod
    async def _move_on(self, move: Move) -> bool:
        """Start the worker that takes over what another has had; return whether there is one."""

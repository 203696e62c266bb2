"""The life of a bridge: how it opens and closes, and on which loop its work is done."""

from __future__ import annotations

import asyncio
import os
import warnings
from typing import TYPE_CHECKING, Any, Self, TypeVar

from asyncbridge.client.connected import UNOPENED
from asyncbridge.client.current import enter, leave
from asyncbridge.client.faults import closed_error
from asyncbridge.client.loop_thread import LoopThread
from asyncbridge.client.recycling import Recycling
from asyncbridge.errors import BridgeClosed, SessionTaken, WorkerLost, WrongLoopError
from asyncbridge.promise import Promise
from asyncbridge.promise.callbacks import CallbackQueue
from asyncbridge.promise.waiting import check_seconds
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    import weakref
    from collections.abc import Awaitable, Callable, Coroutine, Generator
    from contextvars import Token
    from types import TracebackType

    from asyncbridge.client.connectors import Worker
    from asyncbridge.client.options import Options
    from asyncbridge.client.session import Session
    from asyncbridge.client.states import StateReader

__all__ = ["BridgeLife", "in_thread_of"]

T = TypeVar("T")
NOT_SENT = "the bridge was closed before the command could be sent: an argument had not come"
WRONG_LOOP = (
    "the bridge belongs to another event loop or thread: open one bridge per loop, or use the "
    "sync form, `with asyncbridge.connect() as bridge:`, which any thread may use"
)
LOOP_ENDED = (
    "the bridge is closed, for its event loop has ended: a bridge lives in one loop, such as that of "
    "one asyncio.run(); open another one there, by `async with asyncbridge.connect() as bridge:`"
)


class BridgeLife(Recycling):
    """Opens a bridge and closes it; ``Bridge`` adds what one does there.

    Args:
        options: As of ``Connected``.
        start: As of ``Connected``.
    """

    def __init__(
        self, options: Options, *, start: Callable[[Options], Awaitable[Worker]] | None = None
    ) -> None:
        super().__init__(options, start=start)
        self._loop_thread: LoopThread | None = None
        self._callbacks: CallbackQueue | None = None  # of a bridge that is entered by `with`
        self._token: Token[weakref.ref[BridgeLife] | None] | None = None

    # --- life: async ---

    async def __aenter__(self) -> Self:
        await self._open()
        self._token = enter(self)
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        """Open the bridge with no block around it, as in a REPL; end it by ``close``."""
        return self.__aenter__().__await__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        leave(self, self._token)
        if os.getpid() == self._process:  # else a fork: the bridge is its parent's
            await self._leave(error)

    # --- life: sync ---

    def __enter__(self) -> Self:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise WrongLoopError("an event loop runs in this thread: use `async with`")
        self._check_new()
        self._loop_thread = LoopThread()
        self._callbacks = CallbackQueue(self._loop_thread.loop)
        try:
            self._loop_thread.call(self._open())
        except BaseException:
            self._loop_thread.stop()
            raise
        self._token = enter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        leave(self, self._token)
        assert self._loop_thread is not None
        if (
            os.getpid() != self._process
        ):  # a fork, which has no such thread; the bridge is its parent's
            return
        try:
            self._leave(error).wait_for_value()
        finally:
            self._loop_thread.stop()

    def _leave(self, error: BaseException | None) -> Promise[None]:
        """End the block; an exception that leaves it waits for nothing."""
        return self.close(timeout=None if error is None else 0)

    def close(self, *, timeout: float | None = None) -> Promise[None]:
        """Finish what is unfinished, within a deadline, and stop a worker that was started.

        A second call returns the same promise. Awaiting it may be cancelled; the closing goes
        on.

        Args:
            timeout: Seconds for what is unfinished, ``close_timeout`` of ``connect`` by
                default; what is not finished by then is rejected with ``BridgeClosed``.

        Raises:
            BridgeClosed: The bridge was never opened, or is opening; cancel the task that does.
            ValueError: The timeout is negative, or longer than timers know of.
            WrongLoopError: Called on another loop, or from another thread, than its own.
        """
        check_seconds("timeout", timeout)
        if self._states.now == "connecting":
            raise BridgeClosed(UNOPENED)
        if self._closing is None:
            leave(self, None)
            limit = self._options.close_timeout if timeout is None else timeout
            self._closing = self._promise_of(lambda: self._close(limit), "asyncbridge-close")
        return self._closing

    @property
    def state(self) -> str:
        """What the bridge is, in a word.

        ``new``, ``connecting``, ``open``; ``busy-unresponsive``: the worker has said nothing for
        some seconds, as it does while C code keeps the GIL; ``reconnecting``: the connection, or
        the worker, is being replaced, and commands wait; ``closing``, ``closed``; ``lost``: its
        worker is gone for good.
        """
        return self._states.now

    def states(self) -> StateReader:
        """Return an iterator over the bridge's states: that of now, and each that follows.

        ``async for`` on any loop; a plain ``for`` in a script. It ends when the bridge is closed.

        Raises:
            BridgeClosed: The bridge was never opened.
        """
        if self._loop is None:
            raise BridgeClosed(UNOPENED)
        return self._states.reader(self._loop)

    @property
    def _has_no_loop(self) -> bool:
        """Whether its loop was closed, without the bridge."""
        return self._loop is not None and self._loop.is_closed()

    @property
    def incarnation(self) -> str:
        """The present worker's own name: another one has another; empty before there is one."""
        session = self._session
        welcome = None if session is None else session.protocol.welcome
        return "" if welcome is None else welcome.incarnation

    @property
    def has_keras(self) -> bool:
        """Whether the worker has Keras, as far as is known here: nobody asks an attached one."""
        kind = None if self._worker is None else self._worker.kind
        return kind != "fake" and (kind == "attached" or self._options.backend is not None)

    def __repr__(self) -> str:
        session = self._session
        if session is None or self._worker is None:
            return f"<Bridge {self.state}>"
        kind = self._worker.kind
        backlog = session.protocol.backlogged
        return (
            f"<Bridge {kind} [{session.unfinished} pending, {backlog} in the backlog] {self.state}>"
        )

    # --- inner steps ---

    async def _end_with_the_loop(self, worker: Worker, session: Session) -> None:
        leave(self, None)
        await super()._end_with_the_loop(worker, session)

    async def _close(self, limit: float) -> None:
        if self._session is None or self._worker is None:  # it never opened
            return
        if self._states.is_open:
            self._states.become("closing")
        try:
            if limit > 0:
                self._halts.close()
                await self._finish(limit)
        except TimeoutError:
            warnings.warn(
                f"{self!r} had unfinished commands after {limit} s and closes without them",
                ResourceWarning,
                stacklevel=1,
            )
        finally:
            await self._end(quietly=limit == 0)

    async def _finish(self, limit: float) -> None:
        """Wait for what is unfinished.

        Raises:
            TimeoutError: It takes longer than the limit, in seconds.
        """
        async with asyncio.timeout(limit):
            session = await self._current()
            await session.settled()
            while waiting := [i.promise for i in self._awaiting.items if not i.promise.done()]:
                await asyncio.wait(waiting)
                await session.settled()

    async def _end(self, *, quietly: bool) -> None:
        self._sealed = True
        try:
            self._warn_of_open()
            await self._stop_succeeding()
            self._awaiting.reject_all(lambda item: closed_error(item, NOT_SENT))
            await self._opened().close(quietly=quietly)
        finally:
            await self._let_go()

    def _warn_of_open(self) -> None:
        """Say what was opened and is left open, which a context manager would have closed."""
        scopes, contexts = len(self._scopes), len(self._contexts)
        if scopes or contexts:
            what = " and ".join(
                f"{count} {noun}{'s' * (count != 1)}"
                for count, noun in ((scopes, "scope"), (contexts, "remote context"))
                if count
            )
            warnings.warn(f"{self!r} closes with {what} open", ResourceWarning, stacklevel=1)

    async def _let_go(self) -> None:
        if self._finalizer is not None:
            self._finalizer.detach()
        self._states.become("closed")
        self._backlog.close()
        if self._worker is not None:
            await self._worker.close()

    def _promise_of(self, work: Callable[[], Coroutine[Any, Any, T]], name: str) -> Promise[T]:
        """Start work on the bridge's loop and return its promise."""
        if self._loop is None:
            raise BridgeClosed(UNOPENED)
        promise: Promise[T] = Promise._shared_on(self._loop)

        def start() -> None:
            task = spawn(work(), name=name, on_error=lambda _: None)
            task.add_done_callback(lambda done: hand_over(done, promise))

        if in_thread_of(self._loop):
            start()
        elif self._loop_thread is not None:
            self._loop_thread.soon(start)
        else:
            raise WrongLoopError(WRONG_LOOP)
        return promise

    def _usable_loop(self) -> asyncio.AbstractEventLoop:
        """Return the bridge's loop, if it may be used, and from here.

        A bridge that closes takes commands until it has settled: a chain that nobody awaits
        goes on to its end.
        """
        if self._sealed or not self._states.takes_commands:
            self._refuse()
        loop = self._loop
        assert loop is not None
        if self._loop_thread is None and not in_thread_of(loop):
            if loop.is_closed():
                raise BridgeClosed(LOOP_ENDED)
            raise WrongLoopError(WRONG_LOOP)
        return loop

    def _refuse(self) -> None:
        if self.state in ("new", "connecting"):
            raise BridgeClosed(UNOPENED)
        if self.state == "lost" and self._session is not None:
            error = self._last or self._session.closed.result()
            if isinstance(error, WorkerLost):
                raise error.at_phase("not_started")
            if isinstance(error, SessionTaken):
                raise SessionTaken(*error.args)
        if self.state == "closed" and self._closing is None:
            raise BridgeClosed(LOOP_ENDED)
        raise BridgeClosed(f"the bridge is {self.state}")


def hand_over(task: asyncio.Task[T], promise: Promise[T]) -> None:
    """Settle a promise as a task has ended."""
    if promise.done():
        return
    if task.cancelled():
        promise._settle_cancelled()
    elif (error := task.exception()) is not None:
        promise.set_exception(error)
    else:
        promise.set_result(task.result())


def in_thread_of(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether the caller runs on this loop."""
    return asyncio._get_running_loop() is loop

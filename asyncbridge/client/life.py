"""The life of a bridge: how it opens and closes, and on which loop its work is done."""

from __future__ import annotations

import asyncio
import os
import warnings
import weakref
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self, TypeVar

from asyncbridge.client.backlog import Backlog
from asyncbridge.client.current import enter, leave
from asyncbridge.client.halts import Halts
from asyncbridge.client.loop_thread import LoopThread
from asyncbridge.client.output import OutputRouter
from asyncbridge.client.rejections import Rejections
from asyncbridge.errors import BridgeClosed, WorkerLost, WrongLoopError
from asyncbridge.lifetime import Finalizers
from asyncbridge.promise import Promise
from asyncbridge.promise.callbacks import CallbackQueue
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator
    from contextvars import Token
    from types import ModuleType, TracebackType

    from asyncbridge.client.connectors import Worker
    from asyncbridge.client.options import Options
    from asyncbridge.client.session import Session
    from asyncbridge.transport.arena import Arena

__all__ = ["BridgeLife", "import_off_loop", "in_thread_of"]

T = TypeVar("T")
UNOPENED = (
    "the bridge is not open yet: use `async with asyncbridge.connect() as bridge:`, or `with` in a "
    "script that has no event loop"
)
WRONG_LOOP = (
    "the bridge belongs to another event loop or thread: open one bridge per loop, or use the "
    "sync form, `with asyncbridge.connect() as bridge:`, which any thread may use"
)


class BridgeLife:
    """Opens a worker and a session to it, and ends both; ``Bridge`` adds what one does there.

    Args:
        options: What ``connect`` has resolved.
        start: Starts, or finds, the worker; of use to tests and fakes.
    """

    def __init__(
        self, options: Options, *, start: Callable[[Options], Awaitable[Worker]] | None = None
    ) -> None:
        self._options = options
        self._start = start
        self._state = "new"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread: LoopThread | None = None
        self._callbacks: CallbackQueue | None = None  # of a bridge that is entered by `with`
        self._worker: Worker | None = None
        self._session: Session | None = None
        # Imported while the bridge opens, in a thread: aiohttp, numpy and orjson are heavy.
        self._runtime: ModuleType | None = None
        self._token: Token[weakref.ref[BridgeLife] | None] | None = None
        self._closing: Promise[None] | None = None
        self._process = os.getpid()
        self._sealed = False
        self._output = OutputRouter()
        self._rejections = Rejections()
        self._halts = Halts(always=options.halt_on_error, timeout=options.halt_timeout)
        self._finalizers = Finalizers(self._wake_finalizers)
        self._backlog = Backlog(options.backlog)
        self._finalizer: weakref.finalize[Any, Any] | None = None

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
            await self.close(timeout=None if error is None else 0)

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
            self.close(timeout=None if error is None else 0).wait_for_value()
        finally:
            self._loop_thread.stop()

    def close(self, *, timeout: float | None = None) -> Promise[None]:
        """Finish what is unfinished, within a deadline, and stop a worker that was started.

        A second call returns the same promise. Awaiting it may be cancelled; the closing goes
        on.

        Args:
            timeout: Seconds for what is unfinished, ``close_timeout`` of ``connect`` by
                default; what is not finished by then is rejected with ``BridgeClosed``.

        Raises:
            BridgeClosed: The bridge was never opened, or is opening; cancel the task that does.
            WrongLoopError: Called on another loop, or from another thread, than its own.
        """
        if self._state == "connecting":
            raise BridgeClosed(UNOPENED)
        if self._closing is None:
            leave(self, None)
            limit = self._options.close_timeout if timeout is None else timeout
            self._closing = self._promise_of(lambda: self._close(limit), "asyncbridge-close")
        return self._closing

    @property
    def state(self) -> str:
        """``new``, ``connecting``, ``open``, ``closing``, ``closed`` or ``lost``."""
        return self._state

    @property
    def has_keras(self) -> bool:
        """Whether the worker has Keras, as far as is known here: nobody asks an attached one."""
        kind = None if self._worker is None else self._worker.kind
        return kind != "fake" and (kind == "attached" or self._options.backend is not None)

    def __repr__(self) -> str:
        session = self._session
        if session is None or self._worker is None:
            return f"<Bridge {self._state}>"
        kind = self._worker.kind
        backlog = session.protocol.backlogged
        return f"<Bridge {kind} [{session.unfinished} pending, {backlog} in the backlog] {self._state}>"

    # --- inner steps ---

    async def _open(self) -> None:
        self._check_new()
        self._state, self._process = "connecting", os.getpid()
        self._loop = asyncio.get_running_loop()
        opening = await import_off_loop("asyncbridge.client.opening")
        try:
            worker = await (self._start or opening.start_worker)(self._options)
            self._worker = worker
            self._runtime = await import_off_loop("asyncbridge.client.runtime")
            timeout = self._options.connect_timeout
            session: Session = await opening.greet(worker, self._greet, timeout)
            self._session = session
        except BaseException:
            self._state = "closed"
            if self._worker is not None:
                self._worker.kill()
                await self._worker.close()
            raise
        self._state = "open"
        self._finalizer = weakref.finalize(self, abandon, worker, repr(self), self._process)
        spawn(self._watch(worker, session), name="asyncbridge-watch")

    async def _watch(self, worker: Worker, session: Session) -> None:
        """End the session as soon as the process is known to have ended."""
        ended = spawn(worker.ended(), name="asyncbridge-ended")
        either: set[asyncio.Future[Any]] = {ended, session.closed}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and not session.closed.done():
                session.end(ended.result())
        except asyncio.CancelledError:
            # The loop ends, and takes its tasks along: the last chance to leave it tidy.
            if self._closing is None:
                await self._end_with_the_loop(worker, session)
            raise
        finally:
            ended.cancel()

    async def _end_with_the_loop(self, worker: Worker, session: Session) -> None:
        what = repr(self)
        self._sealed = True
        if self._finalizer is not None:
            self._finalizer.detach()
        await session.close(quietly=True)
        worker.kill()
        await worker.close()
        self._state = "closed"
        warnings.warn(f"{what} was never closed", ResourceWarning, stacklevel=1)

    async def _greet(self, worker: Worker) -> Session:
        name = f"{os.getpid()}-{os.urandom(8).hex()}"
        tools = self._tools()
        link = await worker.dial(name)
        arena = await self._open_arena(worker)
        session: Session = tools.Session(
            name=name,
            link=link,
            arena=arena,
            backlog=self._options.backlog,
            output=self._output,
            finalizers=self._finalizers,
            released=self._backlog.give,
            recounted=self._backlog.recount,
            verdict=worker.verdict,
            ended=self._ended,
            kill=None if worker.kind == "attached" else worker.kill_process,
            limits=self._options.limits,
            halts=self._halts,
        )
        try:
            await session.open()
        except BaseException:
            if arena is not None:
                await asyncio.get_running_loop().run_in_executor(None, arena.close)
            raise
        return session

    async def _open_arena(self, worker: Worker) -> Arena | None:
        """Make the folder for large arrays, where there may be a worker to see it."""
        if worker.kind == "fake":
            return None
        limit, open_arena = self._options.shared_memory, self._tools().open_arena
        loop = asyncio.get_running_loop()
        arena: Arena | None = await loop.run_in_executor(None, open_arena, limit)
        return arena

    async def _close(self, limit: float) -> None:
        session, worker = self._session, self._worker
        if session is None or worker is None:  # it never opened
            return
        if self._state == "open":
            self._state = "closing"
        try:
            if limit > 0:
                self._halts.close()
                async with asyncio.timeout(limit):
                    await session.settled()
        except TimeoutError:
            warnings.warn(
                f"{self!r} had unfinished commands after {limit} s and closes without them",
                ResourceWarning,
                stacklevel=1,
            )
        finally:
            self._sealed = True
            try:
                await session.close(quietly=limit == 0)
            finally:
                if self._finalizer is not None:
                    self._finalizer.detach()
                self._state = "closed"
                self._backlog.close()
                await worker.close()

    def _ended(self) -> None:
        if self._state in ("open", "closing"):
            self._state = "lost"
        self._backlog.close()

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
        if self._sealed or self._state not in ("open", "closing"):
            self._refuse()
        loop = self._loop
        assert loop is not None
        if self._loop_thread is None and not in_thread_of(loop):
            raise WrongLoopError(WRONG_LOOP)
        return loop

    def _refuse(self) -> None:
        if self._state in ("new", "connecting"):
            raise BridgeClosed(UNOPENED)
        if self._state == "lost" and self._session is not None:
            error = self._session.closed.result()
            if isinstance(error, WorkerLost):
                raise error.at_phase("not_started")
        raise BridgeClosed(f"the bridge is {self._state}")

    def _tools(self) -> ModuleType:
        if self._runtime is None:
            raise BridgeClosed(UNOPENED)
        return self._runtime

    def _opened(self) -> Session:
        if self._session is None:
            raise BridgeClosed(UNOPENED)
        return self._session

    def _check_new(self) -> None:
        if self._state != "new":
            raise BridgeClosed(f"a bridge is entered once; this one is {self._state}")

    def _wake_finalizers(self) -> None:
        loop, session = self._loop, self._session
        if loop is not None and session is not None and not loop.is_closed():
            loop.call_soon_threadsafe(session.release_collected)


async def import_off_loop(name: str) -> ModuleType:
    """Import a module in a thread: aiohttp takes 0.2 s, which the loop has better use for."""
    return await asyncio.get_running_loop().run_in_executor(None, import_module, name)


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


def abandon(worker: Worker, what: str, process: int) -> None:
    """Let a bridge go that nobody closed: its worker must not outlive it.

    Unless this is a fork of the process that opened it, whose worker it is not.
    """
    if os.getpid() != process:
        return
    worker.kill()  # first, for a warning may be an error
    warnings.warn(f"{what} was never closed", ResourceWarning, stacklevel=1)

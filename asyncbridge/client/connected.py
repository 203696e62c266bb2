"""A bridge's worker and its session: the first ones, and those that come in their place."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import warnings
import weakref
from abc import ABC, abstractmethod
from functools import cached_property, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from asyncbridge.client.backlog import Backlog
from asyncbridge.client.faults import closed_error
from asyncbridge.client.halts import Halts
from asyncbridge.client.output import OutputRouter
from asyncbridge.client.rejections import Rejections
from asyncbridge.client.restarts import Restarts
from asyncbridge.client.states import States
from asyncbridge.errors import AsyncBridgeError, BridgeClosed, WorkerLost
from asyncbridge.lifetime import Finalizers
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import ModuleType

    from asyncbridge.client.awaiting import Awaiting
    from asyncbridge.client.connectors import Worker
    from asyncbridge.client.held import Held
    from asyncbridge.client.options import Options
    from asyncbridge.client.pending import Pending
    from asyncbridge.client.recycling import Move
    from asyncbridge.client.references import References
    from asyncbridge.client.session import Session
    from asyncbridge.promise import Promise
    from asyncbridge.protocol.messages import Advice, Kept
    from asyncbridge.references import Binding
    from asyncbridge.transport.arena import Arena

__all__ = ["UNOPENED", "Connected", "import_off_loop"]

log = logging.getLogger(__name__)
T = TypeVar("T")

UNOPENED = (
    "the bridge is not open yet: use `async with asyncbridge.connect() as bridge:`, or `with` in a "
    "script that has no event loop"
)
VERDICT_SECONDS = 5.0
"""How long the supervisor is waited for, once the session has ended."""
HANG_UP_SECONDS = 1.0
"""How long what turned out to be no worker is waited for, when its connection is closed."""


class Connected(ABC):
    """Opens a worker and a session to it, and another one when that has ended.

    Args:
        options: What ``connect`` has resolved.
        start: Starts, or finds, the worker; of use to tests and fakes.
    """

    def __init__(
        self, options: Options, *, start: Callable[[Options], Awaitable[Worker]] | None = None
    ) -> None:
        self._options = options
        self._start = start
        self._states = States()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: Worker | None = None
        self._session: Session | None = None
        # Imported while the bridge opens, in a thread: aiohttp, numpy and orjson are heavy.
        self._runtime: ModuleType | None = None
        self._process = os.getpid()
        self._sealed = False
        self._output = OutputRouter()
        self._rejections = Rejections()
        self._rejections.bridge = weakref.ref(self)
        self._halts = Halts(always=options.halt_on_error, timeout=options.halt_timeout)
        self._finalizers = Finalizers(self._wake_finalizers)
        # The handles by which bindings are known here, by name.
        self._handles: weakref.WeakValueDictionary[str, Binding] = weakref.WeakValueDictionary()
        # What is open, and to be closed by whoever has opened it.
        self._scopes: set[Any] = set()
        self._contexts: set[Any] = set()
        self._iterations: weakref.WeakSet[Any] = weakref.WeakSet()
        self._backlog = Backlog(options.backlog)
        self._finalizer: weakref.finalize[Any, Any] | None = None
        self._restarts = Restarts(options.restart)
        # While there is no worker, but another one is on its way.
        self._held: Held | None = None
        self._successor: asyncio.Future[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._last: WorkerLost | None = None
        # Names that bindings and mirrors had given, and what took them away.
        self._eternal: set[str] = set()
        self._lost_names: dict[str, WorkerLost] = {}
        # While what the worker has is on its way to another one.
        self._move: Move | None = None
        self._closing: Promise[None] | None = None

    # --- the first one ---

    async def _open(self) -> None:
        self._check_new()
        self._states.become("connecting")
        self._process = os.getpid()
        self._loop = asyncio.get_running_loop()
        try:
            await self._bring_up()
        except BaseException:
            self._states.become("closed")
            raise
        self._states.opened()
        self._watching = spawn(self._watch(), name="asyncbridge-watch")

    async def _bring_up(self) -> None:
        """Start, or find, a worker, and open a session to it."""
        opening = await import_off_loop("asyncbridge.client.opening")
        worker: Worker = await (self._start or opening.start_worker)(self._options)
        self._worker = worker
        try:
            self._runtime = await import_off_loop("asyncbridge.client.runtime")
            timeout = self._options.connect_timeout
            self._session = session = await opening.greet(worker, self._greet, timeout)
        except BaseException:
            worker.kill()
            await worker.close()
            raise
        if self._move is None:
            self._references.begin(self, incarnation_of(session))
        self._finalizer = weakref.finalize(self, abandon, worker, repr(self), self._process)

    async def _greet(self, worker: Worker) -> Session:
        name = f"{os.getpid()}-{os.urandom(8).hex()}"
        tools = self._tools()
        worker.connected = self._states.connected
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
            kill=None if worker.kind == "attached" else partial(self._kill, worker),
            runs=partial(worker.runs, name),
            answers=self._states.answers,
            newest=0 if self._session is None else self._session.newest,
            limits=self._options.limits,
            locals=self._options.locals,
            shared_name=self._options.session,
            halts=self._halts,
            references=self._references,
            answered=self._kept,
            advised=self._advised,
            debug=self._options.debug,
        )
        try:
            await session.open()
        except BaseException as error:
            if isinstance(error, AsyncBridgeError):  # and no cancelling, which waits for nothing
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(link.channel.close(), HANG_UP_SECONDS)
            if arena is not None:
                await asyncio.get_running_loop().run_in_executor(None, arena.close)
            raise
        return session

    def _kill(self, worker: Worker) -> None:
        """End a worker because a command could not be stopped otherwise."""
        self._restarts.want()
        worker.kill_process()

    async def _open_arena(self, worker: Worker) -> Arena | None:
        """Make the folder for large arrays, where there may be a worker to see it."""
        if worker.kind == "fake":
            return None
        limit, open_arena = self._options.shared_memory, self._tools().open_arena
        loop = asyncio.get_running_loop()
        arena: Arena | None = await loop.run_in_executor(None, open_arena, limit)
        return arena

    # --- its end ---

    async def _watch(self) -> None:
        """End each session as soon as its process is known to have ended; then begin the next."""
        while self._worker is not None and await self._watch_one(self._worker, self._opened()):
            pass

    async def _watch_one(self, worker: Worker, session: Session) -> bool:
        """Return whether another session has taken this one's place."""
        ended = spawn(worker.ended(), name="asyncbridge-ended")
        either: set[asyncio.Future[Any]] = {ended, session.closed}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and not session.closed.done():
                session.end(ended.result())
            if self._held is None:
                return False
            if self._move is not None:  # it lives, and is to end now
                return await self._succeed(session, None)
            await asyncio.wait({ended}, timeout=VERDICT_SECONDS)
            return await self._succeed(session, ended.result() if ended.done() else None)
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
        self._drop_held(lambda item: closed_error(item, "the event loop has ended"))
        worker.kill()
        await worker.close()
        self._states.become("closed")
        warnings.warn(f"{what} was never closed", ResourceWarning, stacklevel=1)

    def _ended(self, error: AsyncBridgeError) -> Held | None:
        """Take a session's end; return what takes the commands that the next one may have."""
        if self._move is None:
            closed = isinstance(error, BridgeClosed)
            why = "its bridge was closed" if closed else first_line(error)
            self._references.end(why, died=isinstance(error, WorkerLost))
        if self._move is not None or self._goes_on(error):
            self._held = self._tools().Held(self._backlog)
            self._successor = asyncio.get_running_loop().create_future()
            self._states.connected(False)
            return self._held
        if self._states.takes_commands and not isinstance(error, BridgeClosed):
            self._states.become("lost")
        self._backlog.close()
        return None

    def _goes_on(self, error: AsyncBridgeError) -> bool:
        return (
            isinstance(error, WorkerLost)
            and self._states.is_open
            and self._worker is not None
            and self._worker.kind == "local"
            and self._restarts.policy.when != "never"
        )

    @abstractmethod
    def _drop_held(self, error: Callable[[Pending], Exception]) -> None:
        """Reject what waits for a worker that will not come."""

    @abstractmethod
    def _advised(self, advice: Advice) -> None:
        """Take what the worker says of itself."""

    @abstractmethod
    async def _succeed(self, session: Session, ending: WorkerLost | None) -> bool:
        """Start another worker, and give it what waits; return whether there is one."""

    # --- inner steps ---

    def _tools(self) -> ModuleType:
        if self._runtime is None:
            raise BridgeClosed(UNOPENED)
        return self._runtime

    def _opened(self) -> Session:
        if self._session is None:
            raise BridgeClosed(UNOPENED)
        return self._session

    def _check_new(self) -> None:
        if self._states.now != "new":
            raise BridgeClosed(f"a bridge is entered once; this one is {self._states.now}")

    @cached_property
    def _references(self) -> References:
        """To what stays in the worker."""
        made: References = self._tools().References(self._wake_finalizers)
        return made

    @cached_property
    def _awaiting(self) -> Awaiting:
        """The commands that wait for what they use."""
        made: Awaiting = self._tools().Awaiting(self)
        return made

    def _kept(self, message: Kept) -> None:
        self._awaiting.answered(message.id, kept=message.kept)

    def _wake_finalizers(self) -> None:
        loop, session = self._loop, self._session
        if loop is not None and session is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._release_collected, session)

    def _release_collected(self, session: Session) -> None:
        """Tell the worker what nothing here refers to, nor what waits to be sent."""
        if self._awaiting.items:
            session.release_collected(*self._awaiting.used())
        else:
            session.release_collected()


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text."""
    return str(error).partition("\n")[0]


def incarnation_of(session: Session) -> str:
    """Return the worker's own name that a session is to."""
    welcome = session.protocol.welcome
    return "" if welcome is None else welcome.incarnation


async def import_off_loop(name: str) -> ModuleType:
    """Import a module in a thread: aiohttp takes 0.2 s, which the loop has better use for."""
    return await asyncio.get_running_loop().run_in_executor(None, import_module, name)


def abandon(worker: Worker, what: str, process: int) -> None:
    """Let a bridge go that nobody closed: its worker must not outlive it.

    Unless this is a fork of the process that opened it, whose worker it is not.
    """
    if os.getpid() != process:
        return
    worker.kill()  # first, for a warning may be an error
    warnings.warn(f"{what} was never closed", ResourceWarning, stacklevel=1)

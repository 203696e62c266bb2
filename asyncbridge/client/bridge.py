"""``Bridge``: the client's handle on a worker, in an event loop or in a plain script."""

from __future__ import annotations

import asyncio
import os
import warnings
import weakref
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from asyncbridge.client.backlog import Backlog
from asyncbridge.client.current import enter, leave
from asyncbridge.client.info import WorkerInfo
from asyncbridge.client.loop_thread import LoopThread
from asyncbridge.client.output import OutputRouter
from asyncbridge.errors import (
    AsyncBridgeError,
    BridgeClosed,
    WorkerLost,
    WrongLoopError,
)
from asyncbridge.lifetime import Binding, Finalizers, check_lifetime
from asyncbridge.promise import Promise
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
    from contextvars import Token
    from types import ModuleType, TracebackType

    from asyncbridge.client.connectors import Worker
    from asyncbridge.client.options import Options
    from asyncbridge.client.output import OutputReader
    from asyncbridge.client.pending import Pending
    from asyncbridge.client.session import Session
    from asyncbridge.codegen import Node
    from asyncbridge.errors import RemoteError
    from asyncbridge.lifetime import Lifetime

__all__ = ["Bridge"]

T = TypeVar("T")
UNOPENED = "the bridge is not open yet: use `async with asyncbridge.connect() as bridge:`"


class Bridge:
    """A worker's namespace, seen from the client.

    Enter it with ``async with`` in a coroutine, or with ``with`` in a script that has no event
    loop: the bridge then owns a background loop, and blocks where an async one raises
    ``QueueFull``. Every method but ``output`` returns at once; what takes time is a promise.

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
        self._worker: Worker | None = None
        self._session: Session | None = None
        # Imported while the bridge opens, in a thread: aiohttp, numpy and orjson are heavy.
        self._runtime: ModuleType | None = None
        self._token: Token[Bridge | None] | None = None
        self._closing: Promise[None] | None = None
        self._output = OutputRouter()
        self._finalizers = Finalizers(self._wake_finalizers)
        self._backlog = Backlog(options.backlog)
        self._finalizer: weakref.finalize[Any, Any] | None = None

    # --- life: async ---

    async def __aenter__(self) -> Bridge:
        await self._open()
        self._token = enter(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        leave(self, self._token)
        await self.close(timeout=None if error is None else 0)

    # --- life: sync ---

    def __enter__(self) -> Bridge:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise WrongLoopError("an event loop runs in this thread: use `async with`")
        self._check_new()
        self._loop_thread = LoopThread()
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
            BridgeClosed: The bridge was never opened.
            WrongLoopError: Called on another loop, or from another thread, than its own.
        """
        if self._closing is None:
            limit = self._options.close_timeout if timeout is None else timeout
            self._closing = self._promise_of(lambda: self._close(limit), "asyncbridge-close")
        return self._closing

    @property
    def state(self) -> str:
        """``new``, ``connecting``, ``open``, ``closing``, ``closed`` or ``lost``."""
        return self._state

    def __repr__(self) -> str:
        kind = "new" if self._worker is None else self._worker.kind
        session = self._session
        if session is None:
            return f"<Bridge {kind} {self._state}>"
        backlog = session.protocol.backlogged
        return (
            f"<Bridge {kind} [{session.unfinished} pending, {backlog} in the backlog] {self._state}>"
        )

    # --- commands ---

    def send(
        self,
        code: str | Node,
        bindings: Mapping[str, object] | None = None,
        *,
        transform: Callable[[Any], Any] | None = None,
        lifetime: Lifetime = "command",
        name: str | None = None,
        timeout: float | None = None,
        after: Sequence[Promise[Any]] = (),
        annotate: Callable[[RemoteError], None] | None = None,
    ) -> Promise[Any]:
        """Send a command; its promise gets the value of the code's last expression.

        Commands of one bridge run one after another, in the order of ``send``.

        Args:
            code: Python source, or a node of ``asyncbridge.codegen``.
            bindings: Values by name, set in the worker's namespace before the code runs. An
                array must not be changed before its command has been accepted.
            transform: Makes a domain object of the raw value.
            lifetime: Of the bindings: ``"command"``, they go when the command has finished, or
                ``"eternal"``. Names that the code assigns stay in any case.
            name: What a person would call the command, for errors and ``info``.
            timeout: Seconds until the promise is rejected with ``TimeoutError``; a command
                that has not started by then is taken out of the queue. None waits for ever.
            after: Promises of commands; when one of them fails, this one fails with its cause,
                unrun.
            annotate: Called with a ``RemoteError`` before the promise is rejected with it.

        Raises:
            BridgeClosed: The bridge is not open.
            QueueFull: The backlog is at its bound (an async bridge; a sync one blocks).
            SerializationError: A binding has no wire form; the text names it.
            SyntaxError: The code is no Python.
            WrongLoopError: Called on another loop, or from another thread, than the bridge's.
        """
        loop = self._usable_loop()
        check_lifetime(lifetime)
        tools = self._tools()
        source = code if isinstance(code, str) else tools.render(code)
        if isinstance(code, str):
            check_source(source)
        for key in bindings or ():
            tools.check_identifier(key)
        promise: Promise[Any] = Promise(loop=loop)
        if transform is not None:
            promise._add_transform(transform)
        item = tools.Pending(
            promise,
            code=source,
            bindings=tools.encode(dict(bindings), path="bindings") if bindings else None,
            lifetime=lifetime,
            label=name or "",
            after=after,
            annotate=annotate,
            origin=tools.origin(),
        )
        promise._attach(item)
        self._submit(item, timeout)
        return promise

    def run(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Promise[T]:
        """Run a Python function in the worker; it travels as source, not as a pickle.

        Modules that it uses are imported there; other values that it uses travel as bindings.

        Raises:
            CodegenError: The function's source cannot be had, or cannot stand by itself.
        """
        tools = self._tools()
        shipped = tools.ship(function)
        values = {tools.random_name(): value for value in args}
        named = {tools.random_name(): value for value in kwargs.values()}
        node = tools.call(shipped, list(values), dict(zip(kwargs, named, strict=True)))
        bindings = {**shipped.bindings, **values, **named}
        return self.send(node, bindings, name=getattr(function, "__qualname__", repr(function)))

    def put(
        self, value: object, *, name: str | None = None, lifetime: Lifetime = "collected"
    ) -> Promise[Binding]:
        """Set a name in the worker's namespace.

        Args:
            value: What it stands for.
            name: The name, a random one by default.
            lifetime: ``"collected"`` drops it when the returned binding is garbage,
                ``"eternal"`` never.

        Raises:
            ValueError: The lifetime is ``"command"``: there is no command to outlive.
        """
        if lifetime == "command":
            raise ValueError("a binding of its own outlives its command: collected or eternal")
        check_lifetime(lifetime)
        tools = self._tools()
        key = tools.random_name() if name is None else tools.check_identifier(name)
        binding = Binding(key, lifetime)
        if lifetime == "collected":
            self.collect(binding, key)
        return self.send(
            "None",
            {key: value},
            lifetime="eternal",
            name=f"put {key}",
            transform=lambda _: binding,
        )

    def collect(self, owner: object, name: str) -> None:
        """Tie a name in the worker to an object here: it goes when the object is garbage."""
        self._finalizers.tie(owner, name)

    def drain(self) -> Promise[None]:
        """Return a promise that is fulfilled when the backlog is empty: the back-pressure."""
        return self._promise_of(lambda: self._opened().drain(), "asyncbridge-drain")

    def info(self) -> Promise[WorkerInfo]:
        """Return a promise of the worker's present state; it answers while a command runs."""
        self._usable_loop()
        return self._promise_of(self._info, "asyncbridge-info")

    def output(self) -> OutputReader:
        """Return an iterator over the lines printed in the worker from now on.

        ``async for`` on the bridge's loop; a plain ``for`` with a sync bridge.
        """
        loop = self._usable_loop()
        return self._output.reader(loop)

    # --- inner steps ---

    async def _open(self) -> None:
        self._check_new()
        self._state = "connecting"
        self._loop = asyncio.get_running_loop()
        opening = await import_off_loop("asyncbridge.client.opening")
        try:
            self._worker = await (self._start or opening.start_worker)(self._options)
            self._runtime = await import_off_loop("asyncbridge.client.runtime")
            timeout = self._options.connect_timeout
            self._session = await opening.greet(self._worker, self._greet, timeout)
        except BaseException:
            self._state = "closed"
            if self._worker is not None:
                self._worker.kill()
                await self._worker.close()
            raise
        self._state = "open"
        self._finalizer = weakref.finalize(self, abandon, self._worker, repr(self))
        spawn(opening.watch(self._worker, self._session), name="asyncbridge-watch")

    async def _greet(self, worker: Worker) -> Session:
        name = f"{os.getpid()}-{os.urandom(8).hex()}"
        session: Session = self._tools().Session(
            name=name,
            link=await worker.dial(name),
            backlog=self._options.backlog,
            output=self._output,
            finalizers=self._finalizers,
            released=self._backlog.give,
            verdict=worker.verdict,
            ended=self._ended,
        )
        await session.open()
        return session

    async def _close(self, limit: float) -> None:
        session, worker = self._session, self._worker
        assert session is not None
        assert worker is not None
        if self._state == "open":
            self._state = "closing"
        try:
            if limit > 0:
                async with asyncio.timeout(limit):
                    await session.settled()
        except TimeoutError:
            warnings.warn(
                f"{self!r} had unfinished commands after {limit} s and closes without them",
                ResourceWarning,
                stacklevel=1,
            )
        finally:
            try:
                await session.close()
            finally:
                if self._finalizer is not None:
                    self._finalizer.detach()
                self._state = "closed"
                self._backlog.close()
                await worker.close()

    def _ended(self) -> None:
        if self._state == "open":
            self._state = "lost"
        self._backlog.close()

    async def _info(self) -> WorkerInfo:
        return WorkerInfo.parse(await self._opened().info())

    def _submit(self, item: Pending, timeout: float | None) -> None:
        size = item.size
        if self._loop_thread is None or in_thread_of(self._loop_thread.loop):
            self._backlog.take(size)
            try:
                self._enqueue(item, timeout)
            except BaseException:
                self._backlog.give(size)
                raise
            return
        self._backlog.wait_and_take(size)
        self._loop_thread.soon(self._enqueue_or_reject, item, timeout)

    def _enqueue_or_reject(self, item: Pending, timeout: float | None) -> None:
        size = item.size
        try:
            self._enqueue(item, timeout)
        except AsyncBridgeError as error:
            self._backlog.give(size)
            item.promise.set_exception(error)

    def _enqueue(self, item: Pending, timeout: float | None) -> None:
        self._opened().submit(item)
        if timeout is not None:
            assert self._loop is not None
            item.timer = self._loop.call_later(timeout, expire, item, timeout)

    def _promise_of(self, work: Callable[[], Coroutine[Any, Any, T]], name: str) -> Promise[T]:
        """Start work on the bridge's loop and return its promise."""
        if self._loop is None:
            raise BridgeClosed(UNOPENED)
        promise: Promise[T] = Promise(loop=self._loop)

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
        """Return the bridge's loop, if it is open and may be used from here."""
        if self._state != "open":
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


WRONG_LOOP = (
    "the bridge belongs to another event loop or thread: open one bridge per loop, or use the "
    "sync form, `with asyncbridge.connect() as bridge:`, which any thread may use"
)


def expire(item: Pending, timeout: float) -> None:
    """Reject a promise whose time is over; a command still in the queue is taken back."""
    if item.promise.done():
        return
    phase = item.state
    item.promise.set_exception(
        TimeoutError(f"no outcome of {item.label or 'the command'} after {timeout} s ({phase})")
    )
    item.promise.cancel()


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


def abandon(worker: Worker, what: str) -> None:
    """Let a bridge go that nobody closed: its worker must not outlive it."""
    warnings.warn(f"{what} was never closed", ResourceWarning, stacklevel=1)
    worker.kill()


@lru_cache(maxsize=1024)
def check_source(source: str) -> None:
    """Raise ``SyntaxError``, with caret and line, where the code was written."""
    try:
        compile(source, "<command>", "exec", dont_inherit=True, flags=0)
    except ValueError as error:  # a NUL byte, before Python 3.12
        raise SyntaxError(str(error)) from None

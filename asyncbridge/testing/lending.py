"""One real worker for all tests of a session, lent to one test after another.

A bridge belongs to one event loop, and tests have loops of their own; so the worker's process is
held by none of them, but by a loop in a thread of its own, for the whole session. Each test's
bridges connect to its socket from the test's loop, and hear of its end from the holder.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from signal import SIGKILL
from typing import TYPE_CHECKING, Any, TypeVar

from asyncbridge.client.bridge import Bridge
from asyncbridge.client.connectors import LocalWorker
from asyncbridge.client.launcher import LaunchOptions, WorkerProcess, launch
from asyncbridge.client.loop_thread import LoopThread
from asyncbridge.errors import AsyncBridgeError, BridgeClosed, WrongLoopError
from asyncbridge.testing.faults import Crash, Failure, FaultPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from signal import Signals

    from asyncbridge.client.connectors import Worker
    from asyncbridge.client.options import Options
    from asyncbridge.codegen import Node
    from asyncbridge.errors import WorkerLost
    from asyncbridge.promise import Promise

__all__ = ["Borrower", "Holder", "RealWorker"]

T = TypeVar("T")

GRACE_SECONDS = 1.0
"""How long a command that a test has left running may take to end, before it is ended."""

CLEAN = """\
def clean(scope, modules):
    import gc

    for name in [name for name in scope if not (name.startswith("__") and name.endswith("__"))]:
        del scope[name]
    keras = modules.get("keras")
    if keras is None:
        gc.collect()
        return
    keras.saving.get_custom_objects().clear()
    keras.utils.clear_session()

import sys
clean(globals(), sys.modules)
"""
"""Takes out of the worker what a test has left there, this code's own names included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrower:
    """A test, as error messages speak of it.

    Attributes:
        test: Its id.
        loop_scope: The scope of its event loop; None for a plain function.
    """

    test: str
    loop_scope: str | None

    def wrong_loop(self) -> WrongLoopError:
        """Return the error for a use in another loop than the test's."""
        if self.loop_scope is None:
            return WrongLoopError(
                f"this bridge was opened by {self.test}, in another event loop or thread than it "
                "is used in: open one for each loop, by real_worker.connect()"
            )
        return WrongLoopError(
            f"this bridge belongs to the event loop of {self.test} (loop_scope="
            f"{self.loop_scope!r}), and is used in another loop or thread. Write "
            f"@pytest_asyncio.fixture(loop_scope={self.loop_scope!r}) at the fixture that uses "
            "it, which must be an `async def` (a plain one runs in no loop), or give the test the loop of that fixture: @pytest.mark.asyncio(loop_scope=...)"
        )

    def too_late(self) -> BridgeClosed:
        """Return the error for a use after the test's end."""
        return BridgeClosed(
            f"this bridge was that of {self.test}, and ended with it: ask for the fixture "
            "`bridge` in each test, and keep neither it nor a mirror for another one"
        )


class RealWorker:
    """The session's worker, as one test has it: clean at first, and the test's to break.

    Args:
        holder: Has the process.
        borrower: The test.
    """

    def __init__(self, holder: Holder, borrower: Borrower) -> None:
        self.borrower = borrower
        self.plan = FaultPlan()
        self.ended = False
        self._holder = holder

    def connect(self, **options: Any) -> Bridge:
        """Return a bridge to this worker, to be entered as one of ``asyncbridge.connect``.

        Several bridges of one test share the namespace. One that is opened after the worker's
        death has another worker, as an app has that connects anew.

        Args:
            options: Fields of ``asyncbridge.client.Options``; those that say how a worker is
                started, or where one is, are not heeded.
        """
        wanted = replace(self._holder.options, **options)
        return _LentBridge(wanted, start=self._start, home=self)

    def fail(
        self,
        error: str | type[BaseException],
        message: str = "",
        *,
        times: int | None = 1,
        match: str | None = None,
    ) -> None:
        """Let the next command that is sent raise an exception in the worker, and nothing else.

        Args:
            error: The exception's type, or its name, such as ``"ValueError"``, with its module if
                it has one; it need not be importable.
            message: What it says.
            times: How many commands fail; None for all from now on, in this test.
            match: Only those whose name, or code if they have none, contains this text.
        """
        self.plan.add(Failure.of(error, message), times=times, match=match)

    def crash(self, *, signal: Signals = SIGKILL, match: str | None = None) -> None:
        """Let the worker's process end in the middle of the next command that is sent.

        Args:
            signal: What ends it: SIGKILL, as the kernel does when memory runs out, or SIGSEGV.
            match: Only in one whose name, or code if it has none, contains this text.
        """
        self.plan.add(Crash(signal=signal), match=match)

    def kill(self, signal: Signals = SIGKILL) -> None:
        """Kill the worker's process now, whatever it is doing: in the middle of a training.

        Raises:
            RuntimeError: No bridge of this test has been opened yet.
        """
        self._holder.kill(signal)

    async def _start(self, _options: Options) -> Worker:
        if self.ended:
            raise self.borrower.too_late()
        return await self._holder.lend(self)


class Holder:
    """Has the worker's process, and starts another one when a test has broken it.

    Args:
        options: What it is started with, and what its bridges have unless they are told
            otherwise.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self._thread: LoopThread | None = None
        self._process: WorkerProcess | None = None
        # Whose names are in it.
        self._tenant: RealWorker | None = None
        # One after another, for a test may open several bridges at once.
        self._lock = asyncio.Lock()

    async def lend(self, tenant: RealWorker) -> Worker:
        """Return a way to the worker for the loop that runs here, empty at a tenant's first time."""
        if self._thread is None:
            self._thread = LoopThread("asyncbridge-testing")
        loop = self._thread.loop
        process = await in_other_loop(self._ready(loop, tenant), loop)
        return _LentWorker(process, loop)

    def kill(self, number: Signals) -> None:
        """Kill the process.

        Raises:
            RuntimeError: There is none.
        """
        if self._process is None or self._process.ended.done():
            raise RuntimeError("no worker runs: open a bridge to it first")
        os.kill(self._process.pid, number)

    def close(self) -> None:
        """End the process and the thread."""
        if self._thread is not None:
            self._thread.call(self._drop())
            self._thread.stop()

    # --- in the thread's loop ---

    async def _ready(self, loop: asyncio.AbstractEventLoop, tenant: RealWorker) -> WorkerProcess:
        async with self._lock:
            if self._process is not None and self._process.ended.done():
                await self._drop()
            elif self._process is not None and tenant is not self._tenant:
                await self._clean(self._process, loop)
            if self._process is None:
                wanted = self.options
                self._process = await launch(
                    LaunchOptions(python=wanted.python, backend=wanted.backend, env=wanted.env)
                )
            self._tenant = tenant
            return self._process

    async def _clean(self, process: WorkerProcess, loop: asyncio.AbstractEventLoop) -> None:
        """Empty the namespace; end a worker that is not there to do it, or busy."""
        bridge = Bridge(self.options, start=given(_LentWorker(process, loop)))
        try:
            async with bridge:
                info = await bridge.info()
                idle = info.queued == 0 or info.state == "importing"
                limit = self.options.connect_timeout if idle else GRACE_SECONDS
                await bridge.send(CLEAN, name="clean", timeout=limit)
        except (TimeoutError, AsyncBridgeError):
            await self._drop()

    async def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await LocalWorker(process).close()


class _LentWorker(LocalWorker):
    """A way to the held worker, for one bridge: it ends with neither."""

    def __init__(self, process: WorkerProcess, home: asyncio.AbstractEventLoop) -> None:
        super().__init__(process)
        self._home = home

    async def ended(self) -> WorkerLost:
        """Wait for the supervisor's word, which comes in the holder's loop."""
        return await in_other_loop(super().ended(), self._home)

    async def close(self) -> None:
        """Close the connections; the worker goes on."""
        if self._http is not None:
            await self._http.close()

    def kill(self) -> None:
        """Do nothing: the worker is the session's."""


class _LentBridge(Bridge):
    """A bridge of one test, which says so when it is used elsewhere."""

    def __init__(
        self,
        options: Options,
        *,
        start: Callable[[Options], Coroutine[Any, Any, Worker]],
        home: RealWorker,
    ) -> None:
        super().__init__(options, start=start)
        self._home = home

    def send(
        self,
        code: str | Node,
        bindings: Mapping[str, object] | None = None,
        *,
        name: str | None = None,
        **options: Any,
    ) -> Promise[Any]:
        """Send a command, or the fault that is planned for it; see ``Bridge.send``."""
        self._usable_loop()
        text = code if isinstance(code, str) else self._tools().render(code)
        fault = self._home.plan.take(name or "", text)
        if fault is None:
            return super().send(code, bindings, name=name, **options)
        options["lifetime"] = "command"
        return super().send(fault.code, fault.bindings, name=name, **options)

    def _usable_loop(self) -> asyncio.AbstractEventLoop:
        try:
            return super()._usable_loop()
        except WrongLoopError:
            raise self._home.borrower.wrong_loop() from None
        except BridgeClosed:
            if self._home.ended:
                raise self._home.borrower.too_late() from None
            raise

    def _promise_of(self, work: Callable[[], Coroutine[Any, Any, Any]], name: str) -> Promise[Any]:
        try:
            return super()._promise_of(work, name)
        except WrongLoopError:
            raise self._home.borrower.wrong_loop() from None


def given(worker: Worker) -> Callable[[Options], Coroutine[Any, Any, Worker]]:
    """Return what starts a bridge's worker, where there is one already."""

    async def start(_options: Options) -> Worker:
        return worker

    return start


async def in_other_loop(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """Do something in the loop of another thread, and wait for it in this one."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

"""A worker is replaced on purpose: another one takes over what it has, and the commands that wait."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.client.succession import Succession
from asyncbridge.client.tracebacks import plain
from asyncbridge.errors import AsyncBridgeError, BridgeClosed, InUse, WorkerLost
from asyncbridge.promise import Promise
from asyncbridge.protocol.keeping import URGENT
from asyncbridge.references import Ref
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncbridge.client.session import Session
    from asyncbridge.protocol.messages import Advice

__all__ = ["Move", "Recycled", "Recycling"]

log = logging.getLogger(__name__)
lifetimes = logging.getLogger("asyncbridge.lifetime")

LODGERS: Final = "from asyncbridge.worker import lodgers as worker_lodgers\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recycled:
    """What became of it.

    Attributes:
        reason: Why the worker was replaced.
        before: The incarnation that ended.
        after: The one that has taken its place.
        lost: What could not be moved, by name or as ``object`` and its number, each with the reason.
    """

    reason: str
    before: str
    after: str
    lost: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Move:
    """One that is under way.

    Attributes:
        reason: Why.
        state: What the worker had.
        error: What a command is told that could not be moved.
        numbers: The kept objects that it held for this client.
        collected: The bindings that go when nothing is tied to them.
        outcome: What came of it, once it is over.
    """

    reason: str
    state: Any
    error: WorkerLost
    numbers: list[int]
    collected: list[str] = field(default_factory=list)
    outcome: Recycled | None = None


class Recycling(Succession):
    """Adds to a bridge that its worker may be replaced."""

    _promise_of: Callable[..., Promise[Any]]
    _usable_loop: Callable[[], asyncio.AbstractEventLoop]
    # One at a time: what is asked for meanwhile is the same.
    _recycling: asyncio.Task[Recycled] | None = None

    @property
    @abstractmethod
    def incarnation(self) -> str:
        """The present worker's own name."""

    def recycle(self) -> Promise[Recycled]:
        """Replace the worker now, as soon as no command runs, as ``connect(recycle=...)`` would.

        Returns:
            A promise of what became of it. It is rejected with the worker's error if what it has
            cannot be had, and then the worker goes on; and with ``WorkerLost`` if there is no other.

        Raises:
            BridgeClosed: The bridge is not open.
            ValueError: The worker was not started for this bridge.
        """
        self._usable_loop()
        if self._worker is None or self._worker.kind != "local":
            raise ValueError(
                "recycle() is for a worker that was started for this bridge; who has started this "
                "one replaces it"
            )
        return self._promise_of(
            lambda: self._replaced("the client wishes it"), "asyncbridge-recycle"
        )

    def _advised(self, advice: Advice) -> None:
        """Take what the worker says of itself."""
        if advice.kind == "memory":
            log.warning("%s", advice.text)
        elif advice.kind == "holders":
            lifetimes.warning("%s", plain(advice.text))
        else:
            spawn(self._replaced_or_not(advice.text), name="asyncbridge-recycle")

    async def _replaced_or_not(self, reason: str) -> None:
        try:
            await self._replaced(reason)
        except InUse as error:
            log.debug("%s", error)  # it asks again behind the next command
        except AsyncBridgeError as error:
            level = logging.WARNING if self._states.is_open else logging.DEBUG
            log.log(level, "the worker could not be replaced (%s): %s", reason, error)

    async def _replaced(self, reason: str) -> Recycled:
        """Replace the worker, unless that is under way."""
        task = self._recycling
        if task is None or task.done():
            task = self._recycling = spawn(
                self._recycle(reason), name="asyncbridge-recycling", on_error=lambda _: None
            )
        return await asyncio.shield(task)

    async def _recycle(self, reason: str) -> Recycled:
        session, worker = self._opened(), self._worker
        assert worker is not None
        try:
            if self._held is not None:
                raise WorkerLost("the worker has ended by itself meanwhile")
            if not self._states.is_open:
                raise BridgeClosed(f"the bridge is {self._states.now}")
            self._check_idle()
            wanted = await self._wanted(session)
            numbers = [each.about.number for each in self._references.living()]
            needed = self._needed(session)
            state = await self._urgently(session, "pack", numbers, wanted, needed)
            await session.outcomes_told()
        except BaseException:
            if not session.closed.done():
                self._urgently(session, "resume")
            raise
        error = WorkerLost(f"the worker was replaced: {reason}", phase="not_started")
        move = self._move = Move(reason=reason, state=state, error=error, numbers=state["objects"])
        session.end(error, unstarted=True)
        await session.hang_up()
        assert self._successor is not None
        await asyncio.shield(self._successor)
        if move.outcome is None:
            raise self._last or error
        return move.outcome

    def _check_idle(self) -> None:
        """Refuse to replace a worker in which something is under way between commands.

        Raises:
            InUse: It is.
        """
        under_way = {
            "commands are halted, and wait for a decision": bool(self._halts.halted),
            "an `async with` over a reference is open": bool(self._contexts),
            "an `async for` over a reference is under way": bool(self._iterations),
        }
        reasons = tuple(reason for reason, holds in under_way.items() if holds)
        if reasons:
            raise InUse(
                f"the worker is not replaced now: {'; '.join(reasons)}",
                name="the worker",
                holders=reasons,
            )

    def _needed(self, session: Session) -> list[int]:
        """Return the kept objects that unfinished commands use: they move, whatever they are."""
        found = set[int]()
        for item in session.unfinished_items():
            found.update(each.about.number for each in item.references)
            for use in item.uses:
                promise = use.promise
                if promise.state == "fulfilled" and isinstance(kept := promise.result(), Ref):
                    found.add(kept.about.number)
        return sorted(found)

    async def _wanted(self, session: Session) -> list[str]:
        """Return the names that live objects are tied to, or that unfinished commands use."""
        unfinished = session.unfinished_items()
        codes = {item.code for item in unfinished}
        handed = {name for item in unfinished for name in item.handed}
        waiting, _ = self._awaiting.used()
        needs_of, loop = self._tools().needs_of, asyncio.get_running_loop()

        def used() -> set[str]:
            return {name for code in codes for name in needs_of(code).names}

        inside = await loop.run_in_executor(None, used)
        return sorted({*self._finalizers.names, *handed, *waiting, *inside})

    def _urgently(self, session: Session, function: str, *args: object) -> Promise[Any]:
        """Send a command of the bridge's own, ahead of all others, also of those that have an id."""
        tools = self._tools()
        promise: Promise[Any] = Promise(loop=self._loop)
        # Under names that nobody has: all others move.
        bindings = {tools.random_name(): value for value in args}
        written = tools.write_bindings(
            bindings, copy=False, one_hot=False, files=False, limit=0, quickly=False
        ) if bindings else None  # fmt: skip
        item = tools.Pending(
            promise, code=f"{LODGERS}worker_lodgers.{function}({', '.join(bindings)})",
            bindings=written, lifetime="command", label=function, after=(),
            home=self._rejections, annotate=None, origin="", priority=URGENT, requeue=False,
        )  # fmt: skip
        item.overtakes = 1
        promise._attach(item)
        self._backlog.count(item.size)
        session.submit(item)
        return promise

    # --- the next worker ---

    async def _move_on(self, move: Move) -> bool:
        before = self._references.residence
        try:
            await self._bring_up_again()
            lost = await self._settle(move)
        except AsyncBridgeError as error:
            self._references.end(move.reason)
            why = move.error.because(f"another one could not be started: {error}")
            log.warning("%s", why.reason)
            self._lose(why, self._opened().closed.result() if self._opened().closed.done() else why)
            return False
        finally:
            self._move_ended(move)
        move.outcome = Recycled(
            reason=move.reason, before=before.incarnation, after=self.incarnation, lost=lost
        )
        told = "".join(f"; lost {what}: {why}" for what, why in lost.items())
        level = logging.WARNING if lost else logging.INFO
        log.log(level, "the worker was replaced: %s%s", move.reason, told[:1000])
        self._send_held(self._opened())
        self._release_spent(move)
        if self._states.is_open:
            self._states.opened()
        self._pass_on()
        return True

    def _release_spent(self, move: Move) -> None:
        """Let go of what nothing here is tied to any more; behind what uses it."""
        tied, (waiting, _) = self._finalizers.names, self._awaiting.used()
        spent = tuple(name for name in move.collected if name not in tied | waiting)
        # A reference that has become garbage on the way was tied to nothing that could tell.
        dead = tuple((number, 1) for number in move.numbers if number not in self._references)
        session = self._opened()
        if (spent or dead) and not session.closed.done():
            session.release(spent, dead)

    async def _settle(self, move: Move) -> dict[str, str]:
        """Put what the last worker had into this one; return what was lost."""
        session = self._opened()
        living = {each.about.number: each for each in self._references.living()}
        try:
            told: dict[str, str] = await self._urgently(session, "unpack", move.state)
        except AsyncBridgeError as error:
            if session.closed.done():
                raise
            log.exception("what the worker had could not be made anew")
            told = {"everything": f"it could not be made anew: {error}"}
            names = self._finalizers.names | self._eternal
            told |= {f"name {name}": told["everything"] for name in names}
            told |= {f"object {number}": told["everything"] for number in living}
        records = move.state["records"]
        move.collected = [name for name, lifetime, _ in records if lifetime == "collected"]
        move.state = None
        if warning := await self._urgently(session, "begin"):
            log.warning("%s", warning)
        lost: dict[str, str] = {}
        gone: dict[int, str] = {}
        for key, why in told.items():
            kind, _, rest = key.partition(" ")
            if kind == "name":
                self._lost_names[rest] = move.error.because(f"{rest!r} was not moved: {why}")
                lost[rest] = why
            else:
                lost[key] = why
                if rest.isdecimal():
                    gone[int(rest)] = why
        self._eternal -= self._lost_names.keys()
        self._references.move(living, gone, self.incarnation, move.reason)
        return lost

    def _move_ended(self, move: Move) -> None:
        self._move = None
        move.state = None

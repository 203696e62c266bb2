"""A command that has no outcome yet, with the promise that waits for it."""

from __future__ import annotations

import logging
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from asyncbridge.client.checks import milliseconds
from asyncbridge.client.kills import ends_worker
from asyncbridge.client.rejections import UnhandledRejection
from asyncbridge.client.words import STATE_NAMES, STOP_MODES
from asyncbridge.errors import DecodeError, RemoteError, SentCommand
from asyncbridge.promise.output import OutputLog
from asyncbridge.promise.progress import WatchedPromise
from asyncbridge.promise.times import Times
from asyncbridge.protocol.keeping import ALONE
from asyncbridge.protocol.limits import BULK_THRESHOLD
from asyncbridge.protocol.messages import Command, Payload, Started
from asyncbridge.references import PromisedValue
from asyncbridge.serialization.codec import decode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

    from asyncbridge.client.awaiting import Awaiting
    from asyncbridge.client.drafts import Bindings
    from asyncbridge.client.handing import Use
    from asyncbridge.client.held import Held
    from asyncbridge.client.parts import Parts
    from asyncbridge.client.rejections import Rejections
    from asyncbridge.client.scopes import Scope
    from asyncbridge.client.sources import Source
    from asyncbridge.client.submitting import Submitting
    from asyncbridge.promise import OutputLine, Promise
    from asyncbridge.protocol.messages import Progress
    from asyncbridge.references import Ref, Residence
    from asyncbridge.serialization.deferred import Outgoing

__all__ = ["Pending"]

log = logging.getLogger(__name__)

_NONE: Mapping[str, Outgoing] = MappingProxyType({})
INTERRUPT_SECONDS = 1.0
"""How long an interrupted command may take to end before its state says that it is late."""
_logs_made = threading.RLock()
"""One for all: a log is made seldom. A collection within may run code that asks for another."""


class Pending:
    """One command, from ``send`` until its promise is settled: the promise's source."""

    __slots__ = (
        "_output", "_promise", "after", "annotate", "aside", "began", "binding", "bindings", "bulk",
        "cancelled_phase", "cancelling", "code", "dependents", "failed", "handed", "holder", "home",
        "id", "interrupted_at", "keep", "label", "lifetime", "message", "names", "origin",
        "original", "overtakes", "passes_on", "priority", "reason", "references", "requeue",
        "residence", "run_timeout", "scope", "session", "sets", "stopped", "streams", "timer",
        "times", "uses", "writable",
    )  # fmt: skip

    def __init__(
        self,
        promise: Promise[Any],
        *,
        code: str,
        bindings: Bindings | None,
        lifetime: str,
        label: str,
        after: Sequence[Pending],
        home: Rejections,
        annotate: Callable[[RemoteError], None] | None,
        origin: str,
        aside: bool = False,
        writable: bool = False,
        streams: Sequence[Source] = (),
        names: tuple[str, ...] = (),
        requeue: bool = True,
        run_timeout: float | None = None,
        priority: int = 0,
    ) -> None:
        self._promise: Promise[Any] | None = promise
        self._output: OutputLog | None = None
        self.failed = False
        self.reason: Exception | None = None
        self.code = code
        self.bindings = bindings
        # As they were given, until it has started: another worker may be sent them.
        self.original = bindings
        self.names = names
        self.requeue = requeue
        self.run_timeout = run_timeout
        self.holder: Held | Awaiting | None = None
        self.lifetime = lifetime
        self.label = label
        self.after = after
        self.home = home
        self.dependents: Sequence[Pending] = ()
        self.annotate = annotate
        self.origin = origin
        # A small value travels with its command: nothing would pass it.
        self.aside = aside and bindings is not None and bindings.size >= BULK_THRESHOLD
        self.writable = writable
        self.streams = streams
        self.priority = priority
        # What stands among the bindings for values that are in the worker, or will be.
        self.uses: Sequence[Use] = ()
        self.references: Sequence[Ref] = ()
        self.handed: Sequence[str] = ()
        self.residence: Residence | None = None
        """Where those live, of which one at least stands among the bindings."""
        self.keep = 0
        self.overtakes = 0
        """The lowest id that may still come behind it, in a new session."""
        self.sets: tuple[str, ...] = ()
        self.binding: str | None = None
        """The name that it sets, when it is a ``put``."""
        self.passes_on = False
        """Whether it only brings a value to the worker that another command uses."""
        self.scope: Scope | None = None
        self.id = 0
        self.cancelling = False
        self.message: object = None
        """What the cancellation is to say."""
        self.cancelled_phase: str | None = None
        self.began = False
        """Whether it had started, as its cancellation tells: nobody here may have seen that."""
        self.interrupted_at: float | None = None
        self.stopped = False
        """Whether its code was told to stop and gave a value all the same."""
        self.bulk: Mapping[str, Outgoing] = _NONE
        self.session: Submitting | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.times = Times()

    def expression(self, promise: Promise[Any]) -> PromisedValue:
        """Return code that stands for a promise's value in the worker."""
        return PromisedValue(promise, self.label or f"command {self.id}", self.home.bridge)

    @property
    def promise(self) -> Promise[Any]:
        """The promise, until it is settled."""
        assert self._promise is not None
        return self._promise

    @property
    def is_settled(self) -> bool:
        """Whether its promise has an end."""
        return self._promise is None

    @property
    def size(self) -> int:
        """Bytes that the command counts for."""
        counted = None if self.aside else self.bindings
        return len(self.code) + (0 if counted is None else counted.size)

    @property
    def state(self) -> str:
        """``pending``, ``queued``, ``running``, ``halted``, ``interrupt-pending``, as far as the client knows."""
        if self.session is None:
            return "pending"
        state = STATE_NAMES[self.session.protocol.command_state(self.id)]
        return "interrupt-pending" if state == "running" and self._is_late() else state

    def _is_late(self) -> bool:
        """Tell whether it was interrupted long ago."""
        asked = self.interrupted_at
        return asked is not None and self.times.clock() - asked > INTERRUPT_SECONDS

    @property
    def ahead(self) -> int:
        """How many commands of this client come before it, as far as the client knows."""
        return 0 if self.session is None else self.session.protocol.ahead_of(self.id)

    @property
    def output(self) -> OutputLog:
        """What it has printed; made with its first line, or its first reader: most have none."""
        with _logs_made:
            if self._output is None:
                self._output = OutputLog()
                if self._promise is None:
                    self._output.end()
            return self._output

    def printed(self, line: OutputLine) -> None:
        """Take a line that it has printed."""
        self.output.add(line)

    def parts(self) -> Parts | None:
        """Ask for the value in parts; None where it is too late, and the value comes whole."""
        return None if self.session is None else self.session.streams.want_parts(self)

    def cancel(self, promise: Promise[Any], msg: Any, mode: str | None) -> bool:
        """Take the command back, or have it stopped; tells whether that may yet come about.

        Raises:
            ValueError: The worker is not the bridge's own to kill.
        """
        self.message = msg
        if self.session is None:
            return self.holder is not None and self.holder.cancel(self)
        if mode == "kill" and ends_worker(self):
            return True
        if mode in ("interrupt", "kill") and self.interrupted_at is None:
            self.interrupted_at = self.times.clock()
        self.cancelling = True
        return self.session.cancel(self, STOP_MODES[mode])

    def take_back(self) -> None:
        """Take the command out of the queue, if it has not begun; end its halt, if it is halted."""
        if self.session is not None:
            self.session.cancel(self, "dequeue")
            self.session.halts.give_up(self.id)
        elif self.holder is not None:
            self.holder.cancel(self)

    def let_go(self) -> None:
        """Let go of its value, which was to stay in the worker for a command that will not come."""
        if self.keep != ALONE:
            return
        session = self.session
        self.take_back()
        if session is not None:
            session.release_values((self.id,))

    @property
    def may_come_back(self) -> bool:
        """Whether it may be sent to another worker, as far as it is the sender's wish."""
        # What a source has given is gone.
        return self.requeue and not self.cancelling and not self.streams

    def come_back(self) -> None:
        """Be again what was not sent yet."""
        self.session = None
        self.bindings = self.original
        self.bulk = _NONE

    def unhandled(self, error: BaseException) -> dict[str, str]:
        """Take an error that nobody took; from any thread. Say which command this is."""
        self.home.tell(
            UnhandledRejection(
                error=error,
                command_id=self.id,
                command=self.label,
                sent_from=self.origin,
                code=self.code,
            )
        )
        return {
            "command": f"{self.label or 'without a name'} (number {self.id})",
            "command_code": self.code,
            "command_sent_from": self.origin,
        }

    def told(self, message: Started | Progress) -> None:
        """Take what the worker tells before the outcome."""
        if isinstance(message, Started):
            self.has_begun()
        else:
            self.report(message)

    def has_begun(self) -> None:
        """Note that it runs, or has run: a value tells that, too."""
        self.original = None
        self.times.start()

    def report(self, message: Progress) -> None:
        """Tell what the command's code reports, if the promise is one that wants to know."""
        if not isinstance(self._promise, WatchedPromise):
            return
        try:
            value = decode(message.value, path="report", side="in the client")
        except DecodeError as error:  # its outcome may be sound all the same
            log.warning("a report of %s cannot be read: %s", self.label or self.id, error)
            return
        try:
            self._promise._report(value, transient=message.transient)
        except Exception:  # as above
            log.exception("a report of %s cannot be taken", self.label or self.id)

    def explain(self, error: RemoteError) -> None:
        """Let the sender add what it knows; where that fails, the error stands as it is."""
        if self.annotate is None:
            return
        try:
            self.annotate(error)
        except Exception:
            log.exception("annotate= of %s failed", self.label or f"command {self.id}")

    def sent(self) -> SentCommand:
        """Return what errors tell of the command."""
        return SentCommand(
            id=self.id,
            code=self.code,
            bindings=self.names,
            name=self.label,
            sent_from=self.origin,
        )

    def depend(self) -> None:
        """Let those it depends on know of it, for as long as they have no outcome."""
        for item in self.after:
            if item._promise is not None:
                item.dependents = (*item.dependents, self)

    def failed_dependency(self) -> Pending | None:
        """Return one it depends on that is known to have failed, or to be cancelled."""
        for item in self.after:
            if item.failed:
                return item
        return None

    def settled(self, *, failed: bool, reason: Exception | None) -> None:
        """Let go of all that a settled promise needs no more: it may live for long.

        Of the promise, too, which refers back here: its value, which may be large, is to be
        freed as soon as its owner drops it, not when the garbage collector comes by.
        """
        self.failed, self.reason = failed, reason
        if failed:
            self.home.endings.note(self.id, reason)
        self.cancelled_phase = self._phase()
        self.times.end()
        with _logs_made:  # a reader's thread may make it now
            self._promise = None
        if self._output is not None:
            self._output.end()
        self.after = ()
        self.dependents = ()
        self.annotate = None
        self.bindings = self.original = None
        self.bulk = _NONE
        self.streams = ()
        if self.session is None:  # else those were let go of behind it
            for use in self.uses:
                if use.item is not None:
                    use.item.let_go()
        self.uses = self.references = ()
        self.handed = ()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _phase(self) -> str | None:
        """Return where the command was when it was cancelled; None if it never was."""
        if self.failed and self.reason is None:
            return "running" if self.began or self.times.has_started else "queued"
        if self.cancelling and (self.reason is None or isinstance(self.reason, RemoteError)):
            return "running" if self.stopped else "finished"
        return None

    def command(self) -> Command:
        """Return the message, with the dependencies that have no outcome yet."""
        bindings = self.bindings
        assert bindings is None or isinstance(bindings, Payload), "all of it is written by now"
        return Command(
            id=self.id,
            code=self.code,
            bindings=bindings,
            lifetime=self.lifetime,
            after=tuple([item.id for item in self.after]) if self.after else (),
            label=self.label,
            aside=self.aside,
            streams=tuple([source.name for source in self.streams]) if self.streams else (),
            run_ms=0 if self.run_timeout is None else milliseconds(self.run_timeout),
            priority=self.priority,
            uses=tuple([use.item.id for use in self.uses if use.item]) if self.uses else (),
            keep=self.keep,
            sets=self.sets,
            overtakes=self.overtakes,
        )

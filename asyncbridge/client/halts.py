"""A bridge's commands that have failed and wait for a decision, and who decides."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.client.checks import milliseconds
from asyncbridge.errors import AsyncBridgeError, BridgeClosed, DecisionError, RemoteError, TooLarge
from asyncbridge.promise import Promise
from asyncbridge.promise.reactions import is_awaitable
from asyncbridge.protocol import messages as m
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client.submitting import Submitting
    from asyncbridge.protocol.decisions import DecisionKind
    from asyncbridge.protocol.messages import Payload

    Handler = Callable[[Any], object]

__all__ = ["Halt", "Halts", "Written"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """A command that has failed, and whose end waits for a decision.

    Attributes:
        error_id: The error's id; any client of the worker may decide by it.
        epoch: How often this command has halted: it rises when it is run again, and fails again.
        command_id: The command's number in its session.
        command: What a person would call it; may be empty.
        error: What it failed by; its ``attempt`` is the epoch.
    """

    error_id: str
    epoch: int
    command_id: int
    command: str
    error: AsyncBridgeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A decision in wire form.

    Attributes:
        kind: What is decided.
        code: Its code, if it has any.
        values: Its bindings, or its value, with all buffers.
    """

    kind: DecisionKind
    code: str | None = None
    values: Payload | None = None


RAISE: Final = Written(kind="raise")


class Halts:
    """One bridge's; everything but the reading of ``halted`` is done on its loop.

    Args:
        always: Whether commands halt without a handler, too.
        timeout: Seconds that a halt lasts at most; ``math.inf`` for ever.

    Attributes:
        halted: What is halted, by the command's number: one at most, for the rest waits behind it.
    """

    def __init__(self, *, always: bool = False, timeout: float = math.inf) -> None:
        self.halted: dict[int, Halt] = {}
        self._always = always
        self._timeout = timeout
        self._handler: Handler | None = None
        self._asking: asyncio.Task[None] | None = None
        self._session: Submitting | None = None
        self._asked: dict[int, Promise[None]] = {}
        self._numbers = 0
        # The last halt's error, command, epoch and label: told of when that is over.
        self._last = ("", 0, 0, "")

    # --- what the app says ---

    def handle_by(self, handler: Handler | None) -> None:
        """Have the handler asked from now on; None ends it."""
        self._handler = handler
        self._tell()
        if handler is not None and self._asking is None:
            for halt in self.halted.values():
                self._ask(halt)

    def close(self) -> None:
        """Let errors stand that nobody would decide any more: the bridge closes."""
        self._always = False
        if self._handler is not None:
            return
        self._tell()
        assert self._session is not None
        for number, halt in self.halted.items():
            if number in self._session.outcomes.pending:  # the rest is left to the next client
                halt.error.add_note(
                    "the bridge was closed while this was halted, so the error stands"
                )
                self._raise(halt)

    def decide(self, error: str, epoch: int, written: Written, promise: Promise[None]) -> None:
        """Send a decision; the promise is that of the worker's answer."""
        session = self._session
        if session is None or session.closed.done():
            promise.set_exception(BridgeClosed("the bridge is closed: nothing can be decided"))
            return
        try:
            self._asked[self._decide(error, written, epoch)] = promise
        except TooLarge as too_large:
            promise.set_exception(too_large)

    # --- what the session says ---

    def begin(self, session: Submitting) -> None:
        """Take a session that has opened."""
        self._session = session
        if self._is_wanted or session.shared_name:  # where an earlier client may have wanted it
            self._tell()

    def arrived(
        self, message: m.Halted, label: str, error: AsyncBridgeError, *, overdue: bool = False
    ) -> None:
        """Take a command that has halted.

        Args:
            message: The worker's.
            label: What a person would call the command.
            error: What it has failed by.
            overdue: Whether its promise is settled already: its time limit is over.
        """
        if isinstance(error, RemoteError):
            error.attempt = message.epoch
        self._last = message.error, message.id, message.epoch, label
        halt = self.halted[message.id] = Halt(
            error_id=message.error,
            epoch=message.epoch,
            command_id=message.id,
            command=label,
            error=error,
        )
        if overdue:
            self._raise(halt)
        elif self._handler is not None:
            self._ask(halt)
        elif not self._always and self._session is not None:
            # It was on its way when the handler was taken away. What a session takes over as it
            # opens is another thing: there could be no handler before that.
            self._raise(halt)

    def label_of(self, error_id: str) -> str:
        """Return what a person would call the command that has halted; empty if unknown."""
        last, _, _, label = self._last
        return label if last == error_id else ""

    def count(self, command_id: int, error: AsyncBridgeError) -> AsyncBridgeError:
        """Return the error of a command that fails unhalted, with how often it has run."""
        _, last, epoch, _ = self._last
        if last == command_id and isinstance(error, RemoteError):
            error.attempt = epoch + 1
        return error

    def error_of(self, message: m.Failed) -> AsyncBridgeError | None:
        """Return the error that the handler has seen, where that is what the command ends by."""
        halt = self.halted.get(message.id)
        if halt is None:
            return None
        error = halt.error
        if isinstance(error, RemoteError):
            for note in message.fault.notes[len(error.notes) :]:
                error.add_note(note)
            error.notes = message.fault.notes
        return error

    def give_up(self, command_id: int) -> None:
        """Let the error of a command stand whose time limit is over, if it is halted."""
        if (halt := self.halted.get(command_id)) is not None:
            self._raise(halt)

    def over(self, command_id: int) -> None:
        """Note that a command is halted no more; who is still asked has nothing left to decide."""
        if self.halted.pop(command_id, None) is None or self._asking is None:
            return
        self._asking.cancel()
        self._asking = None

    def dropped(self, error: str) -> None:
        """Say what was sent by now: somebody else has decided that it be dropped."""
        self._decide(error, Written(kind="drop"))

    def answered(self, message: m.Decided) -> None:
        """Take the worker's answer to a decision."""
        promise = self._asked.pop(message.number, None)
        if promise is None or promise.done():
            return
        if message.refusal:
            promise.set_exception(DecisionError(message.refusal))
        else:
            promise.set_result(None)

    def not_sent(self, buffer_id: str, error: AsyncBridgeError) -> None:
        """Note that a large value of a decision could not be sent."""
        promise = self._asked.pop(int(buffer_id.partition("-")[0].removeprefix("d")), None)
        if promise is not None and not promise.done():
            promise.set_exception(error)

    def end(self, error: AsyncBridgeError) -> None:
        """Note that the session has ended, and with it what was halted."""
        for command_id in tuple(self.halted):
            self.over(command_id)
        asked, self._asked = self._asked, {}
        for promise in asked.values():
            if not promise.done():
                promise.set_exception(error)

    # --- inner steps ---

    @property
    def _is_wanted(self) -> bool:
        return self._always or self._handler is not None

    def _tell(self) -> None:
        if self._session is not None:
            limit = milliseconds(self._timeout)
            self._session.tell(m.Halting(on=self._is_wanted, timeout_ms=limit))

    def _decide(self, error: str, written: Written, epoch: int = 0) -> int:
        """Send a decision; return its number."""
        assert self._session is not None
        self._numbers += 1
        decision = m.Decide(
            number=self._numbers,
            error=error,
            kind=written.kind,
            epoch=epoch,
            code=written.code,
            values=written.values,
            newest=self._session.newest,
        )
        self._session.decide(decision)
        return decision.number

    def _ask(self, halt: Halt) -> None:
        assert self._handler is not None
        assert self._session is not None
        self._asking = spawn(
            self._decided(self._handler, halt), name=f"asyncbridge-decide-{halt.error_id}"
        )
        self._session.watch(self._asking, halt)

    async def _decided(self, handler: Handler, halt: Halt) -> None:
        """Ask the handler, and send what it says; what goes wrong there lets the error stand."""
        assert self._session is not None
        try:
            said: Any = handler(halt.error)
            if is_awaitable(said):
                said = await said
            written = self._session.written(said)
        except (Exception, asyncio.CancelledError) as error:
            if self._asking is not asyncio.current_task():
                raise  # nobody asks any more
            log.exception("the handler of errors failed; it was asked of %s", halt.error_id)
            halt.error.add_note(f"the handler of errors failed: {type(error).__name__}: {error}")
            self._raise(halt)
            return
        if written.kind == "retry" and is_power_of_ten(halt.epoch):
            what = halt.command or f"command {halt.command_id}"
            log.warning(
                "%s has failed %d times, and is tried again: %r", what, halt.epoch, halt.error
            )
        self._send(halt, written)

    def _raise(self, halt: Halt) -> None:
        self._send(halt, RAISE)

    def _send(self, halt: Halt, written: Written) -> None:
        promise: Promise[None] = Promise._shared_on(asyncio.get_running_loop())
        promise.add_done_callback(lambda done: self._sent(halt, written, done))
        self.decide(halt.error_id, halt.epoch, written, promise)

    def _sent(self, halt: Halt, written: Written, promise: asyncio.Future[None]) -> None:
        """Look at the answer: a decision that cannot be done must not leave the command halted."""
        error = None if promise.cancelled() else promise.exception()
        if error is None or written is RAISE or self.halted.get(halt.command_id) is not halt:
            return
        log.error("the decision about %s cannot be done: %s", halt.error_id, error)
        halt.error.add_note(f"the decision about it could not be done: {error}")
        self._raise(halt)


def is_power_of_ten(number: int) -> bool:
    """Tell whether a number is 10, 100, 1000 and so on."""
    return number >= 10 and str(number).strip("0") == "1"

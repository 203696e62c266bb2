"""The worker's half of the protocol: one session's commands, from the queue to their outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from asyncbridge.errors import LocalProtocolError, RemoteProtocolError
from asyncbridge.protocol.holding import Claim, Detach, Holding
from asyncbridge.protocol.limits import DEFAULT_WINDOW, FRAME_BYTES, Bound, Gauge, size_of
from asyncbridge.protocol.messages import (
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    Acknowledge,
    Cancel,
    Cancelled,
    Command,
    Completed,
    Decide,
    Dropped,
    Failed,
    Fault,
    Goodbye,
    Halted,
    Halting,
    Hello,
    InfoRequest,
    Keep,
    Message,
    Ping,
    Placed,
    Pong,
    Prioritize,
    QueueRequest,
    Recall,
    Refused,
    Release,
    Resumed,
    Returned,
    Reuse,
    Started,
    StreamEnd,
    StreamItem,
    StreamTaken,
    Tie,
    Welcome,
    WorkerState,
)
from asyncbridge.protocol.notices import Notices
from asyncbridge.protocol.states import (
    CommandEvent,
    CommandState,
    ConnectionEvent,
    ConnectionState,
    advance_command,
    advance_connection,
)

if TYPE_CHECKING:
    from collections.abc import Container

    from asyncbridge.protocol.holding import HeldState
    from asyncbridge.protocol.ledger import Ending, Entry, HeldRow, Ledger, Look
    from asyncbridge.protocol.messages import Payload

__all__ = ["WorkerProtocol"]

_PASSED = (
    Cancel, InfoRequest, Release, Placed, Returned, Recall, Reuse, StreamTaken,
    StreamItem, StreamEnd, QueueRequest, Prioritize, Halting, Decide, Keep, Tie,
)  # fmt: skip
"""What the client sends and the caller handles."""
HELD_ROWS = 2000
"""Commands in one message of those that a session holds."""


class WorkerProtocol(Notices):
    """One session, seen from the worker.

    It does no I/O: ``receive`` takes what came in, ``outgoing`` gives what is to be written
    now; the caller tells it what became of the commands.
    """

    def __init__(
        self,
        *,
        incarnation: str,
        window: Bound = DEFAULT_WINDOW,
        frame_bytes: int = FRAME_BYTES,
        named: bool = False,
    ) -> None:
        super().__init__()
        self.named, self.detached = named, False
        self.incarnation = incarnation
        self.frame_bytes = frame_bytes
        self.session = ""
        # For the welcome, once the client's arena has been found.
        self.arena = ""
        self.proof = ""
        self.keeps = 0
        self.largest = 0
        self._gauge = Gauge(window)
        self._entries = self.ledger.unfinished
        self._look: Look = lambda command: (command.priority, 0)

    @property
    def unfinished(self) -> int:
        """Commands queued or running."""
        return self._gauge.count

    def inherit(self, ledger: Ledger, look: Look | None = None) -> None:
        """Go on with the commands of a client that is gone; ahead of the hello.

        Args:
            ledger: They.
            look: Tells how one of them stands; without it, as it was sent.
        """
        ledger.disclaim()
        self._look = look or self._look
        self.ledger, self._entries = ledger, ledger.unfinished
        for entry in self._entries.values():
            self._gauge.take(entry.size)

    # --- what the client says ---

    def receive(
        self, message: Message, *, worker_state: WorkerState, taken: Container[str] = ()
    ) -> Message | None:
        """Take one message from the client.

        Args:
            message: What came in.
            worker_state: For the welcome.
            taken: Sessions that have a connection already; a second one is refused.

        Returns:
            The message, when the caller has something to do for it, else None.

        Raises:
            RemoteProtocolError: A message that the client may not send now; the connection
                is not to be trusted any further.
        """
        if isinstance(message, Hello):
            self._hello(message, worker_state, taken)
            return message
        if self.state is not ConnectionState.OPEN:
            raise RemoteProtocolError(
                f"the client sent {type(message).__name__} on a connection that is "
                f"{self.state.name}, not OPEN"
            )
        if isinstance(message, Command):
            return self._command(message)
        if isinstance(message, _PASSED):
            return message
        if isinstance(message, Acknowledge):
            self.ledger.acknowledge(message.ids)
            return message
        if isinstance(message, Ping):
            self._outgoing.append(Pong(nonce=message.nonce))
            return None
        if isinstance(message, Claim):
            return self._claim(message)
        if isinstance(message, Detach):
            self.detached = True
            self._outgoing = [Goodbye(reason="it has left its session")]
            self.state = advance_connection(self.state, ConnectionEvent.LOST)
            return message
        if isinstance(message, Goodbye):
            self.state = advance_connection(self.state, ConnectionEvent.GOODBYE)
            return message
        raise RemoteProtocolError(f"a client does not send {type(message).__name__}")

    def lose(self) -> None:
        """Note that the connection is gone; what was still to be written is nobody's."""
        self._outgoing.clear()
        self.state = advance_connection(self.state, ConnectionEvent.LOST)

    # --- what became of the commands ---

    def is_queued(self, command_id: int) -> bool:
        """Tell whether a command waits for its turn."""
        entry = self._entries.get(command_id)
        return entry is not None and entry.state is CommandState.QUEUED

    def is_waited_for(self, command_id: int) -> bool:
        """Tell whether the client is to be told of a command's end when it comes."""
        entry = self._entries.get(command_id)
        return entry is not None and entry.claimed and self.state is ConnectionState.OPEN

    def started(self, command_id: int) -> None:
        """Note that the GPU thread took the command up."""
        self._move(command_id, CommandEvent.START)
        self.notify(Started(id=command_id))

    def completed(
        self,
        command_id: int,
        value: Payload,
        *,
        stopped: bool = False,
        objects: tuple[int, ...] = (),
        holders: tuple[str, ...] = (),
    ) -> None:
        """Note the command's value, and what is told with it."""
        message = Completed(
            id=command_id, value=value, stopped=stopped, objects=objects, holders=holders
        )
        self._finish(message, "completed", value.size)

    def failed(self, command_id: int, fault: Fault, *, because: int | None = None) -> None:
        """Note the command's failure, its own or that of one it depends on."""
        message = Failed(id=command_id, fault=fault, because=because)
        self._finish(message, "failed", len(fault.text) + len(fault.message))

    def cancelled(self, command_id: int) -> None:
        """Note that the command was taken out of the queue, or brought to its end."""
        began = self._entries[command_id].began
        self._finish(Cancelled(id=command_id, began=began), "cancelled", 0)

    def tell_again(self, command_id: int) -> None:
        """Tell an outcome that somebody has asked for."""
        outcome = self.ledger.outcomes[command_id]
        outcome.claimed = True
        self.notify(outcome.told())

    def halted(self, message: Halted) -> None:
        """Note that the command has failed, and that its end waits for a decision."""
        self._move(message.id, CommandEvent.HALT).halt = message
        self.notify(message)

    def resumed(self, message: Resumed) -> None:
        """Note that a halted command is to run once more."""
        entry = self._move(message.id, CommandEvent.RESUME)
        entry.halt, entry.again = None, True
        self.notify(message)

    def dropped(self, message: Dropped) -> None:
        """Note that commands will not run, by a decision about one before them."""
        told = f"it was queued behind command {message.because}, and DropQueue() was decided"
        fault = Fault(type="CommandDropped", message=told)
        for command_id in message.ids:
            self._end(Failed(id=command_id, fault=fault, because=message.because), "failed", 0)
        self.notify(message)
        outcomes = self.ledger.outcomes
        unclaimed = [number for number in message.ids if not outcomes[number].claimed]
        if unclaimed and self.state is ConnectionState.OPEN:
            self._hold([self.ledger.row(number) for number in unclaimed])

    # --- inner steps ---

    def _claim(self, message: Claim) -> Claim | None:
        """Have an outcome told, now or when it is there; return the claim in the first case."""
        if (entry := self._entries.get(message.id)) is not None:
            entry.claimed = True
            return None
        if message.id in self.ledger.outcomes:
            return message
        self._outgoing.append(self.ledger.gone(message.id))
        return None

    def _bequeath(self) -> None:
        """Tell a new client what its session holds; what of it waits for a decision, before the end."""
        halts = [entry.halt for entry in self._entries.values() if entry.halt is not None]
        self._hold(self.ledger.rows(), more=bool(halts))
        if halts:
            self._outgoing += halts
            self._hold([])

    def _hold(self, rows: list[HeldRow], *, more: bool = False) -> None:
        """Tell what the session holds, or that nothing is held; more of that may follow."""
        newest = self.ledger.used.newest
        for start in range(0, len(rows) or 1, HELD_ROWS):
            some = tuple(rows[start : start + HELD_ROWS])
            follows = more or start + HELD_ROWS < len(rows)
            where = tuple(
                self.ledger.standing(row[0], self._look) for row in some if row[0] in self._entries
            )
            self._outgoing.append(
                Holding(newest=newest, commands=some, more=follows, standing=where)
            )

    def _hello(self, message: Hello, worker_state: WorkerState, taken: Container[str]) -> None:
        try:
            self.state = advance_connection(self.state, ConnectionEvent.HELLO)
        except LocalProtocolError:
            raise RemoteProtocolError("the client said hello twice") from None
        version = min(message.newest, PROTOCOL_VERSION)
        if version < max(message.oldest, OLDEST_VERSION):
            self._refuse(
                "version",
                f"the client speaks protocol versions {message.oldest} to {message.newest}, the "
                f"worker {OLDEST_VERSION} to {PROTOCOL_VERSION}: install matching versions of "
                "asyncbridge on both sides",
            )
            return
        if message.session in taken:
            self._refuse("session", f"session {message.session!r} is connected already")
            return
        self.session = message.session
        self.state = advance_connection(self.state, ConnectionEvent.WELCOME)
        self._outgoing.append(
            Welcome(
                version=version,
                incarnation=self.incarnation,
                window=self._gauge.bound.count,
                window_bytes=self._gauge.bound.size,
                frame_bytes=self.frame_bytes,
                state=worker_state,
                arena=self.arena,
                proof=self.proof,
                keeps=self.keeps,
                largest=self.largest,
            )
        )
        if self.named:
            self._bequeath()

    def _refuse(self, code: Literal["version", "session"], message: str) -> None:
        self.state = advance_connection(self.state, ConnectionEvent.REFUSED)
        self._outgoing.append(Refused(code=code, message=message))

    def _command(self, command: Command) -> Message | None:
        if command.id in self.ledger.used:
            return self._repeated(command)
        size = size_of(command)
        if self.largest and command.bindings is not None and command.bindings.size > self.largest:
            raise RemoteProtocolError(
                f"command {command.id} with bindings of {command.bindings.size} bytes; the limit "
                f"is {self.largest}"
            )
        if not self._gauge.fits(size):
            raise RemoteProtocolError(
                f"command {command.id} of {size} bytes is beyond the window: {self._gauge!r}"
            )
        self._gauge.take(size)
        self.ledger.take(command, size)
        self._accepted.append(command.id)
        return command

    def _repeated(self, command: Command) -> Claim | None:
        """Take a command whose id was used: it does not run, but its outcome is told."""
        if command.id < 1:
            raise RemoteProtocolError(f"command id {command.id}: they count from 1")
        withheld = self.ledger.judge(command)
        if withheld is None:
            return self._claim(Claim(id=command.id))
        self._outgoing.append(withheld)
        return None

    def _move(self, command_id: int, event: CommandEvent) -> Entry:
        entry = self._entries[command_id]
        entry.state = advance_command(entry.state, event)
        return entry

    def _finish(self, message: Ending, state: HeldState, size: int) -> None:
        entry = self._end(message, state, size)
        if entry.claimed:
            self.notify(message)
        elif self.named and self.state is ConnectionState.OPEN:
            self._hold([self.ledger.row(message.id)])

    def _end(self, message: Ending, state: HeldState, size: int) -> Entry:
        self._passing.pop(message.id, None)
        entry = self.ledger.finish(message, state, size)
        self._gauge.give(entry.size)
        return entry

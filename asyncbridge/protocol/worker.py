"""The worker's half of the protocol: one session's commands, from the queue to their outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from asyncbridge.errors import LocalProtocolError, RemoteProtocolError
from asyncbridge.protocol.limits import DEFAULT_WINDOW, FRAME_BYTES, Bound, Gauge, size_of
from asyncbridge.protocol.messages import (
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    Accepted,
    Acknowledge,
    Cancel,
    Cancelled,
    Command,
    Completed,
    Decide,
    Dropped,
    Failed,
    Goodbye,
    Halted,
    Halting,
    Hello,
    InfoRequest,
    Message,
    Output,
    Ping,
    Placed,
    Pong,
    Progress,
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
    Welcome,
    WorkerState,
)
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

    from asyncbridge.protocol.messages import Fault, Payload

__all__ = ["WorkerProtocol"]

OUTPUT_KEPT = 1024 * 1024
"""Characters of output held for a client that does not read, before the oldest are dropped."""
PROGRESS_KEPT = 100_000
"""Reports held for a client that does not read, before they are dropped: some 50 MB."""
_PASSED = (
    Cancel, InfoRequest, Release, Acknowledge, Placed, Returned, Recall, Reuse, StreamTaken,
    StreamItem, StreamEnd, Halting, Decide,
)  # fmt: skip
"""What the client sends and the caller handles."""


@dataclass(slots=True)
class _Entry:
    size: int
    state: CommandState = CommandState.QUEUED


class WorkerProtocol:
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
    ) -> None:
        self.incarnation = incarnation
        self.frame_bytes = frame_bytes
        self.state = ConnectionState.IDLE
        self.session = ""
        # For the welcome, once the client's arena has been found.
        self.arena = ""
        self.proof = ""
        self.keeps = 0
        self.largest = 0
        self._gauge = Gauge(window)
        self._entries: dict[int, _Entry] = {}
        self._newest = 0
        self._outgoing: list[Message] = []
        self._accepted: list[int] = []
        self._held_output = 0
        self._dropped_output = 0
        self._passing: dict[int, Progress] = {}
        self._held_progress = 0

    @property
    def unfinished(self) -> int:
        """Commands queued or running."""
        return self._gauge.count

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
        if isinstance(message, Ping):
            self._outgoing.append(Pong(nonce=message.nonce))
            return None
        if isinstance(message, Goodbye):
            self.state = advance_connection(self.state, ConnectionEvent.GOODBYE)
            return message
        raise RemoteProtocolError(f"a client does not send {type(message).__name__}")

    def lose(self) -> None:
        """Note that the connection is gone."""
        self.state = advance_connection(self.state, ConnectionEvent.LOST)

    # --- what became of the commands ---

    def is_queued(self, command_id: int) -> bool:
        """Tell whether a command waits for its turn."""
        entry = self._entries.get(command_id)
        return entry is not None and entry.state is CommandState.QUEUED

    def started(self, command_id: int) -> None:
        """Note that the GPU thread took the command up."""
        self._move(command_id, CommandEvent.START)
        self.notify(Started(id=command_id))

    def completed(self, command_id: int, value: Payload, *, stopped: bool = False) -> None:
        """Note the command's value, and whether its code was told to stop meanwhile."""
        self._finish(command_id)
        self.notify(Completed(id=command_id, value=value, stopped=stopped))

    def failed(self, command_id: int, fault: Fault, *, because: int | None = None) -> None:
        """Note the command's failure, its own or that of one it depends on."""
        self._finish(command_id)
        self.notify(Failed(id=command_id, fault=fault, because=because))

    def cancelled(self, command_id: int) -> None:
        """Note that the command was taken out of the queue, or brought to its end."""
        self._finish(command_id)
        self.notify(Cancelled(id=command_id))

    def halted(self, message: Halted) -> None:
        """Note that the command has failed, and that its end waits for a decision."""
        self._move(message.id, CommandEvent.HALT)
        self.notify(message)

    def resumed(self, message: Resumed) -> None:
        """Note that a halted command is to run once more."""
        self._move(message.id, CommandEvent.RESUME)
        self.notify(message)

    def dropped(self, message: Dropped) -> None:
        """Note that commands will not run, by a decision about one before them."""
        for command_id in message.ids:
            self._finish(command_id)
        self.notify(message)

    def notify(self, message: Message) -> None:
        """Queue any notification; nothing is queued for a client that is gone."""
        if self.state is not ConnectionState.OPEN:
            return
        if isinstance(message, Output):
            message = self._hold(message)
        elif isinstance(message, Progress):
            # One that passes waits apart, for the next one takes its place.
            self._passing.pop(message.id, None)
            if message.transient:
                self._passing[message.id] = message
                return
            self._hold_progress()
        self._outgoing.append(message)

    def outgoing(self) -> list[Message]:
        """Return what is to be written now."""
        messages, self._outgoing = self._outgoing, []
        if self._accepted:
            behind = 1 if messages and isinstance(messages[0], Welcome) else 0
            messages.insert(behind, Accepted(ids=tuple(self._accepted)))
            self._accepted.clear()
        self._held_output = self._held_progress = 0
        messages += self._passing.values()
        self._passing.clear()
        return messages

    # --- inner steps ---

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

    def _refuse(self, code: Literal["version", "session"], message: str) -> None:
        self.state = advance_connection(self.state, ConnectionEvent.REFUSED)
        self._outgoing.append(Refused(code=code, message=message))

    def _command(self, command: Command) -> Command:
        # Ids rise within a session, so an old one is a repetition or a forgery.
        if command.id <= self._newest:
            raise RemoteProtocolError(
                f"command id {command.id} after {self._newest}: ids rise within a session"
            )
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
        self._newest = command.id
        self._gauge.take(size)
        self._entries[command.id] = _Entry(size)
        self._accepted.append(command.id)
        return command

    def _move(self, command_id: int, event: CommandEvent) -> None:
        entry = self._entries[command_id]
        entry.state = advance_command(entry.state, event)

    def _finish(self, command_id: int) -> None:
        entry = self._entries.pop(command_id)
        self._passing.pop(command_id, None)
        advance_command(entry.state, CommandEvent.FINISH)
        self._gauge.give(entry.size)

    def _hold_progress(self) -> None:
        self._held_progress += 1
        if self._held_progress > PROGRESS_KEPT:
            kept: list[Message] = [
                message for message in self._outgoing if not isinstance(message, Progress)
            ]
            self._outgoing, self._held_progress = kept, 1

    def _hold(self, message: Output) -> Output:
        if self._held_output + len(message.text) > OUTPUT_KEPT:
            self._drop_output()
        self._held_output += len(message.text)
        if not self._dropped_output:
            return message
        dropped, self._dropped_output = self._dropped_output, 0
        return Output(id=message.id, stream=message.stream, text=message.text, dropped=dropped)

    def _drop_output(self) -> None:
        kept: list[Message] = []
        for message in self._outgoing:
            if isinstance(message, Output):
                self._dropped_output += len(message.text) + message.dropped
            else:
                kept.append(message)
        self._outgoing = kept
        self._held_output = 0

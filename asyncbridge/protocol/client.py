"""The client's half of the protocol: decides what may be sent and what an answer means."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asyncbridge.errors import (
    ConnectError,
    LocalProtocolError,
    ProtocolVersionError,
    QueueFull,
    RemoteProtocolError,
    SessionTaken,
)
from asyncbridge.protocol import messages as m
from asyncbridge.protocol.claims import Claims
from asyncbridge.protocol.journal import session_digest
from asyncbridge.protocol.keeping import HOLD
from asyncbridge.protocol.levels import Levels
from asyncbridge.protocol.limits import DEFAULT_BACKLOG, REASON_CHARS, Bound, Gauge, size_of
from asyncbridge.protocol.phases import phase_of
from asyncbridge.protocol.releases import Releases
from asyncbridge.protocol.standing import Entry, is_ready
from asyncbridge.protocol.states import (
    CommandEvent,
    CommandState,
    ConnectionEvent,
    ConnectionState,
    advance_command,
    advance_connection,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncbridge.errors import Phase
    from asyncbridge.protocol import journal as j
    from asyncbridge.protocol.journal import Entry as Journal

__all__ = ["ClientProtocol"]

ACKNOWLEDGE_COUNT = 256
"""Outcomes seen before they are acknowledged in a frame of their own."""


class ClientProtocol(Claims):
    """One session's commands, from the backlog to their outcome.

    It does no I/O: ``receive`` takes what came in, ``outgoing`` gives what is to be written now.
    Commands leave by priority, and in each in the order of ``submit``; other messages pass them.
    """

    def __init__(
        self,
        *,
        session: str,
        client: str = "",
        arena: str = "",
        largest: int = 0,
        locals: bool = False,  # noqa: A002 - the message's field
        references: bool = True,
        debug: bool = False,
        backlog: Bound = DEFAULT_BACKLOG,
    ) -> None:
        super().__init__(backlog)
        self.session = session
        self.client = client
        self.arena = arena
        self.largest = largest
        self.locals = locals
        self.references = references
        self.debug = debug
        self.state = ConnectionState.IDLE
        self.worker_state: m.WorkerState = "importing"
        # One at once where another process would be told again what this one has seen.
        self.acknowledge_count = ACKNOWLEDGE_COUNT
        self.welcome: m.Welcome | None = None
        self._releases = Releases()

    # --- what the caller asks for ---

    def greet(self) -> None:
        """Queue the hello, the first message of a connection."""
        self.state = advance_connection(self.state, ConnectionEvent.HELLO)
        self._control.append(
            m.Hello(
                oldest=m.OLDEST_VERSION,
                newest=m.PROTOCOL_VERSION,
                session=self.session,
                client=self.client,
                arena=self.arena,
                largest=self.largest,
                locals=self.locals,
                references=self.references,
                debug=self.debug,
            )
        )

    def fits(self, size: int) -> bool:
        """Tell whether the backlog has room for one more command of this size."""
        return self._backlog_gauge.fits(size)

    def submit(self, command: m.Command, *, ready: bool = True, again: bool = False) -> None:
        """Put a command at the end of the backlog.

        Args:
            command: What is to be sent.
            ready: Whether it may leave; else it keeps its place until ``make_ready``.
            again: Whether another worker had it: what was taken once is not refused.

        Raises:
            LocalProtocolError: The connection is closed, or the id is in use.
            QueueFull: The backlog is at its bound; the command was not taken.
        """
        if self.state is ConnectionState.CLOSED:
            raise LocalProtocolError("the connection is closed")
        if command.id in self._entries:
            raise LocalProtocolError(f"command id {command.id} is in use")
        size = size_of(command)
        if not again and not self._backlog_gauge.fits(size):
            raise QueueFull(
                f"the backlog is full ({self._backlog_gauge}): await bridge.drain() before "
                "sending more"
            )
        self._newest = command.id
        entry = Entry(command, size, ready=ready)
        self._backlog_gauge.take(size)
        self._entries[command.id] = entry
        self._backlog.add(entry)

    def make_ready(self, command: m.Command) -> None:
        """Let a command leave that was submitted before it was; its size is known now."""
        entry, size = self._entries[command.id], size_of(command)
        self._backlog_gauge.recount(entry.size, size)
        entry.command, entry.size, entry.ready = command, size, True

    def cancel(self, command_id: int, mode: m.StopMode = "auto", *, lacking: bool = False) -> bool:
        """Take a command back, or stop it; it may be lacking some of its large buffers.

        Returns:
            Whether it had not left, and is finished now; else the worker's answer decides.
        """
        entry = self._entries.get(command_id)
        if entry is None:
            return False
        if entry.state is CommandState.BACKLOG:
            self._backlog.remove(entry)
            self._backlog_gauge.give(entry.size)
            self._finish(command_id, acknowledge=False, answered=False)
            return True
        self._control.append(m.Cancel(id=command_id, mode=mode, lacking=lacking))
        return False

    def want_parts(self, command_id: int) -> bool:
        """Have a command give its value in parts; return False when it has left already."""
        entry = self._entries.get(command_id)
        if entry is None or entry.state is not CommandState.BACKLOG:
            return False
        entry.command = replace(entry.command, parts=True)
        return True

    def fetched(self, command_id: int) -> None:
        """Note that a value's bulk buffers are here, or will never be."""
        self._seen.append(command_id)

    def want_kept(self, command_id: int) -> bool:
        """Have a command's value kept for another one; return False when it has left already."""
        entry = self._entries.get(command_id)
        if entry is None or entry.state is not CommandState.BACKLOG:
            return False
        if not entry.command.keep:
            entry.command = replace(entry.command, keep=HOLD)
        return True

    def release(
        self,
        names: tuple[str, ...] = (),
        *,
        objects: tuple[tuple[int, int], ...] = (),
        commands: tuple[int, ...] = (),
    ) -> None:
        """Queue the release of bindings, and of what was kept, behind every command submitted by now."""
        self._releases.add(self._newest, m.Release(names=names, objects=objects, commands=commands))

    def keep(self, names: Iterable[str]) -> None:
        """Let names stand that a command sets anew: no release sent before it drops them."""
        self._releases.keep(names)

    def control(self, message: m.Message) -> None:
        """Queue a message that passes the commands, such as a ping."""
        self._control.append(message)

    def goodbye(self, reason: str = "") -> None:
        """Queue the last message of the connection."""
        self.state = advance_connection(self.state, ConnectionEvent.GOODBYE)
        self._control.append(m.Goodbye(reason=reason))

    # --- what the peer says ---

    def receive(self, message: m.Message) -> m.Message | None:
        """Take a message from the worker; return it if the caller has something to do for it.

        Raises:
            ConnectError: The worker refused the session.
            ProtocolVersionError: The two sides share no version.
            RemoteProtocolError: A message that the worker may not send now.
        """
        if isinstance(message, m.Refused):
            self._refused(message)
        if isinstance(message, m.Welcome):
            self._welcome(message)
            return message
        if self.state is ConnectionState.CLOSED:  # both ends may say goodbye at once
            return None
        if isinstance(message, m.Goodbye) and self.state is ConnectionState.GREETING:
            raise ConnectError(f"the worker ended the connection: {message.reason}")
        if self.state is not ConnectionState.OPEN:
            raise RemoteProtocolError(
                f"the worker sent {type(message).__name__} before its welcome"
            )
        handler = _HANDLERS.get(type(message))
        if handler is None:
            raise RemoteProtocolError(f"a worker does not send {type(message).__name__}")
        return handler(self, message)

    def lose(self, journal: j.Entry | None = None, *, told: bool = False) -> dict[int, Phase]:
        """Note that the worker is gone.

        Args:
            journal: What its GPU thread had taken up last.
            told: Whether the journal is known to be blank: no command was ever taken up.

        Returns:
            What is known of each unfinished command, by id; all are finished now.
        """
        self.state = advance_connection(self.state, ConnectionEvent.LOST)
        if journal is not None and journal.session != session_digest(self.session):
            journal, told = None, False
        lost: dict[int, Phase] = {
            number: self._phase(number, entry, journal, told=told)
            for number, entry in self._entries.items()
        }
        self._entries.clear()
        self._backlog = Levels()
        self._backlog_gauge = Gauge(self._backlog_gauge.bound)
        return lost

    def _phase(self, number: int, entry: Entry, journal: Journal | None, *, told: bool) -> Phase:
        state = CommandState.HALTED if entry.halted else entry.state
        return phase_of(number, state, journal, told=told, ordered=entry.is_ordered)

    # --- what is to be written ---

    def outgoing(self) -> list[m.Message]:
        """Return what may be written now: control messages, releases, and commands behind them."""
        messages, self._control = self._control, []
        if self._window is not None and self.state is ConnectionState.OPEN:
            lowest, releases = self._backlog.lowest, self._releases
            messages.extend(releases.due(lowest() or self._newest + 1))
            messages.extend(self._admit(self._window))
            messages.extend(releases.due(lowest() or self._newest + 1))
        if self._seen and (messages or len(self._seen) >= self.acknowledge_count):
            messages.insert(0, m.Acknowledge(ids=tuple(self._seen)))  # ahead of a goodbye
            self._seen.clear()
        return messages

    def _admit(self, window: Gauge) -> list[m.Message]:
        admitted: list[m.Message] = []
        backlog, plain = self._backlog, self._backlog.plain
        while backlog.ranks:
            first = backlog.first(is_ready)
            if first is None or not window.fits(first.size):
                return admitted
            backlog.remove(first)
            admitted.append(self._leaving(first))
            self._left(first, window)
        while plain and plain[0].ready and window.fits(plain[0].size):
            entry = plain.popleft()
            admitted.append(entry.command)
            self._left(entry, window)
        return admitted

    def _left(self, entry: Entry, window: Gauge) -> None:
        entry.state = advance_command(entry.state, CommandEvent.SEND)
        self._backlog_gauge.give(entry.size)
        window.take(entry.size)

    def _refused(self, message: m.Refused) -> None:
        reason = message.message[:REASON_CHARS]
        if message.code == "taken":
            self.state = advance_connection(self.state, ConnectionEvent.LOST)
            raise SessionTaken(reason)
        if self.state is not ConnectionState.GREETING:
            raise RemoteProtocolError("the worker refused a session that it had welcomed")
        self.state = advance_connection(self.state, ConnectionEvent.REFUSED)
        if message.code == "version":
            raise ProtocolVersionError(reason)
        raise ConnectError(f"the worker refused the session: {reason}")

    def _welcome(self, message: m.Welcome) -> None:
        if not m.OLDEST_VERSION <= message.version <= m.PROTOCOL_VERSION:
            raise ProtocolVersionError(
                f"the worker chose protocol version {message.version}; this client speaks "
                f"{m.OLDEST_VERSION} to {m.PROTOCOL_VERSION}: install matching versions of "
                "asyncbridge"
            )
        if self.state is not ConnectionState.GREETING:
            raise RemoteProtocolError("the worker said welcome twice")
        try:
            window = Bound(count=message.window, size=message.window_bytes)
        except ValueError as error:
            raise RemoteProtocolError(f"the worker's window is of no use: {error}") from None
        self.state = advance_connection(self.state, ConnectionEvent.WELCOME)
        self._window = Gauge(window)
        self.worker_state = message.state
        self.welcome = message

    def _accepted(self, message: m.Accepted) -> m.Message | None:
        for command_id in message.ids:
            self._advance(command_id, CommandEvent.ACCEPT)
        return None

    def _moved(self, message: m.Started | m.Halted | m.Resumed) -> m.Message | None:
        if not self._advance(message.id, _EVENTS[type(message)]):
            known = self.held.moved(message.id, _STATES[type(message)])
            # An earlier client has sent it; whether it is halted concerns this one all the same.
            return message if known or not isinstance(message, m.Started) else None
        self._entries[message.id].halted |= isinstance(message, m.Halted)
        return message

    def _dropped(self, message: m.Dropped) -> m.Message:
        known = tuple(number for number in message.ids if number in self._entries)
        for number in known:
            self._finish(number, acknowledge=True, answered=True)
        return replace(message, ids=known)

    def _outcome(self, message: m.Completed | m.Failed | m.Cancelled) -> m.Message | None:
        entry = self._entries.get(message.id)
        if entry is None:  # a second outcome of the same command: it is observed once
            return None
        if entry.state is CommandState.BACKLOG:
            raise RemoteProtocolError(f"an outcome of command {message.id}, which was not sent")
        # The worker forgets what is acknowledged: a value's bulk buffers must be here before.
        buffers = message.value.buffers if isinstance(message, m.Completed) else ()
        fetching = bool(buffers) and any(isinstance(buffer, m.BulkRef) for buffer in buffers)
        self._finish(message.id, acknowledge=not fetching, answered=True)
        return message

    def _advance(self, command_id: int, event: CommandEvent) -> bool:
        entry = self._entries.get(command_id)
        if entry is None:
            return False
        try:
            entry.state = advance_command(entry.state, event)
        except LocalProtocolError as error:
            raise RemoteProtocolError(f"command {command_id}: {error}") from None
        return True

    def _state_changed(self, message: m.StateChanged) -> m.Message:
        self.worker_state = message.state
        return message

    def _goodbye(self, message: m.Goodbye) -> m.Message:
        self.state = advance_connection(self.state, ConnectionEvent.GOODBYE)
        return message

    def _pass(self, message: m.Message) -> m.Message:
        return message


_EVENTS = {
    m.Started: CommandEvent.START,
    m.Halted: CommandEvent.HALT,
    m.Resumed: CommandEvent.RESUME,
}
_STATES = {
    m.Started: CommandState.RUNNING,
    m.Halted: CommandState.HALTED,
    m.Resumed: CommandState.QUEUED,
}
"""Where a command stands then that nobody here has asked for."""
_PASSED = (
    m.Output, m.Info, m.Pong, m.Progress, m.Digest, m.Placed, m.Returned, m.StreamItem,
    m.StreamTaken, m.Decided, m.QueueReport, m.Kept, m.Advice,
)  # fmt: skip
"""What the caller handles."""
_HANDLERS: dict[type, Callable[[ClientProtocol, Any], m.Message | None]] = {
    m.Accepted: ClientProtocol._accepted,
    **dict.fromkeys(_EVENTS, ClientProtocol._moved),
    m.Dropped: ClientProtocol._dropped,
    m.Completed: ClientProtocol._outcome,
    m.Failed: ClientProtocol._outcome,
    m.Cancelled: ClientProtocol._outcome,
    m.StateChanged: ClientProtocol._state_changed,
    m.Goodbye: ClientProtocol._goodbye,
    m.Withheld: ClientProtocol._withheld,
    m.Holding: ClientProtocol._holding,
    **dict.fromkeys(_PASSED, ClientProtocol._pass),
}

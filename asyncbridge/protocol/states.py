"""What may follow what, as tables; an illegal event is a failed look-up."""

from __future__ import annotations

from enum import Enum, auto

from asyncbridge.errors import LocalProtocolError

__all__ = [
    "COMMAND_TRANSITIONS",
    "CONNECTION_TRANSITIONS",
    "CommandEvent",
    "CommandState",
    "ConnectionEvent",
    "ConnectionState",
    "advance_command",
    "advance_connection",
]


class _Step(Enum):
    """A member of a table: each is equal to itself alone, and hashed as fast as any object."""

    __hash__ = object.__hash__  # that of Enum is written in Python, and asked for by every look-up


class ConnectionState(_Step):
    """Where a connection stands, seen from either end."""

    IDLE = auto()
    GREETING = auto()
    OPEN = auto()
    CLOSED = auto()


class ConnectionEvent(_Step):
    """What moves a connection."""

    HELLO = auto()
    WELCOME = auto()
    REFUSED = auto()
    GOODBYE = auto()
    LOST = auto()


class CommandState(_Step):
    """Where a command stands, as far as this end knows."""

    BACKLOG = auto()
    SENT = auto()
    QUEUED = auto()
    RUNNING = auto()
    HALTED = auto()
    FINISHED = auto()


class CommandEvent(_Step):
    """What moves a command."""

    SEND = auto()
    ACCEPT = auto()
    START = auto()
    HALT = auto()
    RESUME = auto()
    FINISH = auto()


_C, _E = ConnectionState, ConnectionEvent
CONNECTION_TRANSITIONS: dict[ConnectionState, dict[ConnectionEvent, ConnectionState]] = {
    _C.IDLE: {_E.HELLO: _C.GREETING, _E.LOST: _C.CLOSED},
    _C.GREETING: {_E.WELCOME: _C.OPEN, _E.REFUSED: _C.CLOSED, _E.LOST: _C.CLOSED},
    _C.OPEN: {_E.GOODBYE: _C.CLOSED, _E.LOST: _C.CLOSED},
    # Both ends may say goodbye at once, and a loss may follow either.
    _C.CLOSED: {_E.GOODBYE: _C.CLOSED, _E.LOST: _C.CLOSED},
}

_S, _V = CommandState, CommandEvent
COMMAND_TRANSITIONS: dict[CommandState, dict[CommandEvent, CommandState]] = {
    # A command may finish at any point: cancelled in the backlog or the queue, or failed
    # unrun because one that it depends on had failed.
    _S.BACKLOG: {_V.SEND: _S.SENT, _V.FINISH: _S.FINISHED},
    _S.SENT: {_V.ACCEPT: _S.QUEUED, _V.FINISH: _S.FINISHED},
    _S.QUEUED: {_V.START: _S.RUNNING, _V.FINISH: _S.FINISHED},
    _S.RUNNING: {_V.HALT: _S.HALTED, _V.FINISH: _S.FINISHED},
    # It has failed, and somebody decides whether that stands, or it runs once more.
    _S.HALTED: {_V.RESUME: _S.QUEUED, _V.FINISH: _S.FINISHED},
    _S.FINISHED: {},
}


def advance_connection(state: ConnectionState, event: ConnectionEvent) -> ConnectionState:
    """Return the connection's next state, or raise ``LocalProtocolError``."""
    try:
        return CONNECTION_TRANSITIONS[state][event]
    except KeyError:
        raise _illegal("connection", state, event) from None


def advance_command(state: CommandState, event: CommandEvent) -> CommandState:
    """Return the command's next state, or raise ``LocalProtocolError``."""
    try:
        return COMMAND_TRANSITIONS[state][event]
    except KeyError:
        raise _illegal("command", state, event) from None


def _illegal(what: str, state: Enum, event: Enum) -> LocalProtocolError:
    return LocalProtocolError(f"a {what} that is {state.name} does not take {event.name}")

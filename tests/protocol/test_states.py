"""The transition tables, row by row."""

from __future__ import annotations

from itertools import product

import pytest

from asyncbridge.errors import LocalProtocolError
from asyncbridge.protocol.states import (
    COMMAND_TRANSITIONS,
    CONNECTION_TRANSITIONS,
    CommandEvent,
    CommandState,
    ConnectionEvent,
    ConnectionState,
    advance_command,
    advance_connection,
)

CS, CE = ConnectionState, ConnectionEvent
LEGAL_CONNECTION = {
    (CS.IDLE, CE.HELLO): CS.GREETING,
    (CS.IDLE, CE.LOST): CS.CLOSED,
    (CS.GREETING, CE.WELCOME): CS.OPEN,
    (CS.GREETING, CE.REFUSED): CS.CLOSED,
    (CS.GREETING, CE.LOST): CS.CLOSED,
    (CS.OPEN, CE.GOODBYE): CS.CLOSED,
    (CS.OPEN, CE.LOST): CS.CLOSED,
    (CS.CLOSED, CE.GOODBYE): CS.CLOSED,
    (CS.CLOSED, CE.LOST): CS.CLOSED,
}
S, E = CommandState, CommandEvent
LEGAL_COMMAND = {
    (S.BACKLOG, E.SEND): S.SENT,
    (S.BACKLOG, E.FINISH): S.FINISHED,
    (S.SENT, E.ACCEPT): S.QUEUED,
    (S.SENT, E.FINISH): S.FINISHED,
    (S.QUEUED, E.START): S.RUNNING,
    (S.QUEUED, E.FINISH): S.FINISHED,
    (S.RUNNING, E.HALT): S.HALTED,
    (S.RUNNING, E.FINISH): S.FINISHED,
    (S.HALTED, E.RESUME): S.QUEUED,
    (S.HALTED, E.FINISH): S.FINISHED,
}


@pytest.mark.parametrize(("state", "event"), [*product(CS, CE)])
def test_connection(state: ConnectionState, event: ConnectionEvent) -> None:
    """A connection takes the legal events, and refuses every other one by name."""
    if (state, event) in LEGAL_CONNECTION:
        assert advance_connection(state, event) is LEGAL_CONNECTION[state, event]
        return
    with pytest.raises(LocalProtocolError) as caught:
        advance_connection(state, event)
    assert str(caught.value) == f"a connection that is {state.name} does not take {event.name}"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("state", "event"), [*product(S, E)])
def test_command(state: CommandState, event: CommandEvent) -> None:
    """A command takes the legal events, and refuses every other one by name."""
    if (state, event) in LEGAL_COMMAND:
        assert advance_command(state, event) is LEGAL_COMMAND[state, event]
        return
    with pytest.raises(LocalProtocolError) as caught:
        advance_command(state, event)
    assert str(caught.value) == f"a command that is {state.name} does not take {event.name}"
    assert caught.value.__suppress_context__


def test_tables_are_complete() -> None:
    """Every state has its row."""
    assert set(CONNECTION_TRANSITIONS) == set(CS)
    assert set(COMMAND_TRANSITIONS) == set(S)


def test_any_connection_can_be_lost() -> None:
    """A loss closes a connection, wherever it stands."""
    assert {advance_connection(state, CE.LOST) for state in CS} == {CS.CLOSED}


def test_any_unfinished_command_can_finish() -> None:
    """Commands finish from every state but the last, and nothing follows it."""
    unfinished = set(S) - {S.FINISHED}
    assert {advance_command(state, E.FINISH) for state in unfinished} == {S.FINISHED}
    assert COMMAND_TRANSITIONS[S.FINISHED] == {}

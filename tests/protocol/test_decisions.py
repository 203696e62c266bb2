"""Errors that halt, at both ends of the protocol."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asyncbridge.errors import RemoteProtocolError
from asyncbridge.protocol.client import ClientProtocol
from asyncbridge.protocol.journal import Entry, session_digest
from asyncbridge.protocol.messages import (
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    Accepted,
    Acknowledge,
    Command,
    Completed,
    Decide,
    Decided,
    Dropped,
    Failed,
    Fault,
    Halted,
    Halting,
    Hello,
    Message,
    Payload,
    Resumed,
    Started,
    Welcome,
)
from asyncbridge.protocol.states import CommandState
from asyncbridge.protocol.worker import WorkerProtocol

FAULT = Fault(type="ValueError", message="no")
HALTED = Halted(id=1, error="e-1", epoch=1, fault=FAULT)
RESUMED = Resumed(id=1, error="e-1", epoch=1)


def client(*numbers: int) -> ClientProtocol:
    """Return a client that has sent commands, of which the first runs."""
    protocol = ClientProtocol(session="s")
    protocol.greet()
    protocol.receive(
        Welcome(
            version=PROTOCOL_VERSION, incarnation="i", window=9, window_bytes=1000,
            frame_bytes=1 << 20, state="ready",
        )
    )  # fmt: skip
    for number in numbers:
        protocol.submit(Command(id=number, code="1"))
    protocol.outgoing()
    protocol.receive(Accepted(ids=numbers))
    protocol.receive(Started(id=numbers[0]))
    return protocol


def worker(*numbers: int) -> WorkerProtocol:
    """Return a worker's side that has taken commands, of which the first runs."""
    protocol = WorkerProtocol(incarnation="i")
    hello = Hello(oldest=OLDEST_VERSION, newest=PROTOCOL_VERSION, session="s")
    sent: list[Message] = [hello, *(Command(id=number, code="1") for number in numbers)]
    for message in sent:
        protocol.receive(message, worker_state="ready")
    protocol.started(numbers[0])
    protocol.outgoing()
    return protocol


def test_a_halted_command_runs_again() -> None:
    """The client sees it halted, queued, running and finished."""
    protocol = client(1)
    assert protocol.receive(HALTED) == HALTED
    assert protocol.command_state(1) is CommandState.HALTED
    assert protocol.receive(RESUMED) == RESUMED
    assert protocol.command_state(1) is CommandState.QUEUED
    protocol.receive(Started(id=1))
    assert protocol.command_state(1) is CommandState.RUNNING
    assert protocol.receive(Completed(id=1, value=Payload(header=None))) is not None
    assert protocol.unfinished == 0


@pytest.mark.parametrize(
    "outcome", [Completed(id=1, value=Payload(header=None)), Failed(id=1, fault=FAULT)], ids=repr
)
def test_a_halted_command_ends(outcome: Message) -> None:
    """It may have any outcome, without running again."""
    protocol = client(1)
    protocol.receive(HALTED)
    assert protocol.receive(outcome) == outcome
    assert protocol.unfinished == 0


def test_only_what_runs_halts() -> None:
    """And only what is halted is resumed: else the worker breaks the protocol."""
    protocol = client(1, 2)
    with pytest.raises(RemoteProtocolError, match="QUEUED does not take HALT"):
        protocol.receive(Halted(id=2, error="e-1", epoch=1, fault=FAULT))
    with pytest.raises(RemoteProtocolError, match="RUNNING does not take RESUME"):
        protocol.receive(RESUMED)


def test_a_halt_of_a_command_that_is_not_known_is_passed_on() -> None:
    """An earlier client of the session has sent it, and the rest waits behind it all the same."""
    protocol = client(1)
    for message in (replace(HALTED, id=9), replace(RESUMED, id=9)):
        assert protocol.receive(message) == message


def test_dropped_commands_are_finished() -> None:
    """Those that the client still knows; they are acknowledged, and their room is free."""
    protocol = client(1, 2, 3)
    protocol.receive(HALTED)
    dropped = Dropped(ids=(2, 3, 7), because=1, error="e-1")
    assert protocol.receive(dropped) == Dropped(ids=(2, 3), because=1, error="e-1")
    assert protocol.unfinished == 1
    protocol.submit(Command(id=4, code="1"))
    assert protocol.outgoing() == [Acknowledge(ids=(2, 3)), Command(id=4, code="1")]


def test_the_answer_to_a_decision_passes() -> None:
    """Whoever decided looks at it."""
    answer = Decided(number=3, refusal="no")
    assert client(1).receive(answer) == answer


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("finished", [False, True])
def test_a_halted_command_had_started(resumed: bool, finished: bool) -> None:
    """Whatever the journal says, which may speak of the run before the halt."""
    protocol = client(1, 2)
    protocol.receive(HALTED)
    if resumed:
        protocol.receive(RESUMED)
    entry = Entry(session=session_digest("s"), command_id=1, finished=finished)
    assert protocol.lose(entry) == {1: "started", 2: "not_started"}


def test_the_worker_keeps_a_halted_command() -> None:
    """It is unfinished, tells of each step, and may run once more."""
    protocol = worker(1, 2)
    protocol.halted(HALTED)
    protocol.resumed(RESUMED)
    protocol.started(1)
    assert protocol.outgoing() == [HALTED, RESUMED, Started(id=1)]
    assert protocol.unfinished == 2


def test_the_worker_drops_commands() -> None:
    """They are finished."""
    protocol = worker(1, 2, 3)
    protocol.halted(HALTED)
    protocol.failed(1, FAULT)
    dropped = Dropped(ids=(2, 3), because=1, error="e-1")
    protocol.dropped(dropped)
    assert protocol.outgoing() == [HALTED, Failed(id=1, fault=FAULT), dropped]
    assert protocol.unfinished == 0


@pytest.mark.parametrize(
    "message", [Halting(on=True), Decide(number=1, error="e-1", kind="raise")], ids=repr
)
def test_what_the_client_says_of_halts_passes(message: Message) -> None:
    """The caller handles it."""
    assert worker(1).receive(message, worker_state="ready") == message

"""The worker's core: what it takes, what it tells, and whom it blames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.errors import LocalProtocolError, RemoteProtocolError
from asyncbridge.protocol.limits import FRAME_BYTES, Bound
from asyncbridge.protocol.messages import (
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    Accepted,
    Acknowledge,
    Cancel,
    Cancelled,
    Command,
    Completed,
    Failed,
    Fault,
    Goodbye,
    Hello,
    InfoRequest,
    Message,
    Output,
    Payload,
    Ping,
    Pong,
    Progress,
    Refused,
    Release,
    Started,
    StateChanged,
    Welcome,
)
from asyncbridge.protocol.notices import OUTPUT_KEPT
from asyncbridge.protocol.states import ConnectionState
from asyncbridge.protocol.worker import WorkerProtocol

NOTHING = Payload(header=None)
FAULT = Fault(type="ValueError", message="no")
HELLO = Hello(oldest=OLDEST_VERSION, newest=PROTOCOL_VERSION, session="s")


def take(worker: WorkerProtocol, *messages: Message) -> list[Message | None]:
    """Receive messages, one after another."""
    return [worker.receive(message, worker_state="ready") for message in messages]


def opened(*, window: Bound | None = None) -> WorkerProtocol:
    """Return a worker's side that has welcomed its client, the welcome written."""
    worker = WorkerProtocol(incarnation="one", window=window or Bound(count=4, size=1000))
    take(worker, HELLO)
    worker.outgoing()
    return worker


def command(number: int, code: str = "1") -> Command:
    """Return a small command."""
    return Command(id=number, code=code)


def text_of(messages: list[Message]) -> str:
    """Return the output's text among the messages."""
    return "".join(message.text for message in messages if isinstance(message, Output))


# --- the greeting ------------------------------------------------------------------------


def test_welcome() -> None:
    """The welcome tells the version, the incarnation, the limits and the worker's state."""
    worker = WorkerProtocol(incarnation="one", window=Bound(count=3, size=50))
    assert worker.receive(HELLO, worker_state="importing") is HELLO
    assert worker.outgoing() == [
        Welcome(
            version=PROTOCOL_VERSION,
            incarnation="one",
            window=3,
            window_bytes=50,
            frame_bytes=FRAME_BYTES,
            state="importing",
        )
    ]
    assert (worker.state, worker.session) == (ConnectionState.OPEN, "s")


def test_the_newest_shared_version() -> None:
    """A newer client gets the worker's newest version."""
    worker = WorkerProtocol(incarnation="one")
    take(worker, Hello(oldest=1, newest=PROTOCOL_VERSION + 5, session="s"))
    (answer,) = worker.outgoing()
    assert isinstance(answer, Welcome)
    assert answer.version == PROTOCOL_VERSION


@pytest.mark.parametrize(
    ("oldest", "newest"), [(PROTOCOL_VERSION + 1, PROTOCOL_VERSION + 2), (-1, OLDEST_VERSION - 1)]
)
def test_no_shared_version(oldest: int, newest: int) -> None:
    """A client of other versions is refused, with both ranges in the text."""
    worker = WorkerProtocol(incarnation="one")
    take(worker, Hello(oldest=oldest, newest=newest, session="s"))
    (answer,) = worker.outgoing()
    assert isinstance(answer, Refused)
    assert answer.code == "version"
    assert f"versions {oldest} to {newest}" in answer.message
    assert f"{OLDEST_VERSION} to {PROTOCOL_VERSION}" in answer.message
    assert worker.state is ConnectionState.CLOSED


def test_a_session_that_is_taken() -> None:
    """A second connection of a session is refused, and takes nothing from the first."""
    worker = WorkerProtocol(incarnation="one")
    worker.receive(HELLO, worker_state="ready", taken={"s"})
    assert worker.outgoing() == [
        Refused(code="session", message="session 's' is connected already")
    ]
    assert (worker.state, worker.session) == (ConnectionState.CLOSED, "")


def test_hello_twice() -> None:
    """A second hello breaks the protocol."""
    worker = opened()
    with pytest.raises(RemoteProtocolError, match="hello twice"):
        take(worker, HELLO)


@pytest.mark.parametrize("message", [command(1), Ping(nonce=1), Goodbye(), Acknowledge(ids=())])
def test_before_the_hello(message: Message) -> None:
    """A client says nothing before its hello."""
    worker = WorkerProtocol(incarnation="one")
    with pytest.raises(RemoteProtocolError, match=f"{type(message).__name__} .* IDLE, not OPEN"):
        take(worker, message)


def test_the_welcome_leaves_first() -> None:
    """What a client sends right behind its hello is answered after the welcome."""
    worker = WorkerProtocol(incarnation="one")
    take(worker, HELLO, command(1))
    assert [type(message) for message in worker.outgoing()] == [Welcome, Accepted]


# --- commands ----------------------------------------------------------------------------


def test_commands_are_accepted_together() -> None:
    """Commands that come in one turn share one notification, ahead of what became of them."""
    worker = opened()
    assert take(worker, command(1), command(2)) == [command(1), command(2)]
    worker.started(1)
    assert worker.is_queued(2)
    assert not worker.is_queued(1)
    assert worker.outgoing() == [Accepted(ids=(1, 2)), Started(id=1)]
    assert worker.outgoing() == []


def test_what_became_of_them() -> None:
    """Each outcome is told once, and ends its command."""
    worker = opened()
    take(worker, command(1), command(2), command(3), command(4))
    worker.outgoing()
    worker.started(1)
    worker.completed(1, NOTHING)
    worker.cancelled(2)
    worker.failed(3, FAULT)
    worker.failed(4, FAULT, because=3)
    assert worker.unfinished == 0
    assert worker.outgoing() == [
        Started(id=1),
        Completed(id=1, value=NOTHING),
        Cancelled(id=2),
        Failed(id=3, fault=FAULT),
        Failed(id=4, fault=FAULT, because=3),
    ]


def test_started_once() -> None:
    """The caller cannot start a command twice."""
    worker = opened()
    take(worker, command(1))
    worker.started(1)
    with pytest.raises(LocalProtocolError, match="RUNNING does not take START"):
        worker.started(1)


def test_ids_count_from_one() -> None:
    """An id below one is no client's of ours: the connection is not to be trusted."""
    worker = opened()
    with pytest.raises(RemoteProtocolError, match="command id 0: they count from 1"):
        take(worker, command(0))


def test_ids_may_leap() -> None:
    """Ids that are left out were cancelled before they left the client."""
    worker = opened()
    take(worker, command(1), command(40))
    assert worker.unfinished == 2


def test_bindings_over_the_limit() -> None:
    """A client that was told of it and sends them breaks the protocol."""
    worker = opened()
    worker.largest = 10
    small, large = (Payload(header=None, size=size) for size in (10, 11))
    take(worker, Command(id=1, code="1", bindings=small))
    with pytest.raises(RemoteProtocolError, match="bindings of 11 bytes; the limit is 10"):
        take(worker, Command(id=2, code="1", bindings=large, aside=True))


def test_beyond_the_window_by_count() -> None:
    """A command more than the window holds breaks the protocol, and is not taken."""
    worker = opened(window=Bound(count=2, size=100))
    take(worker, command(1), command(2))
    with pytest.raises(RemoteProtocolError, match="command 3 of 1 bytes is beyond the window"):
        take(worker, command(3))
    assert worker.unfinished == 2


def test_beyond_the_window_by_bytes() -> None:
    """So does one that brings more bytes than the window holds."""
    worker = opened(window=Bound(count=9, size=10))
    take(worker, command(1, "x" * 6))
    with pytest.raises(RemoteProtocolError, match="command 2 of 5 bytes"):
        take(worker, command(2, "x" * 5))


def test_an_outcome_makes_room() -> None:
    """The window opens again with each outcome."""
    worker = opened(window=Bound(count=1, size=10))
    take(worker, command(1, "x" * 10))
    worker.cancelled(1)
    take(worker, command(2, "x" * 10))
    assert worker.unfinished == 1


@pytest.mark.parametrize(
    "message",
    [Cancel(id=1), InfoRequest(id=1), Release(names=("a",)), Acknowledge(ids=(1,)), Goodbye()],
)
def test_what_the_caller_looks_at(message: Message) -> None:
    """Other messages go to the caller as they are."""
    assert take(opened(), message) == [message]


def test_ping() -> None:
    """A ping is answered without the caller."""
    worker = opened()
    assert take(worker, Ping(nonce=9)) == [None]
    assert worker.outgoing() == [Pong(nonce=9)]


@pytest.mark.parametrize("message", [Pong(nonce=1), Started(id=1), StateChanged(state="ready")])
def test_a_workers_message_from_the_client(message: Message) -> None:
    """A client that sends what only workers send breaks the protocol."""
    with pytest.raises(
        RemoteProtocolError, match=f"a client does not send {type(message).__name__}"
    ):
        take(opened(), message)


# --- the end -----------------------------------------------------------------------------


def test_goodbye() -> None:
    """After the client's goodbye nothing more is taken, nor told."""
    worker = opened()
    take(worker, command(1))
    worker.outgoing()
    take(worker, Goodbye())
    assert worker.state is ConnectionState.CLOSED
    worker.cancelled(1)
    assert worker.outgoing() == []
    assert worker.unfinished == 0
    with pytest.raises(RemoteProtocolError, match="CLOSED, not OPEN"):
        take(worker, Ping(nonce=1))


def test_lost() -> None:
    """Nothing is queued for a client that is gone; its commands can still be brought to an end."""
    worker = opened()
    take(worker, command(1))
    worker.outgoing()
    worker.lose()
    worker.started(1)
    worker.completed(1, NOTHING)
    worker.notify(Output(id=1, stream="stdout", text="t"))
    assert worker.outgoing() == []
    assert worker.unfinished == 0


# --- progress ----------------------------------------------------------------------------


def reported(number: int, value: object, *, transient: bool = False) -> Progress:
    """Return a report of a command."""
    return Progress(id=number, value=Payload(header=value), transient=transient)


def test_progress_that_passes_is_told_once() -> None:
    """The newest of each command, behind what stays; a client that reads late gets no more."""
    worker = opened()
    take(worker, command(1))
    worker.outgoing()
    for number in range(1000):
        worker.notify(reported(1, number, transient=True))
    worker.notify(reported(2, "of another", transient=True))
    assert worker.outgoing() == [
        reported(1, 999, transient=True), reported(2, "of another", transient=True),
    ]  # fmt: skip
    assert worker.outgoing() == []


def test_progress_that_stays_makes_needless_what_passed_before() -> None:
    """An epoch has ended: nobody wants its last batch any more."""
    worker = opened()
    take(worker, command(1))
    worker.outgoing()
    worker.notify(reported(1, "batch", transient=True))
    worker.notify(reported(1, "epoch"))
    worker.notify(reported(1, "next", transient=True))
    assert worker.outgoing() == [reported(1, "epoch"), reported(1, "next", transient=True)]


def test_progress_that_nobody_reads_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound the reports held so far go; other notifications stay."""
    monkeypatch.setattr("asyncbridge.protocol.notices.PROGRESS_KEPT", 3)
    worker = opened()
    take(worker, command(1))
    worker.outgoing()
    worker.started(1)
    for number in range(5):
        worker.notify(reported(1, number))
    assert worker.outgoing() == [Started(id=1), reported(1, 3), reported(1, 4)]
    for number in range(3):
        worker.notify(reported(1, number))
    assert len(worker.outgoing()) == 3


def test_no_progress_comes_behind_the_outcome() -> None:
    """What passed is forgotten with the command."""
    worker = opened()
    take(worker, command(1))
    worker.outgoing()
    worker.started(1)
    worker.notify(reported(1, "batch", transient=True))
    worker.completed(1, NOTHING)
    assert worker.outgoing() == [Started(id=1), Completed(id=1, value=NOTHING)]


# --- output ------------------------------------------------------------------------------


def test_output_is_told_in_order() -> None:
    """Output stands where it was printed, between the other notifications."""
    worker = opened()
    take(worker, command(1))
    worker.outgoing()
    worker.started(1)
    printed = Output(id=1, stream="stdout", text="one\n")
    worker.notify(printed)
    worker.completed(1, NOTHING)
    assert worker.outgoing() == [Started(id=1), printed, Completed(id=1, value=NOTHING)]


def test_output_that_nobody_reads_is_dropped() -> None:
    """Past the bound the oldest output goes; the next piece says how much, outcomes stay."""
    worker = opened()
    take(worker, command(1))
    worker.outgoing()
    worker.notify(Output(id=1, stream="stdout", text="a" * OUTPUT_KEPT))
    worker.completed(1, NOTHING)
    worker.notify(Output(id=1, stream="stdout", text="b"))
    worker.notify(Output(id=1, stream="stdout", text="c"))
    assert worker.outgoing() == [
        Completed(id=1, value=NOTHING),
        Output(id=1, stream="stdout", text="b", dropped=OUTPUT_KEPT),
        Output(id=1, stream="stdout", text="c"),
    ]


def test_dropped_again() -> None:
    """What was dropped before is counted on when its bearer is dropped too."""
    worker = opened()
    half = OUTPUT_KEPT // 2 + 1
    for text in ("a", "b", "c"):
        worker.notify(Output(id=None, stream="stderr", text=text * half))
    assert worker.outgoing() == [
        Output(id=None, stream="stderr", text="c" * half, dropped=2 * half)
    ]


def test_a_reader_starts_the_count_anew() -> None:
    """What was written does not count as held."""
    worker = opened()
    for _ in range(3):
        worker.notify(Output(id=None, stream="stdout", text="a" * OUTPUT_KEPT))
        (only,) = worker.outgoing()
        assert only == Output(id=None, stream="stdout", text="a" * OUTPUT_KEPT)


@given(st.lists(st.one_of(st.none(), st.integers(1, OUTPUT_KEPT)), max_size=12))
def test_no_output_is_lost_unseen(steps: list[int | None]) -> None:
    """What is told and what is said to be dropped add up to what was printed, within the bound."""
    worker = opened()
    printed = told = dropped = 0
    for size in [*steps, 1, None]:
        if size is not None:
            worker.notify(Output(id=None, stream="stdout", text="x" * size))
            printed += size
            continue
        messages = worker.outgoing()
        assert len(text_of(messages)) <= OUTPUT_KEPT
        told += len(text_of(messages))
        dropped += sum(message.dropped for message in messages if isinstance(message, Output))
    assert told + dropped == printed

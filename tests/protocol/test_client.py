"""The client's core: what it sends, what it takes, and whom it blames."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asyncbridge.errors import (
    ConnectError,
    LocalProtocolError,
    Phase,
    ProtocolVersionError,
    QueueFull,
    RemoteProtocolError,
)
from asyncbridge.protocol.client import ACKNOWLEDGE_COUNT, ClientProtocol
from asyncbridge.protocol.journal import Entry, session_digest
from asyncbridge.protocol.keeping import HOLD, STAY
from asyncbridge.protocol.limits import DEFAULT_BACKLOG, Bound, size_of
from asyncbridge.protocol.messages import (
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    Accepted,
    Acknowledge,
    Advice,
    BulkRef,
    Cancel,
    Cancelled,
    Command,
    Completed,
    Failed,
    Fault,
    Goodbye,
    Hello,
    Info,
    Kept,
    Message,
    Output,
    Payload,
    Ping,
    Pong,
    Refused,
    Release,
    Started,
    StateChanged,
    Welcome,
    WorkerState,
)
from asyncbridge.protocol.states import CommandState, ConnectionState

NOTHING = Payload(header=None)
FAULT = Fault(type="ValueError", message="no")


def welcome(
    *,
    window: int = 4,
    window_bytes: int = 1000,
    version: int = PROTOCOL_VERSION,
    state: WorkerState = "ready",
) -> Welcome:
    """Return a worker's welcome."""
    return Welcome(
        version=version,
        incarnation="one",
        window=window,
        window_bytes=window_bytes,
        frame_bytes=1 << 20,
        state=state,
    )


def opened(
    *, window: int = 4, window_bytes: int = 1000, backlog: Bound = DEFAULT_BACKLOG
) -> ClientProtocol:
    """Return a client that has been welcomed, its hello written."""
    client = ClientProtocol(session="s", client="me", backlog=backlog)
    client.greet()
    client.outgoing()
    client.receive(welcome(window=window, window_bytes=window_bytes))
    return client


def command(number: int, code: str = "1") -> Command:
    """Return a small command."""
    return Command(id=number, code=code)


def submit(client: ClientProtocol, *numbers: int) -> None:
    """Submit small commands."""
    for number in numbers:
        client.submit(command(number))


def ids(messages: list[Message]) -> list[int]:
    """Return the ids of the commands among the messages."""
    return [message.id for message in messages if isinstance(message, Command)]


def run(client: ClientProtocol, number: int) -> None:
    """Take a command that was sent as far as its start."""
    client.receive(Accepted(ids=(number,)))
    client.receive(Started(id=number))


# --- the greeting ------------------------------------------------------------------------


def test_hello() -> None:
    """The hello is the first message, with the versions, the session and the client's name."""
    client = ClientProtocol(session="s", client="me")
    client.greet()
    assert client.state is ConnectionState.GREETING
    assert client.outgoing() == [
        Hello(
            oldest=OLDEST_VERSION,
            newest=PROTOCOL_VERSION,
            session="s",
            client="me",
            references=True,
        )
    ]
    assert client.outgoing() == []


def test_nothing_is_sent_before_the_welcome() -> None:
    """Commands that are submitted early wait for the window that the welcome brings."""
    client = ClientProtocol(session="s")
    submit(client, 1)
    client.greet()
    submit(client, 2)
    assert ids(client.outgoing()) == []
    client.receive(welcome())
    assert ids(client.outgoing()) == [1, 2]


def test_welcome_is_kept() -> None:
    """The welcome goes to the caller, and tells the worker's state."""
    client = ClientProtocol(session="s")
    client.greet()
    message = welcome(state="importing")
    assert client.receive(message) is message
    assert client.welcome is message
    assert client.worker_state == "importing"
    assert client.state is ConnectionState.OPEN


def test_greeting_twice_is_this_sides_fault() -> None:
    """A second hello is refused, and not queued."""
    client = opened()
    with pytest.raises(LocalProtocolError, match="OPEN does not take HELLO"):
        client.greet()
    assert client.outgoing() == []


@pytest.mark.parametrize("version", [OLDEST_VERSION - 1, PROTOCOL_VERSION + 1])
def test_a_version_that_was_not_offered(version: int) -> None:
    """A welcome in another version is refused with both ranges in the text."""
    client = ClientProtocol(session="s")
    client.greet()
    with pytest.raises(ProtocolVersionError, match=f"version {version}; this client speaks"):
        client.receive(welcome(version=version))
    assert client.state is ConnectionState.GREETING


def test_a_second_welcome() -> None:
    """A worker that says welcome twice breaks the protocol."""
    client = opened()
    with pytest.raises(RemoteProtocolError, match="welcome twice"):
        client.receive(welcome())


def test_a_welcome_without_a_hello() -> None:
    """A worker that speaks first breaks the protocol."""
    with pytest.raises(RemoteProtocolError):
        ClientProtocol(session="s").receive(welcome())


@pytest.mark.parametrize(("window", "window_bytes"), [(0, 100), (3, 0), (-1, -1)])
def test_a_window_of_nothing(window: int, window_bytes: int) -> None:
    """A welcome whose window lets no command through is the worker's fault."""
    client = ClientProtocol(session="s")
    client.greet()
    with pytest.raises(RemoteProtocolError, match="window"):
        client.receive(welcome(window=window, window_bytes=window_bytes))


def test_refused_for_the_version() -> None:
    """The worker's text about versions reaches the user as it is, and the connection is over."""
    client = ClientProtocol(session="s")
    client.greet()
    with pytest.raises(ProtocolVersionError, match=r"^the text$"):
        client.receive(Refused(code="version", message="the text"))
    assert client.state is ConnectionState.CLOSED


@pytest.mark.parametrize("code", ["session", "protocol"])
def test_refused_for_another_reason(code: str) -> None:
    """Any other refusal is a failed connection."""
    client = ClientProtocol(session="s")
    client.greet()
    with pytest.raises(ConnectError, match="refused the session: taken") as caught:
        client.receive(Refused(code=code, message=f"taken{100_000 * '!'}"))  # type: ignore[arg-type] # of the literals
    assert client.state is ConnectionState.CLOSED
    assert len(str(caught.value)) < 400


def test_refused_once_welcomed() -> None:
    """A worker that refuses a session it has welcomed breaks the protocol."""
    client = opened()
    with pytest.raises(RemoteProtocolError):
        client.receive(Refused(code="session", message="changed my mind"))


@pytest.mark.parametrize(
    "message",
    [Accepted(ids=()), Started(id=1), Pong(nonce=1), StateChanged(state="ready")],
)
def test_before_the_welcome(message: Message) -> None:
    """A worker says nothing else before its welcome."""
    client = ClientProtocol(session="s")
    client.greet()
    with pytest.raises(RemoteProtocolError, match=f"{type(message).__name__} before its welcome"):
        client.receive(message)


def test_goodbye_instead_of_a_welcome() -> None:
    """A worker that ends the connection before its welcome is told of with its reason."""
    client = ClientProtocol(session="s")
    client.greet()
    with pytest.raises(ConnectError, match="it was told to stop"):
        client.receive(Goodbye(reason="it was told to stop"))


# --- submitting --------------------------------------------------------------------------


def test_commands_leave_in_order() -> None:
    """Commands leave in the order of their submission, one window at a time."""
    client = opened(window=2)
    submit(client, 1, 2, 3, 4, 5)
    assert ids(client.outgoing()) == [1, 2]
    assert ids(client.outgoing()) == []
    run(client, 1)
    client.receive(Completed(id=1, value=NOTHING))
    assert ids(client.outgoing()) == [3]
    client.receive(Cancelled(id=2))
    client.receive(Failed(id=3, fault=FAULT))
    assert ids(client.outgoing()) == [4, 5]


def test_the_window_counts_bytes() -> None:
    """A command that does not fit holds back all that come after it."""
    client = opened(window_bytes=10)
    client.submit(command(1, "x" * 6))
    client.submit(command(2, "x" * 5))
    client.submit(command(3, "x"))
    assert ids(client.outgoing()) == [1]
    client.receive(Cancelled(id=1))
    assert ids(client.outgoing()) == [2, 3]


def test_a_command_larger_than_the_window() -> None:
    """A single command of any size passes, alone."""
    client = opened(window_bytes=10)
    client.submit(command(1, "x" * 100))
    client.submit(command(2))
    assert ids(client.outgoing()) == [1]
    client.receive(Cancelled(id=1))
    assert ids(client.outgoing()) == [2]


def test_size_of() -> None:
    """A command counts for its source and its bindings."""
    bindings = Payload(header={}, size=30)
    assert size_of(command(1, "abcd")) == 4
    assert size_of(Command(id=1, code="abcd", bindings=bindings)) == 34


def test_the_backlog_is_full() -> None:
    """A command over the backlog's bound is not taken; the text says what to do."""
    client = opened(window=1, backlog=Bound(count=2, size=100))
    submit(client, 1, 2)
    assert not client.fits(1)
    with pytest.raises(QueueFull, match=r"full \(2 of 2 commands, .*await bridge.drain\(\)"):
        client.submit(command(3))
    assert client.unfinished == 2
    client.outgoing()
    assert client.backlogged == 1
    assert client.fits(1)
    client.submit(command(3))
    assert client.command_state(3) is CommandState.BACKLOG


def test_the_backlog_counts_bytes() -> None:
    """The backlog's bytes are given back when a command leaves or is cancelled."""
    client = opened(backlog=Bound(count=9, size=10))
    client.submit(command(1, "x" * 8))
    assert not client.fits(3)
    client.cancel(1)
    client.submit(command(2, "x" * 8))
    client.outgoing()
    assert client.fits(10)


def test_an_id_in_use() -> None:
    """An id stands for one unfinished command."""
    client = opened()
    submit(client, 1)
    with pytest.raises(LocalProtocolError, match="id 1 is in use"):
        client.submit(command(1))


def test_submit_after_the_end() -> None:
    """A closed connection takes no commands."""
    client = opened()
    client.lose()
    with pytest.raises(LocalProtocolError, match="closed"):
        client.submit(command(1))


def test_states_on_the_way() -> None:
    """Each notification moves its command one step."""
    client = opened()
    submit(client, 1)
    assert client.command_state(1) is CommandState.BACKLOG
    client.outgoing()
    assert client.command_state(1) is CommandState.SENT
    assert client.receive(Accepted(ids=(1,))) is None
    assert client.command_state(1) is CommandState.QUEUED
    started = Started(id=1)
    assert client.receive(started) is started
    assert client.command_state(1) is CommandState.RUNNING
    client.receive(Completed(id=1, value=NOTHING))
    assert client.command_state(1) is CommandState.FINISHED
    assert client.unfinished == 0


def test_how_many_are_ahead() -> None:
    """It counts those before it that have not finished."""
    client = opened()
    for number in (1, 2, 3):
        submit(client, number)
    assert [client.ahead_of(number) for number in (1, 2, 3)] == [0, 1, 2]
    client.outgoing()
    client.receive(Accepted(ids=(1,)))
    client.receive(Started(id=1))
    client.receive(Completed(id=1, value=NOTHING))
    assert [client.ahead_of(number) for number in (2, 3)] == [0, 1]


# --- cancelling --------------------------------------------------------------------------


def test_cancelled_in_the_backlog() -> None:
    """A command that has not left is finished at once, and the worker never hears of it."""
    client = opened(window=1)
    submit(client, 1, 2, 3)
    client.outgoing()
    assert client.cancel(2)
    assert client.command_state(2) is CommandState.FINISHED
    assert (client.unfinished, client.backlogged) == (2, 1)
    client.receive(Cancelled(id=1))
    assert client.outgoing() == [Acknowledge(ids=(1,)), command(3)]


def test_cancelled_after_it_left() -> None:
    """The worker is asked, and its answer decides: the command may finish all the same."""
    client = opened()
    submit(client, 1)
    client.outgoing()
    assert not client.cancel(1)
    assert client.outgoing() == [Cancel(id=1)]
    assert client.unfinished == 1
    run(client, 1)
    completed = Completed(id=1, value=NOTHING)
    assert client.receive(completed) is completed


def test_cancelled_when_finished() -> None:
    """There is nothing to take back of a finished or unknown command, and nobody is asked."""
    client = opened()
    assert not client.cancel(7)
    assert client.outgoing() == []


def test_control_messages_pass_commands() -> None:
    """A ping leaves ahead of commands, and while the window is full."""
    client = opened(window=1)
    submit(client, 1, 2)
    client.control(Ping(nonce=5))
    assert client.outgoing() == [Ping(nonce=5), command(1)]
    client.control(Ping(nonce=6))
    assert client.outgoing() == [Ping(nonce=6)]


def test_a_release_stays_behind_commands() -> None:
    """A binding is released after the commands that were submitted before: they may use it."""
    client = opened(window=1)
    submit(client, 1, 2)
    client.release(("b",))
    sent = client.outgoing()
    client.receive(Cancelled(id=1))
    sent += client.outgoing()
    kinds = [type(message) for message in sent if not isinstance(message, Acknowledge)]
    assert kinds == [Command, Command, Release]


def test_a_release_leaves_ahead_of_commands_that_came_later() -> None:
    """They find nothing of it any more, also where all of it is written at once."""
    client = opened()
    submit(client, 1)
    assert [type(message) for message in client.outgoing()] == [Command]
    client.release(("b",))
    submit(client, 2)
    client.release(("c",))
    assert [type(message) for message in client.outgoing()] == [Release, Command, Release]


def test_releases_keep_their_order() -> None:
    """Each is behind the commands that were submitted before it, and ahead of those after it."""
    client = opened()
    submit(client, 1)
    client.release(objects=((7, 2),))
    submit(client, 2)
    client.release(("b",), commands=(1,))
    client.release()
    assert client.outgoing() == [
        command(1),
        command(2),
        Release(objects=((7, 2),)),
        Release(names=("b",), commands=(1,)),
    ]
    assert client.outgoing() == []


def test_a_release_of_objects_stays_behind_a_command_of_another_priority() -> None:
    """One that waits may still use them, though a later command has left."""
    client = opened(window=1)
    submit(client, 1)
    assert ids(client.outgoing()) == [1]
    client.submit(replace(command(2), priority=-1))
    client.release(objects=((7, 1),))
    client.submit(replace(command(3), priority=1))
    client.receive(Completed(id=1, value=NOTHING))
    sent = client.outgoing()
    assert ids(sent) == [3]
    client.receive(Completed(id=3, value=NOTHING))
    sent += client.outgoing()
    kinds = [type(message) for message in sent if not isinstance(message, Acknowledge)]
    assert kinds == [Command, Command, Release]
    assert ids(sent) == [3, 2]


def test_a_name_that_is_set_anew_is_not_released() -> None:
    """What else the same release has goes; one with nothing left is not sent."""
    client = opened(window=1)
    submit(client, 1, 2)
    client.outgoing()
    client.release(("a", "b"), objects=((7, 1),))
    client.release(("b",))
    client.keep(["b"])
    client.receive(Cancelled(id=1))
    sent = client.outgoing()
    releases = [message for message in sent if isinstance(message, Release)]
    assert releases == [Release(names=("a",), objects=((7, 1),))]


# --- values that stay --------------------------------------------------------------------


def test_a_value_that_a_later_command_uses() -> None:
    """A command that has not left says it itself; of one that has, the worker is to be asked."""
    client = opened(window=1)
    submit(client, 1, 2)
    client.outgoing()
    assert not client.want_kept(1)
    assert client.want_kept(2)
    assert not client.want_kept(9)
    client.receive(Cancelled(id=1))
    sent = [message for message in client.outgoing() if isinstance(message, Command)]
    assert sent == [replace(command(2), keep=HOLD)]
    assert not client.want_kept(2)


def test_a_value_that_stays_anyway() -> None:
    """What was said of it when it was sent is more."""
    client = opened(window=1)
    submit(client, 1)
    client.submit(replace(command(2), keep=STAY))
    assert client.want_kept(2)
    client.outgoing()
    client.receive(Cancelled(id=1))
    (sent,) = [message for message in client.outgoing() if isinstance(message, Command)]
    assert sent.keep == STAY


@pytest.mark.parametrize("message", [Kept(id=1, kept=True), Advice(kind="memory", text="much")])
def test_what_the_caller_handles(message: Message) -> None:
    """It comes through as it is."""
    assert opened().receive(message) == message


# --- outcomes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "outcome",
    [Completed(id=1, value=NOTHING), Failed(id=1, fault=FAULT, because=None), Cancelled(id=1)],
)
def test_an_outcome_is_observed_once(outcome: Message) -> None:
    """The first outcome of a command goes to the caller; a second one is let go of."""
    client = opened()
    submit(client, 1)
    client.outgoing()
    assert client.receive(outcome) is outcome
    assert client.receive(outcome) is None
    assert client.receive(Started(id=1)) is None


@pytest.mark.parametrize(
    "message", [Completed(id=1, value=NOTHING), Failed(id=1, fault=FAULT), Cancelled(id=1)]
)
def test_an_outcome_of_what_was_not_sent(message: Message) -> None:
    """A worker cannot know a command that is still in the backlog."""
    client = opened()
    submit(client, 1)
    with pytest.raises(RemoteProtocolError, match="command 1, which was not sent"):
        client.receive(message)
    assert client.unfinished == 1


@pytest.mark.parametrize("message", [Accepted(ids=(1,)), Started(id=1)])
def test_progress_of_what_was_not_sent(message: Message) -> None:
    """A worker cannot accept or start a command that is still in the backlog."""
    client = opened()
    submit(client, 1)
    with pytest.raises(RemoteProtocolError, match="command 1: a command that is BACKLOG"):
        client.receive(message)


def test_started_before_accepted() -> None:
    """A worker that starts what it has not accepted breaks the protocol."""
    client = opened()
    submit(client, 1)
    client.outgoing()
    with pytest.raises(RemoteProtocolError, match="SENT does not take START"):
        client.receive(Started(id=1))


def test_outcomes_are_acknowledged_in_passing() -> None:
    """An acknowledgement rides with the next message, in order of the outcomes."""
    client = opened()
    submit(client, 1, 2)
    client.outgoing()
    client.receive(Cancelled(id=2))
    client.receive(Cancelled(id=1))
    assert client.outgoing() == []
    submit(client, 3)
    assert client.outgoing() == [Acknowledge(ids=(2, 1)), command(3)]
    client.control(Ping(nonce=1))
    assert client.outgoing() == [Ping(nonce=1)]


def test_many_outcomes_are_acknowledged_on_their_own() -> None:
    """The worker need not keep more than a batch of outcomes for a client that sends nothing."""
    count = ACKNOWLEDGE_COUNT
    client = opened(window=count, window_bytes=count)
    submit(client, *range(1, count + 1))
    client.outgoing()
    for number in range(1, count):
        client.receive(Cancelled(id=number))
    assert client.outgoing() == []
    client.receive(Cancelled(id=count))
    assert client.outgoing() == [Acknowledge(ids=tuple(range(1, count + 1)))]
    assert client.outgoing() == []


def test_a_value_is_not_acknowledged_before_it_is_fetched() -> None:
    """The worker drops what is acknowledged, so a value's bulk buffers must be here before."""
    client = opened()
    submit(client, 1)
    client.outgoing()
    value = Payload(header={}, buffers=(BulkRef(id="1-0", size=1 << 20),))
    client.receive(Completed(id=1, value=value))
    submit(client, 2)
    assert client.outgoing() == [command(2)]


@pytest.mark.parametrize(
    "message",
    [
        Output(id=None, stream="stdout", text="t"),
        Info(id=1, info={}),
        Pong(nonce=3),
        StateChanged(state="failed", fault=FAULT),
    ],
)
def test_what_the_caller_looks_at(message: Message) -> None:
    """Other notifications go to the caller as they are."""
    assert opened().receive(message) is message


def test_the_workers_state() -> None:
    """The worker's own state is followed."""
    client = opened()
    client.receive(StateChanged(state="failed", fault=FAULT))
    assert client.worker_state == "failed"


@pytest.mark.parametrize(
    "message", [Ping(nonce=1), Hello(oldest=1, newest=1, session="s"), Cancel(id=1), command(1)]
)
def test_a_clients_message_from_the_worker(message: Message) -> None:
    """A worker that sends what only clients send breaks the protocol."""
    with pytest.raises(
        RemoteProtocolError, match=f"a worker does not send {type(message).__name__}"
    ):
        opened().receive(message)


# --- the end -----------------------------------------------------------------------------


def test_goodbye_is_the_last_message() -> None:
    """Goodbye follows the acknowledgements; commands in the backlog stay there."""
    client = opened(window=1)
    submit(client, 1, 2)
    client.outgoing()
    client.receive(Cancelled(id=1))
    client.goodbye("done")
    assert client.outgoing() == [Acknowledge(ids=(1,)), Goodbye(reason="done")]
    assert client.state is ConnectionState.CLOSED
    assert client.outgoing() == []


def test_goodbye_before_hello() -> None:
    """A goodbye that the state forbids is not queued."""
    client = ClientProtocol(session="s")
    with pytest.raises(LocalProtocolError, match="IDLE does not take GOODBYE"):
        client.goodbye()
    assert client.outgoing() == []


def test_the_worker_says_goodbye() -> None:
    """The worker's goodbye closes the connection; what was on the way after it is let go of."""
    client = opened()
    submit(client, 1)
    client.outgoing()
    goodbye = Goodbye(reason="stopping")
    assert client.receive(goodbye) is goodbye
    assert client.state is ConnectionState.CLOSED
    assert client.receive(Completed(id=1, value=NOTHING)) is None
    assert client.unfinished == 1


def test_both_say_goodbye() -> None:
    """Goodbyes may cross."""
    client = opened()
    client.goodbye()
    assert client.receive(Goodbye()) is None
    assert client.state is ConnectionState.CLOSED


def test_lost() -> None:
    """A loss finishes every command, and tells of each what is known."""
    client = opened(window=2)
    submit(client, 1, 2, 3)
    client.outgoing()
    run(client, 1)
    assert client.lose() == {1: "started", 2: "unknown", 3: "not_started"}
    assert client.state is ConnectionState.CLOSED
    assert (client.unfinished, client.backlogged) == (0, 0)
    assert client.lose() == {}


def lost_with(journal: Entry | None, *, told: bool = True) -> dict[int, Phase]:
    """Return the phases of a running, two sent and one unsent command."""
    client = opened(window=3)
    submit(client, 1, 2, 3, 4)
    client.outgoing()
    run(client, 1)
    return client.lose(journal, told=told)


def test_lost_with_a_journal() -> None:
    """The worker's journal tells what had started, and what had finished unheard."""
    mine = session_digest("s")
    assert lost_with(Entry(session=mine, command_id=2, finished=False, ordered_id=2)) == {
        1: "finished_unreported",
        2: "started",
        3: "not_started",
        4: "not_started",
    }
    assert lost_with(Entry(session=mine, command_id=2, finished=True, ordered_id=2)) == {
        1: "finished_unreported",
        2: "finished_unreported",
        3: "not_started",
        4: "not_started",
    }


def test_lost_with_anothers_journal() -> None:
    """A journal whose last entry is another session's tells nothing of this one."""
    other = Entry(session=session_digest("other"), command_id=2, finished=False)
    assert lost_with(other) == {1: "started", 2: "unknown", 3: "unknown", 4: "not_started"}


def test_lost_with_an_empty_journal() -> None:
    """A journal that could be read and is empty says that nothing ever started."""
    client = opened()
    submit(client, 1)
    client.outgoing()
    assert client.lose(None, told=True) == {1: "not_started"}


def test_a_command_aside_counts_its_code_alone() -> None:
    """Others fit the window and the backlog beside it, however large its value is."""
    large = Payload(header={}, buffers=(BulkRef(id="1-0", size=1 << 40),), size=1 << 40)
    assert size_of(Command(id=1, code="None", bindings=large)) == 4 + (1 << 40)
    assert size_of(Command(id=1, code="None", bindings=large, aside=True)) == 4


@pytest.mark.parametrize(
    ("number", "journal", "phase"),
    [
        (1, Entry(session=b"", command_id=2, finished=True, ordered_id=2), "unknown"),
        (3, Entry(session=b"", command_id=1, finished=False, ordered_id=2), "not_started"),
        (1, Entry(session=b"", command_id=1, finished=False), "started"),
        (1, Entry(session=b"", command_id=1, finished=True), "finished_unreported"),
        (2, Entry(session=b"", command_id=1, finished=False, ordered_id=2), "finished_unreported"),
        (3, Entry(session=b"", command_id=2, finished=True, ordered_id=2), "not_started"),
    ],
)
def test_the_journal_tells_less_beside_a_command_aside(
    number: int, journal: Entry, phase: str
) -> None:
    """Nothing is concluded of it from the order of ids, which is told for the others apart."""
    client = opened()
    for command_id in (1, 2, 3):
        client.submit(Command(id=command_id, code="x", aside=command_id == 1))
    client.outgoing()
    mine = replace(journal, session=session_digest(client.session))
    assert client.lose(mine)[number] == phase


def test_one_that_is_not_ready_keeps_its_place() -> None:
    """Those behind it wait, with their releases; it leaves as it was made ready."""
    client = opened()
    client.submit(command(1), ready=False)
    submit(client, 2)
    client.release(("x",))
    assert client.outgoing() == []
    assert client.command_state(1) is CommandState.BACKLOG
    client.make_ready(command(1, "2"))
    sent = client.outgoing()
    assert ids(sent) == [1, 2]
    assert sent[0] == command(1, "2")
    assert sent[-1] == Release(names=("x",))


def test_one_that_is_not_ready_is_cancelled() -> None:
    """In the client, and those behind it go on."""
    client = opened()
    client.submit(command(1), ready=False)
    submit(client, 2)
    assert client.cancel(1)
    assert ids(client.outgoing()) == [2]

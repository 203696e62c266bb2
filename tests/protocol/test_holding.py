"""A session with a name, both halves: one client goes, another goes on with what it left."""

from __future__ import annotations

import pytest

from asyncbridge.errors import LocalProtocolError, SessionTaken
from asyncbridge.protocol.client import ClientProtocol
from asyncbridge.protocol.holdings import HeldCommand
from asyncbridge.protocol.ledger import Ledger
from asyncbridge.protocol.limits import Bound
from asyncbridge.protocol.messages import (
    Acknowledge,
    Cancel,
    Cancelled,
    Claim,
    Command,
    Completed,
    Detach,
    Dropped,
    Failed,
    Fault,
    Goodbye,
    Halted,
    Hello,
    Holding,
    Message,
    Payload,
    Prioritize,
    Refused,
    Resumed,
    Started,
    Withheld,
)
from asyncbridge.protocol.notices import READ_BYTES
from asyncbridge.protocol.states import CommandState, ConnectionState
from asyncbridge.protocol.worker import HELD_ROWS, WorkerProtocol

VALUE = Payload(header=7, size=1)
HALTED = Halted(id=2, error="e-1", epoch=3, fault=Fault(type="OSError", message="gone"))
RESUMED = Resumed(id=2, error="e-1", epoch=3)


class Pair:
    """A client and a worker's side, between which nothing is lost.

    Args:
        ledger: What the client before has left.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        self.worker = WorkerProtocol(incarnation="w", window=Bound(count=4, size=1000), named=True)
        if ledger is not None:
            self.worker.inherit(ledger)
        self.client = ClientProtocol(session="s")
        self.client.acknowledge_count = 1
        self.wanted: list[Message] = []
        self.heard: list[Message] = []
        self.client.greet()
        self.run()
        self.heard.clear()

    def run(self) -> None:
        """Carry messages until neither side has any."""
        while True:
            there, back = self.client.outgoing(), self.worker.outgoing()
            if not there and not back:
                return
            for message in there:
                wanted = self.worker.receive(message, worker_state="ready")
                if isinstance(wanted, Claim):
                    self.worker.tell_again(wanted.id)
            for message in back:
                if (said := self.client.receive(message)) is not None:
                    self.heard.append(said)

    def send(self, number: int, code: str = "1") -> None:
        """Send a command."""
        self.client.submit(Command(id=number, code=code, label=f"c{number}"))
        self.run()

    def outcomes(self) -> list[int]:
        """Return the ids of the values that the client has had."""
        return [message.id for message in self.heard if isinstance(message, Completed)]


def left() -> Ledger:
    """Return what a client leaves whose commands 1 to 3 have finished, run, and are queued."""
    pair = Pair()
    for number in (1, 2, 3):
        pair.send(number)
    pair.worker.started(1)
    pair.worker.completed(1, VALUE)
    pair.worker.started(2)
    pair.worker.lose()
    return pair.worker.ledger


def test_the_list() -> None:
    """A new client hears what is held, and where ids go on."""
    pair = Pair(left())
    held = pair.client.held
    assert held.complete
    assert held.newest == 3
    assert list(held.commands.values()) == [
        HeldCommand(id=1, label="c1", state="completed"),
        HeldCommand(id=2, label="c2", state="running"),
        HeldCommand(id=3, label="c3", state="queued"),
    ]


def test_the_list_of_a_new_session_is_empty() -> None:
    """It is told all the same: so the client knows that there is nothing."""
    pair = Pair()
    assert (pair.client.held.complete, pair.client.held.commands) == (True, {})


def test_a_long_list_comes_in_parts() -> None:
    """The last of which says that it is."""
    ledger = Ledger()
    for number in range(1, HELD_ROWS + 2):
        ledger.take(Command(id=number, code=""), 0)
        ledger.finish(Completed(id=number, value=VALUE), "completed", 1)
    worker = WorkerProtocol(incarnation="w", named=True)
    worker.inherit(ledger)
    worker.receive(Hello(oldest=1, newest=1, session="s"), worker_state="ready")
    parts = [message for message in worker.outgoing() if isinstance(message, Holding)]
    assert [(len(part.commands), part.more) for part in parts] == [(HELD_ROWS, True), (1, False)]


def test_nothing_is_told_that_nobody_asks_for() -> None:
    """Outcomes wait, those too that come about later; the list follows."""
    pair = Pair(left())
    pair.worker.completed(2, VALUE)
    pair.worker.started(3)
    pair.run()
    assert pair.outcomes() == []
    assert [held.state for held in pair.client.held.commands.values()] == [
        "completed", "completed", "running",
    ]  # fmt: skip


def test_a_claim_of_what_waits() -> None:
    """The outcome comes, once, and is let go of when it is acknowledged."""
    pair = Pair(left())
    assert pair.client.claim(1) == "c1"
    pair.run()
    assert pair.outcomes() == [1]
    assert 1 not in pair.worker.ledger.outcomes
    assert list(pair.client.held.commands) == [2, 3]
    assert pair.client.claim(1) == ""
    pair.run()
    withheld = pair.heard[-1]
    assert isinstance(withheld, Withheld)
    assert (withheld.id, withheld.code) == (1, "delivered")
    assert pair.client.unfinished == 0


@pytest.mark.parametrize("number", [2, 3])
def test_a_claim_of_what_is_to_come(number: int) -> None:
    """Its outcome comes when it is there, as that of a command of one's own."""
    pair = Pair(left())
    pair.client.claim(number)
    state = CommandState.RUNNING if number == 2 else CommandState.QUEUED
    assert pair.client.command_state(number) is state
    pair.run()
    assert pair.outcomes() == []
    if number == 3:
        pair.worker.started(3)
    pair.worker.completed(number, VALUE)
    pair.run()
    assert pair.outcomes() == [number]


def test_a_claim_that_crosses_the_end() -> None:
    """The word that it has ended takes nothing away from who has asked meanwhile."""
    pair = Pair(left())
    pair.worker.completed(2, VALUE)
    pair.client.claim(2)
    pair.run()
    assert pair.outcomes() == [2]
    assert 2 not in pair.client.held.commands


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_claim_of_nothing(number: int) -> None:
    """An id that the session has not had is known for that here."""
    pair = Pair(left())
    assert pair.client.claim(number) is None


def test_ids_go_on_within_the_window() -> None:
    """What is unfinished takes its part of it, until it has ended."""
    pair = Pair(left())
    for number in (4, 5, 6):
        pair.send(number)
    assert pair.client.backlogged == 1  # 2 and 3 are the other client's
    pair.worker.completed(2, VALUE)
    pair.run()
    assert pair.client.backlogged == 0
    for number in (3, 4, 5, 6):
        pair.worker.completed(number, VALUE)
    pair.run()
    assert pair.worker.unfinished == pair.client.unfinished == 0
    assert pair.client._window is not None
    assert pair.client._window.count == 0


def test_a_claimed_command_gives_its_part_of_the_window_back() -> None:
    """Whether it had finished before, or not."""
    pair = Pair(left())
    for number in (1, 2, 3):
        pair.client.claim(number)
    pair.run()
    for number in (2, 3):
        pair.worker.completed(number, VALUE)
    pair.run()
    assert pair.outcomes() == [1, 2, 3]
    assert pair.client._window is not None
    assert (pair.client._window.count, pair.client._window.size) == (0, 0)


def test_a_repetition_is_not_run_again() -> None:
    """A queued one is left where it is; of one that waits to be had, the outcome is told again."""
    worker = Pair().worker
    command = Command(id=1, code="x")
    assert worker.receive(command, worker_state="ready") is command
    assert worker.receive(command, worker_state="ready") is None
    assert worker.unfinished == 1
    worker.completed(1, VALUE)
    assert worker.receive(command, worker_state="ready") == Claim(id=1)
    worker.receive(Acknowledge(ids=(1,)), worker_state="ready")
    worker.outgoing()
    assert worker.receive(command, worker_state="ready") is None
    (withheld,) = worker.outgoing()
    assert isinstance(withheld, Withheld)
    assert withheld.code == "delivered"


def test_a_conflict_is_one_commands_matter() -> None:
    """The other command of that id, the connection and later commands are unharmed."""
    worker = Pair().worker
    worker.receive(Command(id=1, code="x"), worker_state="ready")
    worker.outgoing()
    assert worker.receive(Command(id=1, code="y"), worker_state="ready") is None
    (withheld,) = worker.outgoing()
    assert isinstance(withheld, Withheld)
    assert withheld.code == "conflict"
    assert worker.state is ConnectionState.OPEN
    worker.started(1)
    worker.completed(1, VALUE)
    second = Command(id=2, code="z")
    assert worker.receive(second, worker_state="ready") is second


def test_an_id_that_was_left_out_may_come_later() -> None:
    """It was overtaken, and not used: the command is new."""
    worker = Pair().worker
    for number, overtakes in ((3, 1), (1, 0)):
        command = Command(id=number, code="x", overtakes=overtakes)
        assert worker.receive(command, worker_state="ready") is command


def test_detach() -> None:
    """It is answered, and nothing of what was held is given up."""
    pair = Pair()
    pair.send(1)
    pair.client.control(Detach())
    pair.run()
    assert (pair.worker.detached, pair.worker.state) == (True, ConnectionState.CLOSED)
    assert isinstance(pair.heard[-1], Goodbye)
    assert list(pair.worker.ledger.unfinished) == [1]


def test_taken() -> None:
    """A client that another one has put out hears so in whatever state it is."""
    pair = Pair()
    with pytest.raises(SessionTaken, match="another"):
        pair.client.receive(Refused(code="taken", message="another client"))
    assert pair.client.state is ConnectionState.CLOSED
    with pytest.raises(LocalProtocolError):
        pair.client.submit(Command(id=1, code=""))


def test_where_the_unfinished_stand() -> None:
    """Their priorities, what they depend on and how long they have run are told with the list."""
    pair = Pair()
    pair.client.submit(Command(id=1, code="1"))
    pair.client.submit(Command(id=2, code="1", priority=3, after=(1,)))
    pair.run()
    pair.worker.started(1)
    pair.worker.lose()
    worker = WorkerProtocol(incarnation="w", named=True)
    worker.inherit(pair.worker.ledger, lambda command: (command.priority + 1, 7))
    worker.receive(Hello(oldest=1, newest=1, session="s"), worker_state="ready")
    (told,) = [message for message in worker.outgoing() if isinstance(message, Holding)]
    assert told.standing == ((1, 1, 7, ()), (2, 4, 0, (1,)))
    client = ClientProtocol(session="s")
    client.held.receive(told)
    assert client.held.entries[2].command.after == (1,)
    assert client.order() == [1, 2]


def test_what_is_held_stands_in_the_order() -> None:
    """Before what is sent now, unless that has a higher priority; a claim changes nothing."""
    pair = Pair(left())
    pair.client.submit(Command(id=4, code="1"))
    pair.client.submit(Command(id=5, code="1", priority=1))
    assert pair.client.order() == [2, 5, 3, 4]
    assert (pair.client.ahead_of(5), pair.client.ahead_of(4)) == (1, 3)
    pair.client.claim(3)
    assert pair.client.order() == [2, 5, 3, 4]


def test_what_is_held_is_stopped_and_moved() -> None:
    """One that is unfinished, and for another priority one that waits."""
    pair = Pair(left())
    assert [pair.client.prioritize_held(number, 9) for number in (1, 2, 3, 4)] == [
        False, False, True, False,
    ]  # fmt: skip
    assert [pair.client.stop_held(number, "auto") for number in (1, 2, 3, 4)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert pair.client.held.entries[3].command.priority == 9
    assert pair.client.outgoing() == [
        Prioritize(id=3, priority=9),
        Cancel(id=2),
        Cancel(id=3),
    ]


def test_a_halt_of_what_is_held() -> None:
    """It is told, also to a client that comes then; the claim goes on from there."""
    pair = Pair(left())
    fault = Fault(type="ValueError", message="no")
    pair.worker.halted(Halted(id=2, error="e", epoch=1, fault=fault))
    pair.run()
    assert pair.client.held.commands[2].state == "halted"
    pair.worker.lose()
    second = Pair(pair.worker.ledger)
    assert second.client.held.commands[2].state == "halted"
    second.client.claim(2)
    second.worker.resumed(Resumed(id=2, error="e", epoch=1))
    second.run()
    assert second.client.command_state(2) is CommandState.QUEUED
    second.worker.cancelled(2)
    second.run()
    assert second.heard[-1] == Cancelled(id=2, began=True)


def test_a_cancellation_tells_whether_it_had_begun() -> None:
    """Also to a client that asks for it when all is over."""
    pair = Pair(left())
    for number in (2, 3):
        pair.worker.cancelled(number)
    pair.run()
    assert [held.state for held in pair.client.held.commands.values()] == [
        "completed", "cancelled", "cancelled",
    ]  # fmt: skip
    pair.heard.clear()
    for number in (2, 3):
        pair.client.claim(number)
    pair.run()
    assert pair.heard == [Cancelled(id=2, began=True), Cancelled(id=3)]


class Away:
    """An outcome that lies elsewhere."""

    def __init__(self, number: int) -> None:
        self.number = number

    def message(self) -> Completed:
        return Completed(id=self.number, value=VALUE)

    def buffers(self) -> dict[str, bytes]:
        return {}

    def free(self) -> None:
        pass


def test_outcomes_that_were_put_away_are_read_back_some_at_a_time() -> None:
    """In their order, with what was said between them; one that was dropped is told as such."""
    worker = Pair().worker
    for number in (1, 2, 3):
        worker.receive(Command(id=number, code=""), worker_state="ready")
    worker.outgoing()
    for number in (1, 2, 3):
        worker.started(number)
        worker.completed(number, Payload(header=0, size=READ_BYTES))
    for number in (1, 2, 3):
        worker.ledger.put_away(number, Away(number))
    worker.put_away({1, 2, 3})
    worker.ledger.drop(2, "no room")
    batches = []
    while batch := worker.outgoing():
        batches.append([(type(message).__name__, getattr(message, "id", 0)) for message in batch])
    assert batches == [
        [("Started", 1), ("Completed", 1)],
        [("Started", 2), ("Withheld", 2), ("Started", 3), ("Completed", 3)],
    ]


# --- what is halted ----------------------------------------------------------------------


def left_halted() -> Ledger:
    """Return what a client leaves whose command 2 is halted."""
    pair = Pair(left())
    pair.worker.halted(HALTED)
    pair.worker.lose()
    return pair.worker.ledger


def states(pair: Pair) -> list[str]:
    """Return what the client knows of what is held."""
    return [held.state for held in pair.client.held.commands.values()]


def test_who_takes_over_hears_of_a_halt() -> None:
    """Behind the list, which is complete only then; in the epoch that it is in."""
    worker = WorkerProtocol(incarnation="w", named=True)
    worker.inherit(left_halted())
    worker.receive(Hello(oldest=1, newest=1, session="s"), worker_state="ready")
    _, rows, halted, last = worker.outgoing()
    assert isinstance(rows, Holding)
    assert [row[2] for row in rows.commands] == ["completed", "halted", "queued"]
    assert (rows.more, halted, last) == (True, HALTED, Holding(newest=3))


@pytest.mark.parametrize("resumed", [False, True])
def test_the_halt_of_a_command_that_nobody_has_claimed(resumed: bool) -> None:
    """Each step of it is told, and its end by the list."""
    pair = Pair(left_halted())
    assert states(pair) == ["completed", "halted", "queued"]
    if resumed:
        pair.worker.resumed(RESUMED)
        pair.run()
        assert (pair.heard, states(pair)) == ([RESUMED], ["completed", "queued", "queued"])
        pair.worker.started(2)
        pair.worker.halted(HALTED)
        pair.run()
        assert pair.heard[1:] == [Started(id=2), HALTED]
        assert states(pair) == ["completed", "halted", "queued"]
        pair.heard.clear()
    pair.worker.failed(2, HALTED.fault)
    pair.worker.dropped(Dropped(ids=(3,), because=2, error="e-1"))
    pair.run()
    assert Dropped(ids=(), because=2, error="e-1") in pair.heard
    told = [message for message in pair.heard if isinstance(message, Holding)]
    rows = [row[:3] for message in told for row in message.commands]
    assert rows == [(2, "c2", "failed"), (3, "c3", "failed")]
    assert states(pair) == ["completed", "failed", "failed"]


def test_a_claim_of_what_is_halted() -> None:
    """It is so for the client as well, and goes on as a command of its own does."""
    pair = Pair(left_halted())
    pair.client.claim(2)
    pair.run()
    assert pair.client.command_state(2) is CommandState.HALTED
    pair.worker.resumed(RESUMED)
    pair.worker.started(2)
    pair.run()
    assert pair.client.command_state(2) is CommandState.RUNNING
    pair.worker.failed(2, HALTED.fault)
    pair.run()
    assert pair.heard[-1] == Failed(id=2, fault=HALTED.fault)

"""The two cores against each other, in memory, through real frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from asyncbridge.errors import QueueFull
from asyncbridge.protocol.client import ClientProtocol
from asyncbridge.protocol.journal import Entry, session_digest
from asyncbridge.protocol.levels import Levels
from asyncbridge.protocol.limits import Bound, size_of
from asyncbridge.protocol.messages import (
    Cancel,
    Cancelled,
    Command,
    Completed,
    Failed,
    Fault,
    Goodbye,
    Message,
    Output,
    Ping,
    Pong,
    Prioritize,
    Started,
)
from asyncbridge.protocol.states import CommandState
from asyncbridge.protocol.worker import WorkerProtocol
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.serialization.frames import pack, unpack

WINDOW = Bound(count=3, size=60)
BACKLOG = Bound(count=5, size=90)
FAULT = Fault(type="ValueError", message="no")
OUTCOMES = (Completed, Failed, Cancelled)


@dataclass(eq=False)
class Waiting:
    """A command in the worker's queue."""

    command: Command


class Pair:
    """A client and a worker with frames on the way between them, and what each has seen."""

    def __init__(self) -> None:
        self.client = ClientProtocol(session="s", backlog=BACKLOG)
        self.worker = WorkerProtocol(incarnation="one", window=WINDOW)
        self.to_worker: deque[bytes] = deque()
        self.to_client: deque[bytes] = deque()
        self.arrived: list[int] = []
        self.waiting: Levels[Waiting] = Levels()
        self.plain: set[int] = set()
        self.afters: dict[int, tuple[int, ...]] = {}
        self.ordered_id = 0
        self.running: int | None = None
        self.began: list[int] = []
        self.sizes: dict[int, int] = {}
        self.seen_started: list[int] = []
        self.outcomes: dict[int, Message] = {}
        self.pongs: list[int] = []
        self.output: list[str] = []

    # --- the client's caller ---

    def submit(
        self,
        number: int,
        code: str,
        values: list[int],
        priority: int = 0,
        after: tuple[int, ...] = (),
    ) -> None:
        bindings = encode({"values": values}, path="bindings")
        self.client.submit(
            Command(id=number, code=code, bindings=bindings, priority=priority, after=after)
        )
        self.afters[number] = after
        if priority == 0:
            self.plain.add(number)
        self.sizes[number] = len(code) + bindings.size

    def cancel(self, number: int) -> None:
        if self.client.cancel(number):
            self.note(Cancelled(id=number))

    def note(self, outcome: Completed | Failed | Cancelled) -> None:
        assert outcome.id not in self.outcomes, "an outcome was observed twice"
        self.outcomes[outcome.id] = outcome

    def flush_client(self) -> None:
        if messages := self.client.outgoing():
            self.to_worker.append(pack(messages))

    def read_client(self) -> None:
        for message in unpack(self.to_client.popleft()):
            wanted = self.client.receive(message)
            if isinstance(wanted, OUTCOMES):
                self.note(wanted)
            elif isinstance(wanted, Started):
                self.seen_started.append(wanted.id)
            elif isinstance(wanted, Pong):
                self.pongs.append(wanted.nonce)
            elif isinstance(wanted, Output):
                self.output.append(wanted.text)

    # --- the worker's caller ---

    def flush_worker(self) -> None:
        if messages := self.worker.outgoing():
            self.to_client.append(pack(messages))

    def read_worker(self) -> None:
        for message in unpack(self.to_worker.popleft()):
            wanted = self.worker.receive(message, worker_state="ready")
            if isinstance(wanted, Command):
                self.arrived.append(wanted.id)
                self.waiting.add(Waiting(wanted))
            elif isinstance(wanted, Cancel) and self.worker.is_queued(wanted.id):
                self.waiting.remove(self.find(wanted.id))
                self.worker.cancelled(wanted.id)
            elif isinstance(wanted, Prioritize) and self.worker.is_queued(wanted.id):
                self.waiting.move(self.find(wanted.id), wanted.priority)

    @property
    def queue(self) -> list[int]:
        return [item.command.id for item in self.waiting]

    def find(self, number: int) -> Waiting:
        return next(item for item in self.waiting if item.command.id == number)

    def start(self) -> None:
        first = self.waiting.first()
        assert first is not None
        self.waiting.remove(first)
        self.running = first.command.id
        if self.running in self.plain:
            self.ordered_id = self.running
        self.began.append(self.running)
        self.worker.started(self.running)

    def finish(self, *, failed: bool = False) -> None:
        assert self.running is not None
        number, self.running = self.running, None
        if failed:
            self.worker.failed(number, FAULT)
        else:
            self.worker.completed(number, encode(number, path="result"))

    # --- both ---

    def exchange(self) -> None:
        """Let all that is ready cross, until nothing moves any more."""
        while True:
            self.flush_client()
            self.flush_worker()
            if self.to_worker:
                self.read_worker()
            elif self.to_client:
                self.read_client()
            else:
                return

    def work_off(self) -> None:
        """Run every command to its end."""
        self.exchange()
        while self.running is not None or self.queue:
            if self.running is None:
                self.start()
            self.finish()
            self.exchange()


def opened() -> Pair:
    """Return a pair that has exchanged its greetings."""
    pair = Pair()
    pair.client.greet()
    pair.exchange()
    return pair


# --- one thing after another -------------------------------------------------------------


def test_a_command_there_and_back() -> None:
    """A command is sent, queued, run, and its value comes back."""
    pair = opened()
    pair.submit(1, "sum(values)", [1, 2])
    pair.work_off()
    outcome = pair.outcomes[1]
    assert isinstance(outcome, Completed)
    assert decode(outcome.value) == 1
    assert (pair.seen_started, pair.client.unfinished, pair.worker.unfinished) == ([1], 0, 0)


def test_a_cancel_that_comes_too_late() -> None:
    """A command that has started when the cancel arrives completes as if nothing had been."""
    pair = opened()
    pair.submit(1, "1", [])
    pair.exchange()
    pair.cancel(1)
    pair.start()
    pair.exchange()
    pair.finish()
    pair.exchange()
    assert isinstance(pair.outcomes[1], Completed)


def test_a_cancel_that_comes_in_time() -> None:
    """A command that is queued when the cancel arrives never starts."""
    pair = opened()
    pair.submit(1, "1", [])
    pair.exchange()
    pair.cancel(1)
    pair.exchange()
    assert pair.outcomes == {1: Cancelled(id=1)}
    assert pair.began == []


def test_goodbyes() -> None:
    """After the client's goodbye both ends are closed, and what was unfinished is lost once."""
    pair = opened()
    pair.submit(1, "1", [])
    pair.exchange()
    pair.client.goodbye("done")
    pair.exchange()
    with pytest.raises(Exception, match="CLOSED, not OPEN"):
        pair.worker.receive(Goodbye(), worker_state="ready")
    assert list(pair.client.lose()) == [1]


def test_not_started_is_said_only_when_it_is_known() -> None:
    """A command whose start was still on its way when the worker died may have run."""
    pair = opened()
    pair.submit(1, "1", [])
    pair.exchange()
    pair.start()  # and the process dies before the notification is written
    assert pair.client.lose() == {1: "unknown"}


def test_the_worker_counts_no_more_bytes() -> None:
    """A command that the client's window admits fits the worker's, whatever its text holds."""
    sent = Command(id=1, code='"ä\U0001f600\n"', bindings=encode({"k": ["\u2028é", 1e300, b"xy"]}))
    (got,) = unpack(pack([sent]))
    assert isinstance(got, Command)
    assert 0 < size_of(got) <= size_of(sent)


# --- anything, in any order --------------------------------------------------------------


class PairMachine(RuleBasedStateMachine):
    """Everything that either side may do, in any order, with frames delayed at will."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = opened()
        self.newest = 0
        self.taken: list[int] = []
        self.pings = 0
        self.printed: list[str] = []

    @rule(
        code=st.text(max_size=25),
        values=st.lists(st.integers(0, 999), max_size=8),
        priority=st.sampled_from([0, 0, 0, 1, 2, -1]),
        data=st.data(),
    )
    def submit(self, code: str, values: list[int], priority: int, data: st.DataObject) -> None:
        """Send a command, or be told that the backlog is full."""
        number = self.newest + 1
        unfinished = self.pair.client.unfinished
        try:
            after = (
                data.draw(st.sets(st.sampled_from(self.taken), max_size=2)) if self.taken else ()
            )
            self.pair.submit(number, code, values, priority, tuple(after))
        except QueueFull:
            assert self.pair.client.unfinished == unfinished
            assert self.pair.client.backlogged > 0
            return
        self.newest = number
        self.taken.append(number)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Take any command back, also one that has finished."""
        self.pair.cancel(data.draw(st.sampled_from(self.taken)))

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), priority=st.integers(-1, 2))
    def prioritize(self, data: st.DataObject, priority: int) -> None:
        """Give any command another priority."""
        number = data.draw(st.sampled_from(self.taken))
        if self.pair.client.prioritize(number, priority) and priority:
            self.pair.plain.discard(number)

    @rule()
    def ping(self) -> None:
        """Send a control message."""
        self.pings += 1
        self.pair.client.control(Ping(nonce=self.pings))

    @rule()
    def flush_client(self) -> None:
        """Write a frame."""
        self.pair.flush_client()

    @rule()
    def flush_worker(self) -> None:
        """Write a frame."""
        self.pair.flush_worker()

    @precondition(lambda self: self.pair.to_worker)
    @rule()
    def read_worker(self) -> None:
        """Deliver a frame."""
        self.pair.read_worker()

    @precondition(lambda self: self.pair.to_client)
    @rule()
    def read_client(self) -> None:
        """Deliver a frame."""
        self.pair.read_client()

    @precondition(lambda self: self.pair.running is None and self.pair.queue)
    @rule()
    def start(self) -> None:
        """Take up the next command."""
        self.pair.start()

    @precondition(lambda self: self.pair.running is not None)
    @rule(failed=st.booleans())
    def finish(self, failed: bool) -> None:
        """Bring the running command to its end."""
        self.pair.finish(failed=failed)

    @precondition(lambda self: self.pair.running is not None)
    @rule()
    def print_text(self) -> None:
        """Print something."""
        text = f"line {len(self.printed)}"
        self.printed.append(text)
        self.pair.worker.notify(Output(id=self.pair.running, stream="stdout", text=text))

    @invariant()
    def bounds_hold(self) -> None:
        """The window and the backlog are never exceeded, but by a single large command."""
        pair = self.pair
        held = [*pair.queue, *([] if pair.running is None else [pair.running])]
        assert pair.worker.unfinished == len(held) <= WINDOW.count
        assert sum(pair.sizes[number] for number in held) <= WINDOW.size or len(held) == 1
        assert pair.client.backlogged <= BACKLOG.count

    @invariant()
    def order_holds(self) -> None:
        """Commands without a priority arrive and start in the order of their submission."""
        pair = self.pair
        for numbers in (pair.arrived, pair.began, pair.seen_started):
            plain = [number for number in numbers if number in pair.plain]
            assert all(one < two for one, two in pairwise(plain))

    @invariant()
    def dependencies_hold(self) -> None:
        """No command starts while one that it depends on waits."""
        pair = self.pair
        if pair.running is not None:
            assert not set(pair.afters[pair.running]) & {*pair.queue, *self.unsent()}

    def unsent(self) -> set[int]:
        """Return the commands in the backlog."""
        client = self.pair.client
        return {n for n in self.taken if client.command_state(n) is CommandState.BACKLOG}

    def teardown(self) -> None:
        """Every command has exactly one outcome, the worker's own, and nothing is left."""
        pair = self.pair
        pair.work_off()
        assert sorted(pair.outcomes) == self.taken
        assert (pair.client.unfinished, pair.client.backlogged, pair.worker.unfinished) == (0, 0, 0)
        ran = {n for n, outcome in pair.outcomes.items() if not isinstance(outcome, Cancelled)}
        assert ran == set(pair.began) == set(pair.seen_started)
        assert pair.pongs == list(range(1, self.pings + 1))
        assert pair.output == self.printed
        assert pair.client.lose() == {}


TestPair = PairMachine.TestCase
TestPair.settings = settings(max_examples=60, stateful_step_count=60)


class LossMachine(PairMachine):
    """The same with a worker that dies in the middle; its journal may survive it."""

    @initialize(survives=st.booleans())
    def choose(self, survives: bool) -> None:
        """Say whether the journal can be read afterwards."""
        self.survives = survives

    def journal(self) -> Entry | None:
        """Return what the worker would have noted."""
        pair = self.pair
        if not self.survives or not pair.began:
            return None
        return Entry(
            session=session_digest("s"),
            command_id=pair.began[-1],
            finished=pair.running is None,
            ordered_id=pair.ordered_id,
        )

    def teardown(self) -> None:
        """Each command has an outcome or is reported lost, and not both; no phase is a lie."""
        pair = self.pair
        lost = pair.client.lose(self.journal(), told=self.survives)
        assert sorted([*lost, *pair.outcomes]) == self.taken
        assert (pair.client.unfinished, pair.client.backlogged) == (0, 0)
        for number, phase in lost.items():
            if phase == "not_started":
                assert number not in pair.began
            elif phase == "started":
                assert number in pair.began
                assert not self.survives or number == pair.running
            elif phase == "finished_unreported":
                assert number != pair.running
                assert number not in pair.queue
            else:
                assert not self.survives or number not in pair.plain


TestLoss = LossMachine.TestCase
TestLoss.settings = settings(max_examples=60, stateful_step_count=40)

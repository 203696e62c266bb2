"""Whose start is told, and when it is looked for."""

from __future__ import annotations

from collections.abc import Callable

from asyncbridge.protocol.messages import Command
from asyncbridge.worker.peer import Peer
from asyncbridge.worker.queue import FailureLog, Job
from asyncbridge.worker.starts import Starts


class Notes(Peer):
    """A peer without a connection, which notes what it is told."""

    def __init__(self) -> None:
        self.begun: list[int] = []

    def started(self, command_id: int) -> None:
        self.begun.append(command_id)


class Bench:
    """A worker, as far as it is looked at; time goes on when a test says so."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.busy = True
        self.timers: list[Callable[[], None]] = []
        self.starts = Starts(
            running=lambda: self.job,
            busy=lambda: self.busy,
            later=lambda _, call: self.timers.append(call),
        )
        self.peer = Notes()

    def begin(self, number: int) -> None:
        """Let a command run."""
        self.job = Job(self.peer, Command(id=number, code="1"), FailureLog())
        self.job.untold = True

    def tick(self) -> None:
        """Let the time of one look come."""
        self.timers.pop()()


def test_what_runs_is_told_once() -> None:
    """And nobody looks any more until something comes, or ends."""
    bench = Bench()
    bench.starts.look_soon()
    bench.begin(3)
    bench.tick()
    bench.starts.look_soon()
    bench.tick()
    assert (bench.peer.begun, bench.timers) == ([3], [])


def test_one_look_at_a_time() -> None:
    """However many commands come meanwhile."""
    bench = Bench()
    bench.starts.look_soon()
    bench.starts.look_soon()
    assert len(bench.timers) == 1


def test_between_two_commands() -> None:
    """It is looked again as long as something is to be run; then no more."""
    bench = Bench()
    bench.starts.look_soon()
    bench.tick()
    assert len(bench.timers) == 1
    bench.busy = False
    bench.tick()
    assert bench.timers == []


def test_what_has_not_begun() -> None:
    """Its start is not told, though its end is."""
    bench = Bench()
    job = Job(bench.peer, Command(id=1, code="1"), FailureLog())
    bench.starts.tell(job)
    assert bench.peer.begun == []

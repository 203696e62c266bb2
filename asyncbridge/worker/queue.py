"""The bounded command queue, and the jobs that stand in it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncbridge.protocol.limits import DEFAULT_WINDOW, Bound, size_of
from asyncbridge.protocol.messages import Fault
from asyncbridge.transport.gate import Gate
from asyncbridge.worker.holding import Hold
from asyncbridge.worker.lines import Line
from asyncbridge.worker.stopping import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.protocol.messages import Command, Payload
    from asyncbridge.worker.executor import Executor
    from asyncbridge.worker.flows import Flows
    from asyncbridge.worker.halting import Halt
    from asyncbridge.worker.lines import Dropping
    from asyncbridge.worker.peer import Peer

__all__ = ["CANCELLED", "DEFAULT_QUEUE", "CommandQueue", "FailureLog", "Job", "JobState"]

DEFAULT_QUEUE = Bound(count=8192, size=1024 * 1024 * 1024)
"""What may stand in the queue, over all sessions."""

CANCELLED = Fault(type="CancelledError", message="the command was cancelled")
"""What commands that depend on a cancelled one fail with."""

FAILURES_KEPT = DEFAULT_WINDOW.count
"""Failed commands that a session remembers, for the sake of those that depend on them.

A whole window is enough: a client that has seen a failure sends no command that depends on it,
and until then no more than a window of others can have passed.
"""


class JobState(Enum):
    """Where a job stands."""

    QUEUED = auto()
    RUNNING = auto()
    CANCELLED = auto()
    FINISHED = auto()


class FailureLog:
    """A session's failed or cancelled commands, for those that depend on them.

    The GPU thread adds failures and asks; the loop adds what it cancels: each step is one
    operation of a dict, under the lock of the interpreter.
    """

    def __init__(self, kept: int = FAILURES_KEPT) -> None:
        self._faults: OrderedDict[int, Fault] = OrderedDict()
        self._kept = kept

    def add(self, command_id: int, fault: Fault) -> None:
        """Remember a failure; the oldest one makes room."""
        self._faults[command_id] = fault
        if len(self._faults) > self._kept:
            self._faults.popitem(last=False)

    def blocking(self, after: tuple[int, ...]) -> tuple[int, Fault] | None:
        """Return the first of these commands that failed, with its fault."""
        for command_id in after:
            fault = self._faults.get(command_id)
            if fault is not None:
                return command_id, fault
        return None


class Job:
    """A command of one session on its way through the queue."""

    __slots__ = (
        "again", "bindings", "bound", "code", "command", "edits", "failures", "flows", "halt", "halts",
        "hold", "holders", "keep", "lifetime", "line", "moved", "packed", "peer", "place", "size",
        "started_at", "state", "stop", "untold", "written",
    )  # fmt: skip

    def __init__(
        self,
        peer: Peer,
        command: Command,
        failures: FailureLog,
        *,
        line: Line | None = None,
        hold: Hold | None = None,
    ) -> None:
        self.peer = peer
        self.command = command
        self.failures = failures
        # Its own, because bulk buffers are put in when they have arrived.
        self.bindings = command.bindings
        self.size = size_of(command)
        self.state = JobState.QUEUED
        self.started_at = 0.0
        # Whether it has begun, and its client knows nothing of it.
        self.untold = False
        self.stop = Stop()
        self.flows: Flows | None = None
        self.line = Line() if line is None else line
        self.place: Place | None = None
        # Whether it was given another priority.
        self.moved = False
        self.hold = Hold() if hold is None else hold
        # What a decision about its error may change.
        self.code = command.code
        self.lifetime = command.lifetime
        self.keep = command.keep
        # Whether its value is there, and it is decided what stays of it; whether that is told.
        self.packed = False
        self.written = False
        self.holders: tuple[str, ...] = ()
        # Of one that has failed, where that is debugged: its bindings, until it is told who has them.
        self.bound: dict[str, Any] = {}
        self.edits: tuple[Payload, ...] = ()
        # Whether it halts if it fails; known when it is taken up, for its bindings must be kept.
        self.halts = False
        self.halt: Halt | None = None
        # Whether it is to run once more, ahead of all others of its session.
        self.again = False

    def replace_by(self, code: str, bindings: Payload | None) -> None:
        """Run something else in its place, the next time."""
        self.code, self.bindings, self.edits = code, bindings, ()
        self.lifetime = "command"

    def edit(self, code: str | None, bindings: Payload | None) -> None:
        """Run it with other code, or with some other bindings, the next time."""
        self.code = self.code if code is None else code
        self.edits += () if bindings is None else (bindings,)

    def info(self, now: float) -> dict[str, Any]:
        """Describe it while it runs, in plain JSON data."""
        return {
            "id": self.command.id,
            "session": self.peer.session,
            "label": self.command.label,
            "seconds": now - self.started_at,
        }

    def let_go(self) -> None:
        """Let go of what it was given: it will not run again."""
        self.bindings, self.edits = None, ()


class Place:
    """A session's turn in the queue, and the job that stands there until the GPU thread has it."""

    __slots__ = ("hold", "job", "line")

    def __init__(self, job: Job) -> None:
        self.job: Job | None = job
        self.line = job.line
        self.hold = job.hold


class CommandQueue:
    """First come, first served, bounded by count and by bytes, ahead of the GPU thread.

    ``put`` waits for room; what is in the queue has all of its data. A job gets the last place.
    When a place comes up, the job in it changes places with the first one of its session's line,
    if that is another one: so a session has the same turns whatever its priorities are, and
    other sessions never wait longer for them.

    A job is claimed by the GPU thread or cancelled by the loop, never both: who empties its
    place, under the lock, has it.

    Args:
        executor: The GPU thread.
        run: Runs a job there.
        bound: How much may stand in the queue.
        coming: Called when a job is on its way there; on the loop.
    """

    def __init__(
        self,
        executor: Executor,
        run: Callable[[Job], None],
        bound: Bound = DEFAULT_QUEUE,
        *,
        coming: Callable[[], None] = lambda: None,
    ) -> None:
        self._executor = executor
        self._run = run
        self._coming = coming
        self._gate = Gate(bound)
        self._lock = threading.Lock()
        # In the order in which they come up. One stays until its job has finished. The loop's alone.
        self._places: dict[Place, None] = {}
        # The turns that have come up while the worker waits to be replaced; the GPU thread's.
        self._paused: list[Place] | None = None

    @property
    def count(self) -> int:
        """Jobs queued or running."""
        return self._gate.count

    @property
    def size(self) -> int:
        """Bytes that they hold."""
        return self._gate.size

    def ahead_of(self, line: Line) -> tuple[list[int], int]:
        """Return how many jobs of others come before each place of a session, and in all."""
        ahead: list[int] = []
        others = 0
        for place in self._places:
            if place.line is not line:
                others += 1
            elif place.job is not None:
                ahead.append(others)
        return ahead, others

    def __contains__(self, job: Job) -> bool:
        return job.place is not None and job.place in self._places

    async def put(self, job: Job) -> None:
        """Add a job at the end, waiting for room; nobody pushes in."""
        await self._gate.enter(job.size)
        if job.state is JobState.CANCELLED:
            self._gate.leave(job.size)
            return
        self._place(job)

    def put_now(self, job: Job) -> bool:
        """Add a job at the end, if nobody has to wait for room; tells whether it did."""
        if not self._gate.enter_now(job.size):
            return False
        self._place(job)
        return True

    def _place(self, job: Job) -> None:
        place = job.place = Place(job)
        self._places[place] = None
        with self._lock:
            job.line.waiting.add(job)
        self._executor.submit(partial(job.hold.take, self._take_up, place))
        self._coming()

    def release(self, line: Line, hold: Hold, dropping: Dropping) -> None:
        """Drop bindings, after the commands that may use them."""
        line.droppings.append(dropping)
        self._executor.submit(lambda: hold.take(self._drop_due, line))

    def prioritize(self, job: Job, priority: int) -> None:
        """Give a job another priority, unless the GPU thread has it."""
        with self._lock:
            job.moved = True
            if job.place is None:
                job.command = replace(job.command, priority=priority)
            elif job.place.job is not None:
                job.line.waiting.move(job, priority)

    def cancel(self, job: Job) -> bool:
        """Take a job out, unless the GPU thread has it; tells whether it did."""
        with self._lock:
            if job.state is not JobState.QUEUED:
                return False
            job.state = JobState.CANCELLED
            if job.place is None:  # not in the queue yet: its data is still on the way
                return True
            if not job.again:
                job.place.job = None
                job.line.waiting.remove(job)
        del self._places[job.place]
        self._gate.leave(job.size)
        return True

    def finished(self, job: Job) -> None:
        """Make room: the GPU thread is through with this job."""
        job.state = JobState.FINISHED
        assert job.place is not None, "it was in the queue"
        del self._places[job.place]
        self._gate.leave(job.size)

    def go_on(self, job: Job, *, again: bool = False) -> None:
        """Let a session go on that was held at this job, which may have to run again first."""
        self._coming()
        if not again:
            job.hold.lift(self._executor)
            return
        with self._lock:
            job.state, job.stop, job.flows, job.again = JobState.QUEUED, Stop(), None, True
            job.packed = job.written = False
        job.hold.lift(self._executor, (self._take_up_again, job))

    def _take_up_again(self, job: Job) -> None:
        with self._lock:
            if job.state is not JobState.QUEUED:
                return
            job.state, job.again = JobState.RUNNING, False
        self._run(job)

    def pause(self) -> None:
        """Take up no job but urgent ones, for the time being; in the GPU thread."""
        if self._paused is None:
            self._paused = []

    def resume(self) -> None:
        """Take up jobs again, in their order; in the GPU thread."""
        paused, self._paused = self._paused or [], None
        for place in paused:
            self._executor.submit(partial(place.hold.take, self._take_up, place))

    @property
    def is_paused(self) -> bool:
        """Whether none but urgent jobs are taken up."""
        return self._paused is not None

    def _take_up(self, place: Place) -> None:
        if self._paused is not None and not place.line.is_urgent(self._lock):
            self._paused.append(place)
            return
        with self._lock:
            job = None if place.job is None else self._claim(place, place.job)
        if job is not None:
            self._run(job)
        if place.line.droppings:  # unless the session is held at that job
            place.hold.take(self._drop_due, place.line)

    def _claim(self, place: Place, own: Job) -> Job:
        """Take the first job of the session whose turn this is."""
        job = place.line.take_up()
        if job is not own:
            assert job.place is not None, "it waits, too"
            own.place, job.place = job.place, place
            own.place.job = own
        place.job = None
        job.state = JobState.RUNNING
        return job

    def _drop_due(self, line: Line) -> None:
        with self._lock:
            lowest = line.waiting.lowest()
        line.drop_up_to(lowest)

"""The bounded command queue, and the jobs that stand in it."""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto
from typing import TYPE_CHECKING

from asyncbridge.protocol.limits import DEFAULT_WINDOW, Bound, size_of
from asyncbridge.protocol.messages import Fault
from asyncbridge.transport.gate import Gate
from asyncbridge.worker.holding import Hold
from asyncbridge.worker.stopping import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.protocol.messages import Command, Payload
    from asyncbridge.worker.executor import Executor
    from asyncbridge.worker.flows import Flows
    from asyncbridge.worker.halting import Halt
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
        "bindings", "code", "command", "edits", "failures", "flows", "halt", "halts", "hold",
        "lifetime", "peer", "size", "started_at", "state", "stop",
    )  # fmt: skip

    def __init__(
        self, peer: Peer, command: Command, failures: FailureLog, hold: Hold | None = None
    ) -> None:
        self.peer = peer
        self.command = command
        self.failures = failures
        # Its own, because bulk buffers are put in when they have arrived.
        self.bindings = command.bindings
        self.size = size_of(command)
        self.state = JobState.QUEUED
        self.started_at = 0.0
        self.stop = Stop()
        self.flows: Flows | None = None
        self.hold = Hold() if hold is None else hold
        # What a decision about its error may change.
        self.code = command.code
        self.lifetime = command.lifetime
        self.edits: tuple[Payload, ...] = ()
        # Whether it halts if it fails; known when it is taken up, for its bindings must be kept.
        self.halts = False
        self.halt: Halt | None = None

    def replace_by(self, code: str, bindings: Payload | None) -> None:
        """Run something else in its place, the next time."""
        self.code, self.bindings, self.edits = code, bindings, ()
        self.lifetime = "command"

    def edit(self, code: str | None, bindings: Payload | None) -> None:
        """Run it with other code, or with some other bindings, the next time."""
        self.code = self.code if code is None else code
        self.edits += () if bindings is None else (bindings,)

    def let_go(self) -> None:
        """Let go of what it was given: it will not run again."""
        self.bindings, self.edits = None, ()


class CommandQueue:
    """First come, first served, bounded by count and by bytes, ahead of the GPU thread.

    ``put`` waits for room; what is in the queue has all of its data. A job is claimed by the
    GPU thread or cancelled by the loop, never both: each is one swap under the lock of the
    interpreter.
    """

    def __init__(
        self, executor: Executor, run: Callable[[Job], None], bound: Bound = DEFAULT_QUEUE
    ) -> None:
        self._executor = executor
        self._run = run
        self._gate = Gate(bound)
        self._tickets: dict[Job, list[None]] = {}

    @property
    def count(self) -> int:
        """Jobs queued or running."""
        return self._gate.count

    @property
    def size(self) -> int:
        """Bytes that they hold."""
        return self._gate.size

    async def put(self, job: Job) -> None:
        """Add a job at the end, waiting for room; nobody pushes in."""
        await self._gate.enter(job.size)
        if job.state is JobState.CANCELLED:
            self._gate.leave(job.size)
            return
        self._tickets[job] = [None]
        self._executor.submit(lambda: job.hold.take(self._take_up, job))

    def cancel(self, job: Job) -> bool:
        """Take a job out, unless the GPU thread has it; tells whether it did."""
        ticket = self._tickets.get(job)
        if ticket is None:  # not in the queue yet: its data is still on the way
            if job.state is not JobState.QUEUED:
                return False
            job.state = JobState.CANCELLED
            return True
        if not _claimed(ticket):
            return False
        job.state = JobState.CANCELLED
        self._forget(job)
        return True

    def finished(self, job: Job) -> None:
        """Make room: the GPU thread is through with this job."""
        job.state = JobState.FINISHED
        self._forget(job)

    def go_on(self, job: Job, *, again: bool = False) -> None:
        """Let a session go on that was held at this job, which may have to run again first."""
        if not again:
            job.hold.lift(self._executor)
            return
        job.state, job.stop, job.flows = JobState.QUEUED, Stop(), None
        self._tickets[job] = [None]
        job.hold.lift(self._executor, (self._take_up, job))

    def _take_up(self, job: Job) -> None:
        ticket = self._tickets.get(job)
        if ticket is not None and _claimed(ticket):
            job.state = JobState.RUNNING
            self._run(job)

    def _forget(self, job: Job) -> None:
        del self._tickets[job]
        self._gate.leave(job.size)


def _claimed(ticket: list[None]) -> bool:
    """Take the ticket; only one thread gets it, because ``list.pop`` is one step."""
    try:
        ticket.pop()
    except IndexError:
        return False
    return True

"""What executes commands: the namespace, the queue, the GPU thread and the captured output.

The loop's side decides and notifies; the GPU thread's side runs jobs and posts what came of
them through one courier. No transport is known here.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncbridge.errors import TooLarge
from asyncbridge.outcome import Error, capture
from asyncbridge.protocol.keeping import URGENT
from asyncbridge.protocol.messages import Fault, Output, Payload, Progress, StateChanged
from asyncbridge.serialization.split import freeze, split
from asyncbridge.worker.aftermath import Aftermath
from asyncbridge.worker.executor import Courier
from asyncbridge.worker.faults import describe
from asyncbridge.worker.halting import Halts
from asyncbridge.worker.inventory import inventory
from asyncbridge.worker.journal import Journal
from asyncbridge.worker.lines import Dropping
from asyncbridge.worker.lodgers import Present
from asyncbridge.worker.lodging import Lodging
from asyncbridge.worker.memory import resident_bytes
from asyncbridge.worker.namespace import Namespace
from asyncbridge.worker.overtime import Overtime, overdue_text
from asyncbridge.worker.progress import Reporting
from asyncbridge.worker.queue import CANCELLED, CommandQueue, Job
from asyncbridge.worker.recycling import Watch
from asyncbridge.worker.results import pack_up
from asyncbridge.worker.starts import Starts
from asyncbridge.worker.stopping import Stopper, was_stopped

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from asyncbridge.protocol.messages import (
        Message,
        Question,
        Release,
        StreamName,
        WorkerState,
    )
    from asyncbridge.serialization.drafts import Draft
    from asyncbridge.worker.backend import Backend
    from asyncbridge.worker.executor import Executor
    from asyncbridge.worker.holding import Hold
    from asyncbridge.worker.lines import Line
    from asyncbridge.worker.objects import Claimant
    from asyncbridge.worker.output import Capture
    from asyncbridge.worker.peer import Peer
    from asyncbridge.worker.recycling import Limits
    from asyncbridge.worker.results import Held

    Ended: TypeAlias = Payload | Draft | Fault | None

__all__ = ["Engine"]

log = logging.getLogger(__name__)

LOG_KEPT = 256
"""Pieces of the worker's own output that are kept for a session that comes later."""


class Engine:
    """One worker's execution, shared by its sessions.

    Args:
        loop: The loop on which peers are notified.
        executor: Runs the jobs; in a worker, the one GPU thread.
        backend: What is imported before the first command.
        output: The captured file descriptors, when there are any.
        journal: Where it is noted which command was taken up last.
        crash_fd: Where it is written how the process ended, if it may be ended for a command.
        clock: Seconds, for durations.
        limits: What it is replaced for, if its client does that.
        machine: Bytes of memory that there are, 0 for nobody to be told how much of it this takes.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        executor: Executor,
        backend: Backend,
        output: Capture | None = None,
        journal: Journal | None = None,
        crash_fd: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        limits: Limits | None = None,
        machine: int = 0,
    ) -> None:
        self.incarnation = secrets.token_hex(8)
        self.namespace = Namespace()
        self.backend = backend
        self.state: WorkerState = "importing"
        self.fault: Fault | None = None
        self.peers: set[Peer] = set()
        self.starts = Starts(
            running=self._running,
            busy=lambda: self.state != "importing" and not executor.idle,
            later=loop.call_later,
        )
        self.queue = CommandQueue(executor, self._run, coming=self.starts.look_soon)
        self._courier = Courier(loop, self._deliver)
        self._post = self._courier.send
        self.stopper = Stopper(loop.call_later, self._post)
        self._aftermath = Aftermath(self.stopper, self.namespace.name_of, backend.note)
        self.lodging = Lodging(
            self.namespace,
            clock=clock,
            submit=executor.submit,
            post=self._post,
            later=loop.call_later,
            guard=self._aftermath.drop,
        )
        self.halts = Halts(
            self.queue,
            incarnation=self.incarnation,
            later=loop.call_later,
            clock=clock,
            replaced=self.lodging.replace,
        )
        self._executor = executor
        self._output = output
        self.journal = Journal(None) if journal is None else journal
        self._clock = clock
        self._output_lock = threading.Lock()
        self._current: Job | None = None
        self._watch = Watch(limits, machine=machine, clock=clock)
        self._overtime = Overtime(
            post=self._post, later=loop.call_later, stopper=self.stopper, crash_fd=crash_fd
        )
        self._log: deque[Output] = deque(maxlen=LOG_KEPT)
        self._started_at = time.time()
        self._pid = os.getpid()
        self._backend_fault: Fault | None = None  # the GPU thread's view of ``fault``
        # What a command's bindings stood for at its end, for a client that wants its errors so.
        self._left: dict[str, object] = {}
        if output is not None:
            for descriptor in output.filenos():
                loop.add_reader(descriptor, self._read_output)

    # --- the loop's side ---

    def start(self) -> None:
        """Import the backend in the GPU thread, ahead of every command."""
        self._executor.submit(self._import_backend)

    def release(
        self, release: Release, claimant: Claimant, line: Line, behind: int, hold: Hold
    ) -> None:
        """Drop what a client has let go of, after the commands of its session up to this one."""
        drop = partial(self.lodging.drop, claimant, line)
        due = Dropping(names=release.names, release=release, behind=behind, drop=drop)
        self.queue.release(line, hold, due)

    def join(self, peer: Peer) -> None:
        """Add a session, and tell it what the worker has logged so far."""
        self.peers.add(peer)
        for output in self._log:
            peer.notify(output)
        if self.fault is not None:
            peer.notify(StateChanged(state=self.state, fault=self.fault))

    def leave(self, peer: Peer) -> None:
        """Take a session out."""
        self.peers.discard(peer)

    def info(self) -> dict[str, Any]:
        """Describe the worker as it is now, in plain JSON data."""
        job = self._current
        return {
            "incarnation": self.incarnation,
            "state": self.state,
            "pid": os.getpid(),
            "started_at": self._started_at,
            "memory": resident_bytes(),
            "queued": self.queue.count,
            "queued_bytes": self.queue.size,
            "sessions": len(self.peers),
            "running": None if job is None else job.info(self._clock()),
            "halted": self.halts.info(),
            **self.backend.info(),
        }

    def inventory(self, about: Question) -> dict[str, Any]:
        """Describe what lives here, in plain JSON data; in any thread."""
        return inventory(self.lodging, about)

    def ran_for(self, job: Job) -> float:
        """Return the seconds since a job was taken up, if it ever was."""
        return self._clock() - job.started_at

    def _read_output(self) -> None:
        with self._output_lock:
            # Through the courier too: some loops come to a pipe ahead of what was posted before.
            self._post_output(self._current)

    def _tell_output(self, job: Job | None, pieces: list[tuple[StreamName, str]]) -> None:
        for stream, text in pieces:
            output = Output(id=None if job is None else job.command.id, stream=stream, text=text)
            if job is not None:
                self._tell(job, output)
                continue
            self._log.append(output)
            self._broadcast(output)

    def _tell(self, job: Job, message: Message) -> None:
        """Tell something of a command that has begun."""
        self.starts.tell(job)
        job.peer.notify(message)

    def _broadcast(self, message: Message) -> None:
        for peer in self.peers:
            peer.notify(message)

    def _deliver(self, batch: list[Callable[[], None]]) -> None:
        for tell in batch:
            try:
                tell()
            except Exception:
                # One session's trouble; the others' outcomes in this batch must be told.
                log.exception("a notification failed")
        if self.queue.count:
            self.starts.look_soon()

    def _running(self) -> Job | None:
        """Return the job that runs now, when all is told of those before it."""
        self._courier.deliver()
        return self._current

    def _imported(self, fault: Fault | None) -> None:
        self.fault = fault
        self.state = "ready" if fault is None else "failed"
        self._broadcast(StateChanged(state=self.state, fault=fault))

    def _succeeded(
        self, job: Job, value: Payload, bulk: dict[str, Held], objects: tuple[int, ...]
    ) -> None:
        self.queue.finished(job)
        job.peer.completed(
            job.command.id,
            value,
            bulk,
            stopped=job.stop.told,
            objects=objects,
            holders=job.holders,
        )

    def _halted(self, job: Job, fault: Fault) -> None:
        self.starts.tell(job)
        self.halts.begin(job, fault)

    def _failed(self, job: Job, fault: Fault, because: int | None) -> None:
        self.starts.tell(job)
        self.queue.finished(job)
        job.peer.failed(job.command.id, fault, because)

    def _cancelled(self, job: Job) -> None:
        self.starts.tell(job)
        self.queue.finished(job)
        job.peer.cancelled(job.command.id)

    # --- the GPU thread's side ---

    def _import_backend(self) -> None:
        outcome = capture(self.backend.load)
        fault = describe(outcome.error) if isinstance(outcome, Error) else None
        self._drain(None)
        self._post(lambda: self._imported(fault))
        self._backend_fault = fault

    def _run(self, job: Job) -> None:
        if self._begin(job):
            self._finish(job)
            if job.command.priority < URGENT:
                self._look_at_size(job)

    def _look_at_size(self, job: Job) -> None:
        """Say that this worker should be replaced, or is large, between two commands."""
        if self.queue.is_paused or job.hold.is_up or job.line.alone:
            return
        advice = self._watch.ran(self._clock() - job.started_at)
        if advice is None:
            return
        if advice.kind == "recycle":
            self.queue.pause()
        self._post(lambda: self._broadcast(advice))

    def _begin(self, job: Job) -> bool:
        """Take the command up; return False when one that it depends on has failed."""
        after = job.command.after
        if after and (blocked := job.failures.blocking(after)) is not None:
            because, fault = blocked
            self._fail(job, fault, because)
            return False
        job.halts = job.hold.wanted
        job.started_at = self._clock()
        # First: a client that knows that it runs is sure to find it in the journal.
        self.journal.started(job.peer.session, job.command.id, job.line.ordered_id)
        job.untold = True
        self._current = job
        if job.flows is not None or job.halt is not None:  # a client may know of it already
            self._post(lambda: self.starts.tell(job))
        return True

    def _finish(self, job: Job) -> None:
        # Whatever the code has left behind, and whatever is wrong here, its outcome must be told.
        told = capture(self._run_and_tell, job)
        if isinstance(told, Error):
            self._current = None
            self._raised(job, describe(told.error))
        self.lodging.disown(job)

    def _run_and_tell(self, job: Job) -> None:
        # The limit holds for whatever may run code of the user's; copies are made after it.
        with (
            Reporting(partial(self._report, job)),
            Present(self.lodging, job.peer.claimant, self.queue, self._watch),
            self._overtime.limiting(job),
        ):
            ended = self._ended(job)
        if ended is None:
            job.failures.add(job.command.id, CANCELLED)
            self._post(lambda: self._cancelled(job))
            return
        if isinstance(ended, Fault):
            self._raised(job, ended)
            return
        # Where no interrupt strikes any more: what is copied into shared memory must not get lost.
        value, bulk = pack_up(
            ended,
            prefix=f"{job.command.id}",
            place=job.peer.place,
            largest=job.peer.largest,
        )
        if job.halts:  # else it has nothing any more
            job.let_go()
        self._post(partial(self._succeeded, job, value, bulk, self.lodging.claim(job)))

    def _ended(self, job: Job) -> Ended:
        """Run a command's code, and what it leaves behind; return what it came to."""
        outcome = self.stopper.run(job.stop, partial(self._execute, job))
        if job.flows is not None:
            job.flows.close()
        capture(self.backend.settle)
        if os.getpid() != self._pid:
            # A fork in the command's code has come out here, too: there is one worker only.
            os._exit(0)
        left, self._left = self._left, {}
        # The one name for the error, so that it can be let go of where that may be interrupted.
        errors = [outcome.error] if isinstance(outcome, Error) else []
        ended: Ended = None if isinstance(outcome, Error) else outcome.value
        del outcome
        if errors or job.stop.told:
            ended = self._judged(job, errors, ended, left)
        if errors or left:
            self._aftermath.let_go(job.stop, errors, left)
        self._drain(job)
        self.journal.finished()
        return ended

    def _judged(
        self, job: Job, errors: list[BaseException], value: Ended, left: dict[str, object]
    ) -> Ended:
        """Return the value, what is told of the error, or None for a command that was stopped."""
        stop = job.stop
        stopped = was_stopped(stop, errors[0] if errors else None)
        if stop.overdue and (stopped or stop.told):
            return Fault(type="TimeoutError", message=overdue_text(job))
        if stopped:
            return None
        if errors:
            return self._aftermath.told(stop, errors[0], left if job.peer.locals else None)
        return value

    def _raised(self, job: Job, fault: Fault) -> None:
        """Let a failure stand, or halt the session at it; without a backend nobody is asked."""
        if job.halts and job.hold.wanted and self._backend_fault is None:
            job.hold.put_up()
            self._post(lambda: self._halted(job, fault))
        else:
            self._fail(job, fault, None)

    def _fail(self, job: Job, fault: Fault, because: int | None) -> None:
        job.failures.add(job.command.id, fault)
        self._post(lambda: self._failed(job, fault, because))

    def _execute(self, job: Job) -> Payload | Draft:
        if self._backend_fault is not None:
            raise ImportError(
                f"the worker could not import {self.backend.name}: {self._backend_fault.message}"
            )
        lodging = self.lodging
        bindings = {} if job.bindings is None else lodging.read(job, job.bindings)
        for edit in job.edits:
            bindings |= lodging.read(job, edit)
        lodging.check(job, bindings)
        # What lies in shared memory goes back with its last array, ahead of the outcome; of one
        # that may run again, once it has an outcome.
        if not job.halts:
            job.let_go()
        if job.lifetime != "command":
            job.line.keep(bindings, job.command.id)
        try:
            if job.flows is None:
                result = self._run_code(job, bindings)
            else:
                with job.flows.flowing(bindings, self._post) as bindings:
                    result = self._run_code(job, bindings)
        except Exception as error:
            capture(self.backend.clean, error, job.code, bindings)
            raise
        return lodging.settle(job, bindings, result)

    def _run_code(self, job: Job, bindings: dict[str, Any]) -> object:
        left = self._left if job.peer.locals else None
        lifetime = "command" if job.lifetime == "command" else "eternal"
        return self.namespace.run(job.code, bindings, lifetime=lifetime, left=left)

    def _report(self, job: Job, value: object, *, transient: bool) -> None:
        """Send what a command's code reports; from any thread of it."""
        payload, bulk = split(freeze(value, path="report"), prefix=f"{job.command.id}")
        if bulk:
            raise TooLarge("a report travels beside commands: it holds no large arrays")
        message = Progress(id=job.command.id, value=payload, transient=transient)
        self._post(lambda: self._tell(job, message))

    def _drain(self, job: Job | None) -> None:
        """Read what was printed so far, so that it is told as the job's, before its outcome."""
        if self._output is None:
            self._current = None
            return
        self._output.flush_python_streams(
            None if job is None else partial(self._aftermath.do, job.stop)
        )
        with self._output_lock:
            self._post_output(job)
            self._current = None

    def _post_output(self, job: Job | None) -> None:
        """Post what waits in the pipes; under the lock, so that it is told in its order."""
        pieces = [] if self._output is None else self._output.drain()
        if pieces:
            self._post(lambda: self._tell_output(job, pieces))

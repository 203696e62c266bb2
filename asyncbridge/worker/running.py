"""The GPU thread's side of a worker's execution: jobs are run here, and what came of them is posted."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncbridge.errors import TooLarge
from asyncbridge.outcome import Error, capture
from asyncbridge.protocol.keeping import URGENT
from asyncbridge.protocol.messages import Advice, Fault, Payload, Progress
from asyncbridge.serialization.split import freeze, split
from asyncbridge.worker.faults import describe
from asyncbridge.worker.overtime import overdue_text
from asyncbridge.worker.progress import Reporting
from asyncbridge.worker.queue import CANCELLED
from asyncbridge.worker.results import pack_up
from asyncbridge.worker.stopping import was_stopped

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from asyncbridge.protocol.messages import Message, StreamName
    from asyncbridge.serialization.drafts import Draft
    from asyncbridge.worker.aftermath import Aftermath
    from asyncbridge.worker.backend import Backend
    from asyncbridge.worker.journal import Journal
    from asyncbridge.worker.lodgers import Present
    from asyncbridge.worker.lodging import Lodging
    from asyncbridge.worker.namespace import Namespace
    from asyncbridge.worker.objects import Claimant
    from asyncbridge.worker.output import Capture
    from asyncbridge.worker.overtime import Overtime
    from asyncbridge.worker.queue import CommandQueue, Job
    from asyncbridge.worker.recycling import Watch
    from asyncbridge.worker.results import Held
    from asyncbridge.worker.starts import Starts
    from asyncbridge.worker.stopping import Stopper

    Ended: TypeAlias = Payload | Draft | Fault | None

__all__ = ["Running"]


class Running(ABC):
    """Adds it to an engine, which decides and notifies on the loop."""

    backend: Backend
    journal: Journal
    lodging: Lodging
    namespace: Namespace
    queue: CommandQueue
    starts: Starts
    stopper: Stopper
    _aftermath: Aftermath
    _backend_fault: Fault | None
    _clock: Callable[[], float]
    _current: Job | None
    _left: dict[str, object]
    _output: Capture | None
    _output_lock: threading.Lock
    _overtime: Overtime
    _pid: int
    _present: Present
    _post: Callable[[Callable[[], None]], None]
    _watch: Watch

    # --- what is done with it on the loop ---

    @abstractmethod
    def _tell(self, job: Job, message: Message) -> None:
        """Tell something of a command that has begun."""

    @abstractmethod
    def _tell_output(self, job: Job | None, pieces: list[tuple[StreamName, str]]) -> None:
        """Tell what was printed."""

    @abstractmethod
    def _broadcast(self, message: Message) -> None:
        """Tell something to every client."""

    @abstractmethod
    def _imported(self, fault: Fault | None) -> None:
        """Take the end of the backend's import."""

    @abstractmethod
    def _succeeded(
        self,
        job: Job,
        value: Payload,
        bulk: dict[str, Held],
        claimant: Claimant,
        objects: tuple[int, ...],
    ) -> None:
        """Tell a value, which refers to objects that were claimed for a client."""

    @abstractmethod
    def _halted(self, job: Job, fault: Fault) -> None:
        """Have a failure decided about."""

    @abstractmethod
    def _failed(self, job: Job, fault: Fault, because: int | None) -> None:
        """Tell a failure."""

    @abstractmethod
    def _cancelled(self, job: Job) -> None:
        """Tell that there is no outcome."""

    # --- the thread's own ---

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
        advice = self._watch.ran(self._clock() - job.started_at)
        if advice is None or self.queue.is_paused or job.hold.is_up or job.line.alone:
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
            self._present.of(job.peer.claimant),
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
        claimant = job.peer.claimant
        objects = self.lodging.claim(job, claimant)
        self._post(partial(self._succeeded, job, value, bulk, claimant, objects))

    def _ended(self, job: Job) -> Ended:
        """Run a command's code, and what it leaves behind; return what it came to."""
        outcome = self.stopper.run(job.stop, partial(self._execute, job))
        self.lodging.passing = ()
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
        if job.bound:
            self._tell_holders(job)
        self._drain(job)
        self.journal.finished()
        return ended

    def _tell_holders(self, job: Job) -> None:
        for told in self.lodging.left(job):
            advice = Advice(kind="holders", text=f"command {job.command.id}: {told}")
            self._post(partial(job.peer.notify, advice))

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
        if job.lifetime == "command":
            lodging.passing = bindings
        else:
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
        except BaseException as error:
            lodging.fail(job, bindings)
            if isinstance(error, Exception):
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

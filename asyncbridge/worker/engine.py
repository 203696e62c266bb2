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

from asyncbridge.protocol.messages import Fault, Output, Payload, StateChanged
from asyncbridge.worker.aftermath import Aftermath
from asyncbridge.worker.executor import Courier
from asyncbridge.worker.halting import Halts
from asyncbridge.worker.inventory import inventory
from asyncbridge.worker.journal import Journal
from asyncbridge.worker.lines import Dropping
from asyncbridge.worker.lodgers import Present
from asyncbridge.worker.lodging import Lodging
from asyncbridge.worker.memory import resident_bytes
from asyncbridge.worker.namespace import Namespace
from asyncbridge.worker.overtime import Overtime
from asyncbridge.worker.queue import CommandQueue, Job
from asyncbridge.worker.recycling import Watch
from asyncbridge.worker.running import Running
from asyncbridge.worker.starts import Starts
from asyncbridge.worker.stopping import Stopper

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


class Engine(Running):
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
        self._present = Present(self.lodging, self.queue, self._watch)
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
        self,
        job: Job,
        value: Payload,
        bulk: dict[str, Held],
        claimant: Claimant,
        objects: tuple[int, ...],
    ) -> None:
        self.queue.finished(job)
        if claimant is not job.peer.claimant:  # its client has gone meanwhile
            self.lodging.move(claimant, job.peer.claimant, objects)
        more: dict[str, Any] = {}  # most have none of it
        if job.stop.told:
            more["stopped"] = True
        if objects:
            more["objects"] = objects
        if job.holders:
            more["holders"] = job.holders
        job.peer.completed(job.command.id, value, bulk, **more)

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

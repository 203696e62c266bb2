"""What a client's peer leaves to the next client of its name, and takes over from the one before.

A client's connection, its shared memory and its streams end with it. Its commands and their
outcomes do not, if the session has a name: the peer keeps them until another one takes its place.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from asyncbridge.protocol.messages import Refused, Release
from asyncbridge.protocol.states import ConnectionState
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import ChannelClosed
from asyncbridge.worker.lines import Dropping
from asyncbridge.worker.succession import LACKING, Estate, lacks_buffers, unqueued

if TYPE_CHECKING:
    from collections import deque

    from asyncbridge.protocol.messages import Command, Fault, Payload
    from asyncbridge.protocol.worker import WorkerProtocol
    from asyncbridge.transport.contract import Channel
    from asyncbridge.transport.writer import Writer
    from asyncbridge.worker.buffers import Buffers
    from asyncbridge.worker.engine import Engine
    from asyncbridge.worker.flows import Flows
    from asyncbridge.worker.holding import Hold
    from asyncbridge.worker.lines import LaneItem, Line
    from asyncbridge.worker.objects import Claimant
    from asyncbridge.worker.peer import Peer
    from asyncbridge.worker.queue import FailureLog, Job
    from asyncbridge.worker.results import Held
    from asyncbridge.worker.shelf import Shelf

__all__ = ["Legacy"]


class Legacy(ABC):
    """The part of a peer that may outlive its client.

    Attributes:
        name: Under which others may take over its commands and outcomes; empty for none.
        claimant: Whose handles are counted for its client.
    """

    name: str
    buffers: Buffers
    claimant: Claimant
    _engine: Engine
    _channel: Channel
    _protocol: WorkerProtocol
    _writer: Writer
    _shelf: Shelf
    _failures: FailureLog
    _jobs: dict[int, Job]
    _lane: deque[LaneItem]
    _line: Line
    _hold: Hold
    _asides: dict[int, asyncio.Task[None]]
    _flows: dict[int, Flows]
    _background: list[asyncio.Task[None]]
    _heir: Legacy | None
    _relieved: asyncio.Future[None]

    @property
    @abstractmethod
    def session(self) -> str:
        """The session's id, empty before its hello."""

    def bequeath(self, told: str) -> Estate:
        """Hand over what there is; the client, if it is still there, is told why."""
        if self._protocol.state is not ConnectionState.CLOSED:
            self._protocol.lose()
            spawn(self._put_out(told), name="asyncbridge-put-out")
        self._stop_feeding()
        self._keep()
        estate = Estate(
            ledger=self._protocol.ledger,
            jobs=self._jobs,
            failures=self._failures,
            lane=list(self._lane),
            line=self._line,
            hold=self._hold,
            claimant=self.claimant,
        )
        self._shelf.remove(self._protocol)
        self._jobs = {}
        self._lane.clear()
        self._relieve()
        return estate

    def inherit(self, estate: Estate, before: Legacy) -> None:
        """Go on with what another client has left; ahead of the hello."""
        before._heir = self
        self._protocol.inherit(estate.ledger, self._look)
        self._failures = estate.failures
        self._line, self._hold = estate.line, estate.hold
        self._engine.lodging.leave(self.claimant)
        self.claimant = estate.claimant
        self._jobs = estate.jobs
        for job in estate.jobs.values():
            job.peer = self._peer()
        for item in estate.lane:
            self._into_lane(item)

    def _look(self, command: Command) -> tuple[int, int]:
        """Tell a command's present priority, and since how many milliseconds it runs, if it does."""
        job = self._jobs.get(command.id)
        if job is None:  # its outcome is about to be told
            return command.priority, 0
        return job.command.priority, round(self._engine.ran_for(job) * 1000)

    async def _put_out(self, told: str) -> None:
        if self._channel.is_connected:
            with contextlib.suppress(ChannelClosed):
                await self._channel.write([Refused(code="taken", message=told)])
        await self._channel.close()

    def _relieve(self) -> None:
        if not self._relieved.done():
            self._relieved.set_result(None)

    def _keep(self) -> None:
        """Make what is left independent of the client: its memory, its streams, its buffers."""
        self._protocol.ledger.disclaim()
        if self.name:
            self._part_handles()
        for flows in self._flows.values():
            flows.close(lost=True)
        self._flows.clear()
        for job in unqueued(self._jobs.values(), self._engine):
            if lacks_buffers(job, self.buffers.store):
                self._fail_unrun(job, LACKING)
        self._line_up()
        self.buffers.close()
        self._protocol.ledger.unlend()
        self._shelf.look(self._protocol)

    def _part_handles(self) -> None:
        """Let go of the client's handles, behind its commands; what it was not told stays."""
        lodging = self._engine.lodging
        before, self.claimant = self.claimant, lodging.enter(self.name)
        outcomes = self._protocol.ledger.outcomes.values()
        newest = self._protocol.ledger.used.newest
        lodging.move(before, self.claimant, tuple(n for each in outcomes for n in each.objects))
        due = Dropping(
            names=(),
            release=Release(),
            behind=max(self._jobs, default=0),
            drop=lambda _: lodging.leave_behind(before, self._line, newest),
        )
        self._engine.queue.release(self._line, self._hold, due)

    def _line_up(self) -> None:
        """Put back what was being brought into the queue."""
        waiting = unqueued(self._jobs.values(), self._engine)
        rest = [item for item in self._lane if isinstance(item, tuple) or item in waiting]
        ahead = [job for job in waiting if job not in rest]
        self._lane.clear()
        for item in (*ahead, *rest):
            self._into_lane(item)

    # --- outcomes that nobody waits for now ---

    def _shelve(self, command_id: int, value: Payload, bulk: dict[str, Held], **more: Any) -> None:
        """Keep a value until somebody asks for it."""
        if self._heir is not None:
            self._heir._shelve(command_id, value, bulk, **more)
            return
        owned = self.buffers.owned(bulk)
        if owned and self._protocol.is_waited_for(command_id):
            self.buffers.store.offer(command_id, owned)
        self._protocol.completed(command_id, value, **more)
        if owned:
            self._protocol.ledger.hold(command_id, owned)
        self._shelf.look(self._protocol)
        self._writer.wake()

    def _claim(self, command_id: int) -> None:
        """Tell an outcome that has waited."""
        outcome = self._protocol.ledger.outcomes[command_id]
        bulk = outcome.bulk if outcome.stored is None else outcome.stored.buffers()
        if bulk:
            self.buffers.store.offer(command_id, dict(bulk))
        self._protocol.tell_again(command_id)

    # --- steps of its end ---

    async def _outlive(self) -> None:
        """Bring what the client has left into the queue, until another client takes over."""
        if self._relieved.done():
            return
        async with asyncio.TaskGroup() as tasks:
            self._background = [tasks.create_task(self._feed(tasks))]
            await asyncio.shield(self._relieved)
            self._stop_feeding()

    def _stop_feeding(self) -> None:
        for task in (*self._background, *self._asides.values()):
            task.cancel()

    def _fail_unrun(self, job: Job, fault: Fault) -> None:
        self._failures.add(job.command.id, fault)
        self._engine.queue.cancel(job)
        self.failed(job.command.id, fault, None)

    def _left_by_client(self, *, gone: bool) -> list[int]:
        """Return the commands that end with their client."""
        ledger = self._protocol.ledger
        if not self.name:
            ids = list(ledger.unfinished)
            ledger.clear()
            return ids
        # It has said goodbye: what it waited for ends, and the rest is left to others.
        stays = gone or self._protocol.detached
        return [] if stays else ledger.give_up()

    def _give_up(self, ids: list[int]) -> None:
        for command_id in ids:
            job = self._jobs.pop(command_id, None)
            if job is not None and not self._engine.queue.cancel(job):
                self._engine.halts.give_up(job)
                # Nobody is left who could have its value, or stop it.
                self._engine.stopper.ask(job.stop, "auto")
        if not self.name:
            self._lane.clear()

    @abstractmethod
    def _peer(self) -> Peer:
        """Return this one, as what the engine knows."""

    @abstractmethod
    def _into_lane(self, item: LaneItem) -> None:
        """Add to what is on its way to the queue."""

    @abstractmethod
    async def _feed(self, tasks: asyncio.TaskGroup) -> None:
        """Bring it into the queue."""

    @abstractmethod
    def failed(self, command_id: int, fault: Fault, because: int | None) -> None:
        """Tell the client a command's failure."""

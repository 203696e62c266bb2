"""A session's commands on their way into the worker's queue, in order, as soon as their data is here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncbridge.protocol.messages import BulkRef
from asyncbridge.serialization.split import join
from asyncbridge.transport.bulk import NotComing
from asyncbridge.worker.faults import describe
from asyncbridge.worker.legacy import Legacy
from asyncbridge.worker.queue import Job, JobState
from asyncbridge.worker.streams import arrivals

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from asyncbridge.protocol.messages import Release
    from asyncbridge.worker.lines import LaneItem

__all__ = ["Lane", "bulk_of"]


class Lane(Legacy):
    """The part of a peer that feeds the queue."""

    _lane_ready: asyncio.Event
    _feeding: bool

    def _passes_lane(self, job: Job) -> bool:
        """Put a job into the queue at once, if nothing is before it and nothing is to be waited for."""
        if self._lane or self._feeding or self._asides or job.state is not JobState.QUEUED:
            return False
        return not bulk_of(job) and self._engine.queue.put_now(job)

    def _into_lane(self, item: LaneItem) -> None:
        self._lane.append(item)
        self._lane_ready.set()

    async def _feed(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await self._lane_ready.wait()
            self._lane_ready.clear()
            while self._lane:
                item = self._lane.popleft()
                self._feeding = True
                if isinstance(item, tuple):
                    self._release(*item, tasks)
                elif item.command.aside and bulk_of(item):
                    self._put_aside(item.command.id, self._forward(item), tasks)
                else:
                    for command_id in self._asides.keys() & set(item.command.after):
                        await asyncio.wait([self._asides[command_id]])
                    await self._forward(item)
                self._feeding = False

    def _put_aside(
        self, command_id: int, work: Coroutine[None, None, None], tasks: asyncio.TaskGroup
    ) -> None:
        """Do something while others pass."""
        task = self._asides[command_id] = tasks.create_task(work)
        task.add_done_callback(lambda _: self._asides.pop(command_id, None))

    def _release(self, release: Release, behind: int, tasks: asyncio.TaskGroup) -> None:
        """Drop bindings, behind the commands that may still set them."""
        if not self._asides:
            self._engine.release(release, self.claimant, self._line, behind, self._hold)
            return
        ahead = tuple(self._asides.values())

        async def later() -> None:
            await asyncio.wait(ahead)
            self._engine.release(release, self.claimant, self._line, behind, self._hold)

        # Negative, and so no command's: a later release waits for this one, too.
        self._put_aside(min(0, *self._asides) - 1, later(), tasks)

    async def _forward(self, job: Job) -> None:
        bindings = job.command.bindings
        if bindings is not None and job.bindings is bindings and bulk_of(job):
            try:
                job.bindings = join(bindings, await arrivals(self.buffers.store, bindings))
            except NotComing:
                return
            except OSError as error:
                self._fail_unrun(job, describe(error))
                return
        if job.state is JobState.QUEUED:
            await self._engine.queue.put(job)


def bulk_of(job: Job) -> list[BulkRef]:
    """Return the buffers of a command that travel by themselves."""
    bindings = job.command.bindings
    return [] if bindings is None else [b for b in bindings.buffers if isinstance(b, BulkRef)]

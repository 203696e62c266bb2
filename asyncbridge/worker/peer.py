"""One session's connection, from the worker's side: the shell around ``WorkerProtocol``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING

from asyncbridge.errors import DecodeError, RemoteProtocolError
from asyncbridge.protocol.messages import (
    Acknowledge,
    BulkRef,
    Cancel,
    Command,
    Goodbye,
    Hello,
    Info,
    InfoRequest,
    Release,
)
from asyncbridge.protocol.states import ConnectionState
from asyncbridge.protocol.worker import WorkerProtocol
from asyncbridge.serialization.split import join
from asyncbridge.transport.bulk import BulkStore
from asyncbridge.transport.contract import ChannelClosed
from asyncbridge.transport.writer import Writer
from asyncbridge.worker.queue import CANCELLED, FailureLog, Job, JobState

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Buffer, Fault, Message, Payload
    from asyncbridge.transport.contract import Channel
    from asyncbridge.worker.engine import Engine

__all__ = ["Peer"]

log = logging.getLogger(__name__)


class Peer:
    """Serves one connection until it ends; its queued commands end with it.

    Args:
        engine: Executes the commands.
        channel: The open connection.
        registry: The worker's sessions by id; the peer is in it while it is connected.
    """

    def __init__(self, engine: Engine, channel: Channel, registry: dict[str, Peer]) -> None:
        self.bulk = BulkStore()
        self._engine = engine
        self._channel = channel
        self._registry = registry
        self._protocol = WorkerProtocol(incarnation=engine.incarnation)
        self._writer = Writer(channel, self._protocol.outgoing)
        self._failures = FailureLog()
        self._jobs: dict[int, Job] = {}
        self._lane: deque[Job | Release] = deque()
        self._lane_ready = asyncio.Event()

    @property
    def session(self) -> str:
        """The session's id, empty before its hello."""
        return self._protocol.session

    async def serve(self) -> None:
        """Serve the connection until either side ends it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                background = [tasks.create_task(self._writer.run()),
                              tasks.create_task(self._feed())]  # fmt: skip
                await self._read()
                await self._writer.flush()
                for task in background:
                    task.cancel()
        except* ChannelClosed as group:
            log.debug("session %s: %s", self.session, group.exceptions[0])
        except* (DecodeError, RemoteProtocolError) as group:
            log.warning("session %s is cut off: %s", self.session, group.exceptions[0])
            await self.goodbye(f"it does not keep to the protocol: {group.exceptions[0]}")
        finally:
            self._close()
            await self._channel.close()

    async def goodbye(self, reason: str) -> None:
        """Tell the client why its connection ends now, if it still listens."""
        with contextlib.suppress(ChannelClosed):
            await self._channel.write([Goodbye(reason=reason)])

    # --- what became of the commands; called by the engine, on the loop ---

    def started(self, command_id: int) -> None:
        """Tell the client that a command runs."""
        if command_id in self._jobs:
            self._protocol.started(command_id)
            self._writer.wake()

    def completed(
        self, command_id: int, value: Payload, bulk: dict[str, Buffer], *, stopped: bool
    ) -> None:
        """Tell the client a command's value, whose large buffers wait to be fetched."""
        if self._jobs.pop(command_id, None) is None:
            return
        if bulk:
            self.bulk.offer(command_id, bulk)
        self._protocol.completed(command_id, value, stopped=stopped)
        self._writer.wake()

    def failed(self, command_id: int, fault: Fault, because: int | None) -> None:
        """Tell the client a command's failure."""
        if self._jobs.pop(command_id, None) is None:
            return
        self._protocol.failed(command_id, fault, because=because)
        self._writer.wake()

    def cancelled(self, command_id: int) -> None:
        """Tell the client that a command has come to no outcome, as it wished."""
        if self._jobs.pop(command_id, None) is None:
            return
        self._protocol.cancelled(command_id)
        self._writer.wake()

    def notify(self, message: Message) -> None:
        """Tell the client anything else."""
        self._protocol.notify(message)
        self._writer.wake()

    # --- what the client says ---

    async def _read(self) -> None:
        while self._protocol.state is not ConnectionState.CLOSED:
            for message in await self._channel.read():
                wanted = self._protocol.receive(
                    message, worker_state=self._engine.state, taken=self._registry
                )
                if wanted is not None:
                    self._handle(wanted)
            self._writer.wake()

    def _handle(self, message: Message) -> None:
        match message:
            case Command():
                self._enqueue(message)
            case Cancel():
                self._cancel(message)
            case Acknowledge():
                for command_id in message.ids:
                    self.bulk.acknowledged(command_id)
            case InfoRequest():
                self.notify(Info(id=message.id, info=self._engine.info()))
            case Release():
                self._into_lane(message)
            case Hello() if self._protocol.state is ConnectionState.OPEN:
                self._registry[self.session] = self
                self._engine.join(self)

    def _enqueue(self, command: Command) -> None:
        job = self._jobs[command.id] = Job(self, command, self._failures)
        self._into_lane(job)

    def _into_lane(self, item: Job | Release) -> None:
        self._lane.append(item)
        self._lane_ready.set()

    def _cancel(self, message: Cancel) -> None:
        job = self._jobs.get(message.id)
        if job is None:
            return
        if self._engine.queue.cancel(job):
            self._failures.add(message.id, CANCELLED)
            self.cancelled(message.id)
        else:
            self._engine.stopper.ask(job.stop, message.mode)

    # --- from the session's lane to the queue, in order ---

    async def _feed(self) -> None:
        while True:
            await self._lane_ready.wait()
            self._lane_ready.clear()
            while self._lane:
                item = self._lane.popleft()
                if isinstance(item, Release):
                    self._engine.release(item.names)
                else:
                    await self._forward(item)

    async def _forward(self, job: Job) -> None:
        bindings = job.command.bindings
        refs = [b for b in bindings.buffers if isinstance(b, BulkRef)] if bindings else []
        if refs and bindings is not None:
            arrived = {ref.id: await self.bulk.arrival(ref) for ref in refs}
            job.bindings = join(bindings, arrived)
        if job.state is JobState.QUEUED:
            await self._engine.queue.put(job)

    def _close(self) -> None:
        if self._protocol.state is not ConnectionState.CLOSED:
            self._protocol.lose()
        for job in self._jobs.values():
            self._engine.queue.cancel(job)
        self._jobs.clear()
        self._lane.clear()
        self.bulk.close()
        self._engine.leave(self)
        if self._registry.get(self.session) is self:
            del self._registry[self.session]

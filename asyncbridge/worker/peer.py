"""One session's connection, from the worker's side: the shell around ``WorkerProtocol``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.errors import DecodeError, RemoteProtocolError
from asyncbridge.protocol.messages import (
    Acknowledge,
    Cancel,
    Claim,
    Command,
    Decide,
    Goodbye,
    Halting,
    Hello,
    Info,
    InfoRequest,
    Keep,
    Kept,
    Placed,
    Prioritize,
    QueueReport,
    QueueRequest,
    Recall,
    Release,
    Returned,
    Reuse,
    StreamEnd,
    StreamItem,
    StreamTaken,
    Tie,
)
from asyncbridge.protocol.states import ConnectionState
from asyncbridge.protocol.worker import WorkerProtocol
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import ChannelClosed
from asyncbridge.transport.writer import Writer
from asyncbridge.worker.buffers import Buffers
from asyncbridge.worker.deciding import Deciding
from asyncbridge.worker.flows import flows_of
from asyncbridge.worker.lane import Lane, bulk_of
from asyncbridge.worker.lines import Line
from asyncbridge.worker.queue import CANCELLED, FailureLog, Job
from asyncbridge.worker.shelf import Shelf
from asyncbridge.worker.streams import arrivals

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Fault, Message, Payload
    from asyncbridge.serialization.deferred import Outgoing
    from asyncbridge.transport.arena import Arena
    from asyncbridge.transport.contract import Channel
    from asyncbridge.worker.engine import Engine
    from asyncbridge.worker.flows import Flows
    from asyncbridge.worker.keeping import Room
    from asyncbridge.worker.lines import LaneItem
    from asyncbridge.worker.results import Held

__all__ = ["Peer"]

log = logging.getLogger(__name__)

ACCEPT_SECONDS: Final = 0.001
"""For how long it is not told that commands have come: the outcomes of short ones tell it, too."""


class Peer(Deciding, Lane):
    """Serves one session until it ends; its queued commands end with it, unless it has a name.

    Args:
        engine: Executes the commands.
        channel: The open connection.
        registry: The worker's sessions by id; the peer is in it while it is connected.
        arena: The worker's shared memory, if there is any.
        room: For what the worker keeps of what was streamed.
        largest: Bytes of the largest value that a client may send, 0 for any.
        name: Under which others may take over its commands and outcomes; empty for none.
        shelf: Where outcomes wait that are too many for memory.

    Attributes:
        largest: Bytes of the largest value that the client takes, 0 for any.
        locals: Whether the client wants errors to tell the variables of their frames.
        references: Whether it takes references to what has no wire form.
        debug: Whether it wants to know who keeps its bindings' values alive.
        claimant: Whose handles are counted for it.
    """

    def __init__(
        self,
        engine: Engine,
        channel: Channel,
        registry: dict[str, Peer],
        *,
        arena: Arena | None = None,
        room: Room | None = None,
        largest: int = 0,
        name: str = "",
        shelf: Shelf | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.largest = 0
        self.locals = self.references = self.debug = False
        self.claimant = engine.lodging.enter(name)
        self.buffers = Buffers(self.notify, arena=arena, room=room, largest=largest)
        self._engine = engine
        self._channel = channel
        self._registry = registry
        self._shelf = shelf or Shelf()
        self._protocol = WorkerProtocol(incarnation=engine.incarnation, named=bool(name))
        self._protocol.keeps = 0 if room is None else room.limit
        self._protocol.largest = largest
        self._writer = Writer(channel, self._protocol.outgoing)
        self._failures = FailureLog()
        self._jobs: dict[int, Job] = {}
        self._line = Line()
        self._lane: deque[LaneItem] = deque()
        self._lane_ready = asyncio.Event()
        self._feeding = False
        self._asides: dict[int, asyncio.Task[None]] = {}
        self._flows: dict[int, Flows] = {}
        self._background, self._heir = [], None
        self._relieved = asyncio.get_running_loop().create_future()

    @property
    def session(self) -> str:
        """The session's id, empty before its hello."""
        return self._protocol.session

    async def serve(self) -> None:
        """Serve the connection until either side ends it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._background = [tasks.create_task(self._writer.run()),
                                    tasks.create_task(self._feed(tasks))]  # fmt: skip
                await self._read()
                await self._writer.flush()
                self._stop_feeding()
        except* ChannelClosed as group:
            log.debug("session %s: %s", self.session, group.exceptions[0])
        except* (DecodeError, RemoteProtocolError) as group:
            log.warning("session %s is cut off: %s", self.session, group.exceptions[0])
            await self.goodbye(f"it does not keep to the protocol: {group.exceptions[0]}")
        finally:
            self._close()
            await self._channel.close()
        await self._outlive()
        if self._heir is None:
            self._engine.lodging.leave(self.claimant)

    async def goodbye(self, reason: str) -> None:
        """Tell the client why its session ends now, if it still listens."""
        if self._channel.is_connected:
            with contextlib.suppress(ChannelClosed):
                await self._channel.write([Goodbye(reason=reason)])

    async def hang_up(self) -> None:
        """End the session."""
        self._relieve()
        await self._channel.close()

    # --- what became of the commands; called by the engine, on the loop ---

    def started(self, command_id: int) -> None:
        """Tell the client that a command runs."""
        if command_id in self._jobs:
            self._protocol.started(command_id)
            self._writer.wake()

    def place(self, buffer: Outgoing) -> Held:
        """Copy a large buffer to where it leaves from; in the GPU thread."""
        return self.buffers.place(buffer)

    def offer_part(self, bulk: dict[str, Held]) -> int:
        """Hold the buffers of a part until ``drop_part`` of the number that this returns."""
        return self.buffers.offer_part(bulk)

    def drop_part(self, number: int) -> None:
        """Let go of a part's buffers: the client has them."""
        self.buffers.store.acknowledged(number)

    def completed(
        self, command_id: int, value: Payload, bulk: dict[str, Held], **more: Any
    ) -> None:
        """Tell the client a command's value, whose large buffers wait to be fetched.

        What more there is to tell goes with it: see ``WorkerProtocol.completed``.
        """
        if not self._forget(command_id):
            self.buffers.give_up(bulk)
            self._engine.lodging.give_back(self.claimant, more.get("objects", ()))
        elif not self._protocol.is_waited_for(command_id):
            self._shelve(command_id, value, bulk, **more)
        elif bulk and self.buffers.are_shared:
            telling = self._complete(command_id, value, bulk, **more)
            spawn(telling, name=f"asyncbridge-result-{command_id}")
        else:
            self._tell_value(command_id, value, bulk, **more)

    async def _complete(
        self, command_id: int, value: Payload, bulk: dict[str, Held], **more: Any
    ) -> None:
        """Tell a value once its buffers lie in shared memory, as far as there is room."""
        offers, spent = await self.buffers.lend(bulk)
        self._tell_value(command_id, value, offers, **more)
        await self.buffers.let_go(spent)

    def _tell_value(
        self, command_id: int, value: Payload, bulk: dict[str, Held], **more: Any
    ) -> None:
        if self._heir is not None or self._protocol.state is not ConnectionState.OPEN:
            self._shelve(command_id, value, bulk, **more)
            return
        offers, lent = self.buffers.offer(command_id, bulk)
        self._protocol.completed(command_id, value, **more)
        if offers:
            self._protocol.ledger.hold(command_id, offers, lent=lent)
        self._shelf.look(self._protocol)
        self._writer.wake()

    def failed(self, command_id: int, fault: Fault, because: int | None) -> None:
        """Tell the client a command's failure."""
        if not self._forget(command_id):
            return
        self._protocol.failed(command_id, fault, because=because)
        self._shelf.look(self._protocol)
        self._writer.wake()

    def cancelled(self, command_id: int) -> None:
        """Tell the client that a command has come to no outcome, as it wished."""
        if not self._forget(command_id):
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
                if self._relieved.done():  # another client has all that there was
                    return
                if isinstance(message, Hello):
                    self._meet(message)
                wanted = self._protocol.receive(
                    message, worker_state=self._engine.state, taken=self._registry
                )
                if wanted is not None:
                    self._handle(wanted)
            self._answer()

    def _answer(self) -> None:
        """Have written what is to be said now; that commands have come can wait for an outcome."""
        if self._protocol.is_pressed or self._protocol.state is not ConnectionState.OPEN:
            self._writer.wake()
        else:
            self._writer.wake_later(ACCEPT_SECONDS)

    def _handle(self, message: Message) -> None:
        match message:
            case Command():
                self._enqueue(message)
            case Cancel():
                self._cancel(message)
            case Acknowledge():
                for command_id in message.ids:
                    self.buffers.store.acknowledged(command_id)
            case InfoRequest():
                spawn(self._inform(message), name="asyncbridge-info")
            case Keep():
                self._keep_value(message.id)
            case Tie():
                self._engine.lodging.tie(self.claimant, message)
            case Release():
                self._into_lane((message, max(self._jobs, default=0)))
            case QueueRequest():
                self._engine.starts.look()
                ahead, others = self._engine.queue.ahead_of(self._line)
                self.notify(QueueReport(id=message.id, ahead=tuple(ahead), others=others))
            case Prioritize():
                if (job := self._jobs.get(message.id)) is not None:
                    self._engine.queue.prioritize(job, message.priority)
            case Placed():
                self.buffers.placed(message)
            case Returned():
                self._protocol.ledger.returned(message.ids)
                self.buffers.returned(message.ids)
            case Claim():
                self._claim(message.id)
            case Recall(id=""):
                self.buffers.drop(message.kept)
            case Recall():
                spawn(self.buffers.recall(message), name=f"asyncbridge-recall-{message.id}")
            case Reuse():
                self.buffers.reuse(message)
            case StreamTaken() | StreamItem() | StreamEnd():
                self._flow(message)
            case Halting() | Decide():
                self._decide(message)
            case Hello() if self._protocol.state is ConnectionState.OPEN:
                self._registry[self.session] = self
                self._shelf.add(self._protocol, self.buffers.store)
                self._engine.join(self)

    async def _inform(self, message: InfoRequest) -> None:
        if message.about == "worker":
            self._engine.starts.look()
            info = {**self._engine.info(), "transfers": self.buffers.figures()}
        else:  # in a thread: it looks at many objects, and some are of the user's classes
            info = await asyncio.to_thread(self._engine.inventory, message.about)
        self.notify(Info(id=message.id, info=info))

    def _keep_value(self, command_id: int) -> None:
        job = self._jobs.get(command_id)
        kept = job is not None and self._engine.lodging.keep(job, self._line)
        self.notify(Kept(id=command_id, kept=kept))

    def _flow(self, message: StreamTaken | StreamItem | StreamEnd) -> None:
        """Let a command have it; what comes for one that has ended is let go of."""
        flows = self._flows.get(message.id)
        if flows is not None:
            flows.receive(message)
        elif isinstance(message, StreamItem):
            spawn(arrivals(self.buffers.store, message.value), name="asyncbridge-late-item")
        if message.id not in self._jobs:
            self._forget(message.id)

    def _forget(self, command_id: int) -> bool:
        """Let go of a command that has ended; return whether it was still known."""
        flows = self._flows.get(command_id)
        if flows is not None and flows.idle:
            del self._flows[command_id]
        return self._jobs.pop(command_id, None) is not None

    def _broken(self, error: BaseException) -> None:
        """End the connection: what the client has sent is of no use."""
        log.warning("session %s is cut off: %s", self.session, error)
        spawn(self._channel.close(), name="asyncbridge-cut-off")

    def _meet(self, hello: Hello) -> None:
        """Take what the client says of itself; share memory with it, if this process can."""
        self.largest = hello.largest
        self.locals, self.references = hello.locals, hello.references
        self.debug = hello.debug
        self.claimant.owner = self.claimant.owner or hello.session
        met = self.buffers.meet(hello.arena)
        if met is not None:
            self._protocol.arena, self._protocol.proof = met

    def _enqueue(self, command: Command) -> None:
        job = self._jobs[command.id] = Job(
            self, command, self._failures, line=self._line, hold=self._hold
        )
        job.flows = flows_of(command, self, self.buffers.store, self._broken)
        if job.flows is not None:
            self._flows[command.id] = job.flows
        self._drop_late(command.id)
        if not self._passes_lane(job):
            self._into_lane(job)

    def _peer(self) -> Peer:
        return self

    def _cancel(self, message: Cancel) -> None:
        job = self._jobs.get(message.id)
        if job is None:
            return
        if self._engine.queue.cancel(job):
            self._failures.add(message.id, CANCELLED)
            self.cancelled(message.id)
            if message.lacking:  # the lane may be waiting for them
                self.buffers.store.abandon(ref.id for ref in bulk_of(job))
        elif not self._engine.halts.cancel(job, message.mode):
            self._engine.stopper.ask(job.stop, message.mode)
            if job.flows is not None and message.mode != "dequeue":
                job.flows.close()  # its code may be waiting for an item

    def _close(self) -> None:
        """Let go of the client, and of all that it leaves to nobody."""
        gone = self._protocol.state is not ConnectionState.CLOSED
        if gone:
            self._protocol.lose()
        if self._heir is None:
            self._give_up(self._left_by_client(gone=gone))
            self._keep()
            if self._protocol.ledger.is_empty:
                self._shelf.remove(self._protocol)
                self._relieve()
        self._engine.leave(self)
        if self._registry.get(self.session) is self:
            del self._registry[self.session]

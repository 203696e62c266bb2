"""What a session does about its commands that have failed, and wait for a decision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from asyncbridge.protocol.limits import LONGEST_S
from asyncbridge.protocol.messages import Decide, Decided, Dropped, Halted, Halting, Resumed
from asyncbridge.serialization.split import join
from asyncbridge.tasks import spawn
from asyncbridge.transport.bulk import NotComing
from asyncbridge.worker.halting import DROPPED
from asyncbridge.worker.holding import Hold
from asyncbridge.worker.streams import arrivals, has_bulk

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Message, Payload
    from asyncbridge.protocol.worker import WorkerProtocol
    from asyncbridge.transport.writer import Writer
    from asyncbridge.worker.buffers import Buffers
    from asyncbridge.worker.engine import Engine
    from asyncbridge.worker.queue import FailureLog, Job

__all__ = ["Deciding"]


class Deciding(ABC):
    """Adds it to a peer."""

    _engine: Engine
    _failures: FailureLog
    _jobs: dict[int, Job]
    _protocol: WorkerProtocol
    _writer: Writer
    buffers: Buffers

    def __init__(self) -> None:
        self._hold = Hold()
        self._dropping = Dropped(ids=(), because=0, error="")
        # None while the client has not said which its newest was when it heard of the decision.
        self._drop_limit: int | None = 0

    def knows(self, job: Job) -> bool:
        """Tell whether somebody waits for a command's outcome."""
        return job.command.id in self._jobs

    def halted(self, message: Halted) -> None:
        """Tell the client that a command has failed, and waits for a decision."""
        self._protocol.halted(message)
        self._writer.wake()

    def resumed(self, message: Resumed) -> None:
        """Tell the client that a halted command is to run once more."""
        self._protocol.resumed(message)
        self._writer.wake()

    def limit(self, message: Halted, seconds: float) -> None:
        """Let the error of a command that has halted stand after so long."""
        self._engine.halts.limit(message.error, message.epoch, seconds)

    def drop(self, newest: int | None, *, because: int, error: str) -> None:
        """Drop commands that are not to run.

        Args:
            newest: The last of them, which may not have come yet; None where the client has yet
                to hear of it, and to say so.
            because: The command at which they were halted.
            error: Id of its error.
        """
        self._drop_limit = newest
        self._dropping = Dropped(ids=(), because=because, error=error)
        ids = [number for number in self._jobs if newest is None or number <= newest]
        self._drop([number for number in ids if number != because], asks=newest is None)

    def _drop_late(self, command_id: int) -> None:
        """Drop a command that has come only now, if it was sent before its client knew of that."""
        if self._drop_limit is None or command_id <= self._drop_limit:
            self._drop([command_id])

    def _drop(self, ids: list[int], *, asks: bool = False) -> None:
        for command_id in ids:
            job = self._jobs[command_id]
            self._engine.queue.cancel(job)
            self._failures.add(command_id, DROPPED)
            if job.flows is not None:
                job.flows.close()
            self._forget(command_id)
        self._protocol.dropped(replace(self._dropping, ids=tuple(ids), asks=asks))
        self._writer.wake()

    # --- what clients say ---

    def _decide(self, message: Halting | Decide) -> None:
        if isinstance(message, Halting):
            self._hold.wanted = message.on
            self._hold.timeout = min(message.timeout_ms, LONGEST_S * 1000) / 1000 or None
            return
        if self._drop_limit is None and self._is_dropping_by(message):
            self._drop_limit = message.newest
        if message.values is not None and has_bulk(message.values):
            work = self._decide_later(message, message.values)
            spawn(work, name=f"asyncbridge-decide-{message.number}")
        else:
            self._engine.halts.decide(self, message)

    def _is_dropping_by(self, decision: Decide) -> bool:
        """Tell whether the client decides what somebody else has decided already."""
        return decision.kind == "drop" and decision.error == self._dropping.error

    async def _decide_later(self, decision: Decide, values: Payload) -> None:
        """Decide once the large buffers of the decision's values are here."""
        try:
            values = join(values, await arrivals(self.buffers.store, values))
        except (NotComing, OSError) as error:
            refusal = f"its values did not come: {error}"
            self.notify(Decided(number=decision.number, refusal=refusal))
        else:
            self._engine.halts.decide(self, replace(decision, values=values))

    # --- what the peer does ---

    @abstractmethod
    def notify(self, message: Message) -> None:
        """Tell the client anything."""

    @abstractmethod
    def _forget(self, command_id: int) -> bool:
        """Let go of a command that has ended."""

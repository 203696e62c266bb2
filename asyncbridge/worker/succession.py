"""The named sessions of a worker, and what passes from one client of a name to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from asyncbridge.protocol.messages import BulkRef, Fault
from asyncbridge.serialization.split import join
from asyncbridge.worker.queue import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncbridge.protocol.ledger import Ledger
    from asyncbridge.transport.bulk import BulkStore
    from asyncbridge.worker.engine import Engine
    from asyncbridge.worker.holding import Hold
    from asyncbridge.worker.lines import LaneItem, Line
    from asyncbridge.worker.objects import Claimant
    from asyncbridge.worker.peer import Peer
    from asyncbridge.worker.queue import FailureLog, Job

__all__ = ["LACKING", "Estate", "Names", "lacks_buffers", "unqueued"]

LACKING: Final = Fault(
    type="asyncbridge.TransferError",
    message="the client was gone before all of the command's large bindings had come",
)
"""What a command fails with whose bindings are not here, and never will be."""
FENCED_KEPT: Final = 1024
"""Clients that were put out whose return is answered with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """What passes from one client of a name to the next.

    Attributes:
        ledger: The commands and outcomes.
        jobs: Of the commands that are queued or run.
        failures: For those that depend on failed ones.
        lane: What is not in the worker's queue yet, in order.
        line: What is in it.
        hold: What keeps that back while one of them is halted.
        claimant: Whose handles are counted for the session, whoever is its client.
    """

    ledger: Ledger
    jobs: dict[int, Job]
    failures: FailureLog
    lane: list[LaneItem]
    line: Line
    hold: Hold
    claimant: Claimant


class Names:
    """The named sessions of a worker: each has one peer at a time."""

    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}
        self._fenced: dict[str, str] = {}

    def succeed(self, name: str, session: str, peer: Peer) -> None:
        """Have a peer take a name over, and put out the one that had it.

        Args:
            name: Of the commands and outcomes.
            session: The id of the one that begins.
            peer: Serves it.
        """
        before = self._peers.get(name)
        self._peers[name] = peer
        if before is None:
            return
        told = f"another client has taken over session {name!r}"
        if before.session:
            self._fenced[before.session] = told
            if len(self._fenced) > FENCED_KEPT:
                del self._fenced[next(iter(self._fenced))]
        peer.inherit(before.bequeath(told), before)

    def why_fenced(self, session: str) -> str:
        """Return why a client cannot come back; empty if it was not put out."""
        return self._fenced.get(session, "")

    def ended(self, name: str, peer: Peer) -> None:
        """Forget a name whose session has ended, unless another peer has it."""
        if self._peers.get(name) is peer:
            del self._peers[name]


def unqueued(jobs: Iterable[Job], engine: Engine) -> list[Job]:
    """Return the jobs that are not in the worker's queue yet."""
    return [job for job in jobs if job.state is JobState.QUEUED and job not in engine.queue]


def lacks_buffers(job: Job, store: BulkStore) -> bool:
    """Give a job the large buffers that have come; tell whether there are some missing."""
    bindings = job.command.bindings
    if bindings is None or job.bindings is not bindings:  # none, or joined already
        return False
    refs = [part for part in bindings.buffers if isinstance(part, BulkRef)]
    if not refs:
        return False
    found = store.here(refs)
    if found is None:
        return True
    job.bindings = join(bindings, found)
    return False

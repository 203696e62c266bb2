"""What became of the HTTP pair's commands: kept until fetched or told, within bounds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from asyncbridge.protocol.limits import Bound
from asyncbridge.protocol.messages import BulkRef, Fault, Payload
from asyncbridge.serialization.envelopes import write_base64

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.protocol.messages import Halted
    from asyncbridge.worker.halting import Halt
    from asyncbridge.worker.orders import CommandId, Order

__all__ = [
    "DEFAULT_KEPT", "Kept", "Ticket", "document_of", "error_document", "halt_document", "outcome_of",
]  # fmt: skip

State = Literal["queued", "running", "halted", "completed", "failed", "cancelled", "expired"]

DEFAULT_KEPT: Final = Bound(count=100_000, size=256 * 1024 * 1024)
"""Outcomes that a worker keeps for clients of the HTTP pair."""
_FRAME: Final = ("file", "line", "function", "source")
EXPIRED_KEPT: Final = 100_000
"""Commands that are known to have run, after their outcomes had to go."""


@dataclass(slots=True, eq=False)
class Ticket:
    """One command of the HTTP pair.

    Attributes:
        order: What the client wants, without its bindings.
        session: The name of the client's session.
        number: The command's id in the protocol.
        forget: Called when nothing of it needs to be known any more.
        state: Where it stands.
        value: What it came to, in wire form.
        fault: What it failed by.
        because: The id of the command whose failure failed it.
        halt: What it waits for a decision about.
        notified: Whether its callback has acknowledged the outcome; None without a callback.
        callback_error: Why the callback was given up.
    """

    order: Order
    session: str
    number: int
    forget: Callable[[Ticket], None]
    state: State = "queued"
    value: Payload | None = None
    fault: Fault | None = None
    because: CommandId | None = None
    halt: Halted | None = None
    notified: bool | None = None
    callback_error: str = ""
    _waiters: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def is_finished(self) -> bool:
        """Whether it has come to an outcome."""
        return self.state not in ("queued", "running", "halted")

    @property
    def size(self) -> int:
        """Bytes that its outcome holds."""
        fault = self.fault if self.halt is None else self.halt.fault
        return (0 if self.value is None else self.value.size) + (
            0 if fault is None else len(fault.text) + len(fault.message)
        )

    def finish(self, state: State) -> None:
        """Note that it is over, and wake whoever waits for it."""
        self.state, self.halt = state, None
        self._wake()

    def stop_at(self, halt: Halted) -> None:
        """Note that it has failed and waits for a decision, and wake whoever waits for it."""
        self.state, self.halt = "halted", halt
        self._wake()

    def go_on(self) -> None:
        """Note that it is to run once more."""
        self.state, self.halt = "queued", None

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def wait(self, seconds: float, *, through_halt: bool = False) -> None:
        """Wait for its outcome or its next halt, no longer than so.

        Args:
            seconds: How long.
            through_halt: Whether to wait though it is halted now.
        """
        if self.is_finished or (self.halt is not None and not through_halt):
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await asyncio.wait((waiter,), timeout=seconds)
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def expire(self) -> None:
        """Let go of its outcome: there is no room for it."""
        self.state, self.value, self.fault = "expired", None, None


class Kept:
    """The outcomes of all sessions; the oldest make room.

    Args:
        bound: How many there may be, and their bytes.
        expired: How many are remembered without their outcome.
    """

    def __init__(self, bound: Bound = DEFAULT_KEPT, *, expired: int = EXPIRED_KEPT) -> None:
        self._bound = bound
        self._most_expired = expired
        self._tickets: OrderedDict[Ticket, int] = OrderedDict()
        self._size = 0
        self._expired: deque[Ticket] = deque()

    def add(self, ticket: Ticket) -> None:
        """Keep an outcome; one that is alone may be of any size."""
        size = self._tickets[ticket] = ticket.size
        self._size += size
        while len(self._tickets) > 1 and (
            len(self._tickets) > self._bound.count or self._size > self._bound.size
        ):
            oldest, freed = self._tickets.popitem(last=False)
            self._size -= freed
            oldest.expire()
            self._expired.append(oldest)
        while len(self._expired) > self._most_expired:
            gone = self._expired.popleft()
            gone.forget(gone)


def document_of(ticket: Ticket, position: int | None = None) -> dict[str, Any]:
    """Return what a client is told of a command, as JSON."""
    document: dict[str, Any] = {
        "session": ticket.session,
        "id": ticket.order.id,
        "state": ticket.state,
    }
    if position is not None:
        document["position"] = position
    if ticket.notified is not None:
        document["notified"] = ticket.notified
    if ticket.callback_error:
        document["callback_error"] = ticket.callback_error
    return {**document, **outcome_of(ticket)}


def outcome_of(ticket: Ticket) -> dict[str, Any]:
    """Return a command's value, or its error, as JSON; nothing while it waits or runs."""
    if ticket.halt is not None:
        return halt_document(ticket.halt)
    if ticket.value is not None:
        return _value_document(ticket.value)
    if ticket.fault is None:
        return {}
    error = _fault_document(ticket.fault)
    return (
        {"error": error} if ticket.because is None else {"error": error, "because": ticket.because}
    )


def halt_document(halt: Halted) -> dict[str, Any]:
    """Return what is to be known for a decision, as JSON."""
    return {"error_id": halt.error, "epoch": halt.epoch, "error": _fault_document(halt.fault)}


def error_document(halt: Halt, described: dict[str, Any], ticket: Ticket | None) -> dict[str, Any]:
    """Return what a client is told of an error that halts, of whatever client's, as JSON.

    Args:
        halt: It.
        described: What the worker says of it.
        ticket: The command's, if it is one of the HTTP pair.
    """
    job = halt.job
    whose = (
        {"client": "bridge", "session": job.peer.name or job.peer.session, "id": job.command.id}
        if ticket is None
        else {"client": "http", "session": ticket.session, "id": ticket.order.id}
    )
    return {**described, **whose, "error": _fault_document(halt.fault)}


def _value_document(value: Payload) -> dict[str, Any]:
    header = value.header
    if not isinstance(header, orjson.Fragment):
        header = orjson.Fragment(orjson.dumps(header))
    document: dict[str, Any] = {"value": header}
    if value.buffers:
        document["buffers"] = [
            write_base64(buffer) for buffer in value.buffers if not isinstance(buffer, BulkRef)
        ]
    return document


def _fault_document(fault: Fault) -> dict[str, Any]:
    """Return an exception with its causes, which stand in one another."""
    chain = [fault]
    while (cause := chain[-1].cause) is not None:
        chain.append(cause)
    written: dict[str, Any] | None = None
    for link in reversed(chain):
        document = {each.name: getattr(link, each.name) for each in fields(Fault)}
        document["frames"] = [dict(zip(_FRAME, frame, strict=False)) for frame in link.frames]
        document["cause"] = written
        written = document
    assert written is not None
    return written

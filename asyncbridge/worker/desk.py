"""A session of the HTTP pair's clients in the worker: what a client does elsewhere is done here.

Its commands go through the same protocol, the same lane and the same queue as everybody's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from asyncbridge.errors import QueueFull
from asyncbridge.protocol import messages as m
from asyncbridge.protocol.client import ClientProtocol
from asyncbridge.protocol.limits import DEFAULT_BACKLOG
from asyncbridge.serialization.split import join
from asyncbridge.transport.contract import Channel, ChannelClosed
from asyncbridge.worker.desk_halts import DeskHalts
from asyncbridge.worker.halting import DROPPED
from asyncbridge.worker.problems import Problem
from asyncbridge.worker.queue import CANCELLED
from asyncbridge.worker.tickets import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncbridge.protocol.limits import Bound
    from asyncbridge.transport.bulk import BulkStore
    from asyncbridge.worker.orders import Order
    from asyncbridge.worker.peer import Peer
    from asyncbridge.worker.registers import Registers
    from asyncbridge.worker.tickets import State
    from asyncbridge.worker.verdicts import Verdict

__all__ = ["SESSIONS_OF_DESKS", "Desk", "Taken"]

SESSIONS_OF_DESKS: Final = "http/"
"""What their names begin with; the slash keeps them apart from those that have connections."""


class Taken(NamedTuple):
    """What became of an order.

    Attributes:
        ticket: The command's.
        is_new: Whether it was not known before.
        position: How many of the session's commands come before it; None once it runs.
    """

    ticket: Ticket
    is_new: bool
    position: int | None


class DeskChannel(Channel):
    """The peer's end of a channel whose other end is in the same process.

    Args:
        hear: Called with what the peer writes.
    """

    def __init__(self, hear: Callable[[Sequence[m.Message]], None]) -> None:
        self._hear = hear
        self._said: deque[list[m.Message]] = deque()
        self._ready = asyncio.Event()
        self._closed = False

    def say(self, messages: list[m.Message]) -> None:
        """Let the peer read messages."""
        self._said.append(messages)
        self._ready.set()

    async def write(self, messages: Sequence[m.Message]) -> None:
        """Hand messages over."""
        if self._closed:
            raise ChannelClosed("the desk is closed")
        self._hear(messages)

    async def read(self) -> list[m.Message]:
        """Return the next messages."""
        while not self._said:
            if self._closed:
                raise ChannelClosed("the desk is closed")
            self._ready.clear()
            await self._ready.wait()
        return self._said.popleft()

    async def close(self) -> None:
        """End the channel."""
        self._closed = True
        self._ready.set()


class Desk:
    """One session: its clients order commands, and ask what became of them.

    Args:
        name: The session's.
        registers: Know which ids it has used.
        open_peer: Makes the worker's end, and serves it.
        finished: Called with each command that has come to an outcome.
        halted: Called with each that waits for a decision.
        largest: Bytes of the largest bindings, 0 for any.
        backlog: What may wait beyond the window.
        life: Tells sessions of one name apart, one of which had to make room for the other.

    Attributes:
        tickets: Its commands, by their ids.
        untold: Those whose outcome nobody has had yet.
    """

    def __init__(
        self,
        name: str,
        registers: Registers,
        open_peer: Callable[[Channel], Peer],
        *,
        finished: Callable[[Ticket], None],
        halted: Callable[[Ticket], None],
        largest: int = 0,
        backlog: Bound = DEFAULT_BACKLOG,
        life: int = 0,
    ) -> None:
        self.name = name
        self.is_open = True
        self.tickets: dict[str, Ticket] = {}
        self.untold: set[Ticket] = set()
        self._registers = registers
        self._finished = finished
        self._largest = largest
        # The slash keeps it apart from those that have connections: none of these can be so named.
        session = f"{SESSIONS_OF_DESKS}{name}/{life}" if life else f"{SESSIONS_OF_DESKS}{name}"
        self._protocol = ClientProtocol(  # there are no means to let go of a reference
            session=session, client="http", references=False, backlog=backlog
        )
        self._channel = DeskChannel(self._hear)
        peer = open_peer(self._channel)
        self._halts = DeskHalts(self._protocol.control, self._say, limit=peer.limit, told=halted)
        self._running: dict[int, Ticket] = {}
        self._ranked: set[int] = set()
        self._newest = 0
        self._store: BulkStore = peer.buffers.store
        self._protocol.greet()
        self._say()

    @property
    def is_idle(self) -> bool:
        """Whether none of its commands is unfinished, and no decision is on its way."""
        return not self._running and self._halts.is_idle

    # --- what clients ask ---

    def order(self, orders: Sequence[Order]) -> list[Taken]:
        """Queue commands, all or none.

        Raises:
            Problem: One of them cannot be taken.
        """
        taken: list[Taken] = []
        try:
            for each in orders:
                known = self._known(each)
                if known is not None:
                    taken.append(Taken(known, False, self.position(known)))
                else:
                    taken.append(Taken(self._take(each), True, len(self._running) - 1))
        except Problem:
            for ticket, is_new, _ in taken:
                if is_new:
                    self._take_back(ticket)
            raise
        if new := [each.ticket.order.key for each in taken if each.is_new]:
            self._registers.note(self.name, new)
        if self._ranked:
            taken = self._placed(taken)
        self._say()
        return taken

    async def decide(self, verdict: Verdict) -> Ticket | None:
        """Have something decided about a command that is halted, of any session of the worker.

        Returns:
            The command's ticket, if it is one of this session.

        Raises:
            Problem: It cannot be decided, or no more.
        """
        ticket = self.halted_by(verdict.error)
        decided = await self._halts.ask(verdict, self._newest)
        if decided.refusal:
            status = 404 if decided.unknown else 409
            raise Problem(status, "DecisionError", decided.refusal)
        return ticket

    def halted_by(self, error: str) -> Ticket | None:
        """Return the command that is halted by an error of that id."""
        return self._halts.halted.get(error)

    def find(self, key: str) -> Ticket:
        """Return a command's ticket.

        Raises:
            Problem: There is none.
        """
        ticket = self.tickets.get(key)
        if ticket is None:
            raise self._registers.why_unknown(self.name, key)
        return ticket

    def cancel(self, ticket: Ticket, mode: m.StopMode) -> None:
        """Take a command out of the queue, or have it stopped."""
        if ticket.is_finished:
            return
        if self._protocol.cancel(ticket.number, mode):
            self._end(ticket, "cancelled", fault=CANCELLED)
            self._fail_dependents(ticket)
        self._say()

    def position(self, ticket: Ticket) -> int | None:
        """Return how many of the session's commands come before this one, None once it runs."""
        if ticket.state != "queued":
            return None
        return self._protocol.ahead_of(ticket.number)

    async def close(self) -> None:
        """End the session."""
        self.is_open = False
        await self._channel.close()

    # --- inner steps ---

    def _known(self, order: Order) -> Ticket | None:
        """Return the ticket of a command that was ordered before."""
        known = self.tickets.get(order.key)
        if known is None:
            self._registers.check(self.name, order.key)
        elif known.order.digest != order.digest:
            raise Problem(
                409, "IdConflict",
                f"command {order.key!r} of session {self.name!r} was another one before: an id "
                "stands for one command",
            )  # fmt: skip
        return known

    def _take(self, order: Order) -> Ticket:
        size = 0 if order.bindings is None else order.bindings.size
        if self._largest and size > self._largest:
            raise Problem(
                413, "TooLarge",
                f"the bindings of command {order.key!r} have {size} bytes; the limit is "
                f"{self._largest}",
            )  # fmt: skip
        number = self._newest + 1
        command = m.Command(
            id=number,
            code=order.code,
            bindings=order.bindings,
            lifetime=order.lifetime,
            after=tuple(self.find(key).number for key in order.after),
            label=order.label,
            run_ms=order.run_ms,
            priority=order.priority,
        )
        try:
            self._protocol.submit(command)
        except QueueFull:
            raise Problem(
                429, "QueueFull", f"session {self.name!r} has too many commands waiting",
                headers={"Retry-After": "1"},
            ) from None  # fmt: skip
        self._newest = number
        ticket = Ticket(replace(order, bindings=None), self.name, number, self._forget, self.untold)
        self.tickets[order.key] = self._running[number] = ticket
        if order.priority:
            self._ranked.add(number)
        self._halts.begin(ticket)
        return ticket

    def _placed(self, taken: list[Taken]) -> list[Taken]:
        """Return what was taken with its places, now that all of it is there."""
        places = {number: place for place, number in enumerate(self._protocol.order())}
        return [
            each._replace(position=places[each.ticket.number])
            if each.ticket.state == "queued"
            else each
            for each in taken
        ]

    def _take_back(self, ticket: Ticket) -> None:
        """Undo what ``_take`` did; nothing has left since."""
        self._protocol.cancel(ticket.number)
        del self.tickets[ticket.order.key], self._running[ticket.number]
        self._ranked.discard(ticket.number)
        self._halts.over(ticket)

    def _fail_dependents(self, ticket: Ticket) -> None:
        """Fail what depends on a command that the worker never hears of, as it would do itself."""
        causes = {ticket.order.key: ticket}
        for other in [each for each in self._running.values() if each.order.after]:
            cause = next((causes[key] for key in other.order.after if key in causes), None)
            if cause is not None and self._protocol.cancel(other.number):
                other.because = cause.order.id
                self._end(other, "failed", fault=CANCELLED)
                causes[other.order.key] = other

    def _forget(self, ticket: Ticket) -> None:
        del self.tickets[ticket.order.key]

    def _say(self) -> None:
        if messages := self._protocol.outgoing():
            self._channel.say(messages)

    def _hear(self, messages: Sequence[m.Message]) -> None:
        for message in messages:
            wanted = self._protocol.receive(message)
            if isinstance(wanted, m.Goodbye):
                self._lose(wanted.reason)
            elif (handler := _HANDLERS.get(type(wanted))) is not None:
                handler(self, wanted)
        if self.is_open:
            self._say()

    def _started(self, message: m.Started) -> None:
        if (ticket := self._running.get(message.id)) is not None:
            ticket.state = "running"

    def _halted(self, message: m.Halted) -> None:
        if (ticket := self._running.get(message.id)) is not None:
            self._halts.arrived(ticket, message)

    def _resumed(self, message: m.Resumed) -> None:
        if (ticket := self._running.get(message.id)) is not None:
            self._halts.resumed(ticket)

    def _dropped(self, message: m.Dropped) -> None:
        """Let those commands fail that a decision about another one takes out of the queue."""
        if message.asks:
            self._halts.dropped(message.error, self._newest)
        numbers = {each.number: each.order.id for each in self.tickets.values()}
        for number in message.ids:
            ticket = self._running[number]
            ticket.because = numbers.get(message.because)
            self._end(ticket, "failed", fault=DROPPED)

    def _completed(self, message: m.Completed) -> None:
        value = message.value
        refs = [buffer for buffer in value.buffers if isinstance(buffer, m.BulkRef)]
        if refs:
            # They are this process's own: nothing is fetched, and nothing copied.
            held = {ref.id: self._store.take(ref.id) for ref in refs}
            value = join(value, {name: part for name, part in held.items() if part is not None})
            self._protocol.fetched(message.id)
        self._end(self._running[message.id], "completed", value=value)

    def _failed(self, message: m.Failed) -> None:
        ticket = self._running[message.id]
        for key in ticket.order.after:
            cause = self.tickets.get(key)
            if cause is not None and cause.number == message.because:
                ticket.because = cause.order.id
        self._end(ticket, "failed", fault=message.fault)

    def _cancelled(self, message: m.Cancelled) -> None:
        self._end(self._running[message.id], "cancelled", fault=CANCELLED)

    def _end(
        self,
        ticket: Ticket,
        state: State,
        *,
        value: m.Payload | None = None,
        fault: m.Fault | None = None,
    ) -> None:
        del self._running[ticket.number]
        self._ranked.discard(ticket.number)
        self._halts.over(ticket)
        ticket.value, ticket.fault = value, fault
        ticket.finish(state)
        self._finished(ticket)

    def _lose(self, reason: str) -> None:
        """Take the worker's goodbye: what is unfinished will stay so."""
        self.is_open = False
        fault = m.Fault(type="WorkerLost", message=f"the worker left: {reason}")
        for ticket in list(self._running.values()):
            self._end(ticket, "failed", fault=fault)
        self._halts.end(fault.message)


_HANDLERS: dict[type, Callable[[Desk, Any], None]] = {
    m.Started: Desk._started,
    m.Halted: Desk._halted,
    m.Resumed: Desk._resumed,
    m.Dropped: Desk._dropped,
    m.Decided: lambda desk, message: desk._halts.answered(message),
    m.Completed: Desk._completed,
    m.Failed: Desk._failed,
    m.Cancelled: Desk._cancelled,
}

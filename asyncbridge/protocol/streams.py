"""Streams: items that flow for as long as a command runs, no faster than they are taken.

The two ends of one stream, whichever side they are on. The receiver begins turns and says how many
items it has taken; the sender keeps a few ahead of that, so that the receiver need not wait.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from asyncbridge.errors import RemoteProtocolError
from asyncbridge.protocol.limits import KIB, MIB, Bound
from asyncbridge.protocol.messages import StreamEnd, StreamItem, StreamTaken

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Fault, Payload

__all__ = ["AHEAD", "LARGE_ITEM", "SMALL_AHEAD", "TELL_AFTER_S", "Inflow", "Outflow", "Tally"]

AHEAD: Final = Bound(count=3, size=256 * MIB)
"""What a sender keeps on the way: one being worked on, one ready, one in the making."""
SMALL_AHEAD: Final = Bound(count=32, size=1 * MIB)
"""What it may have on the way instead, for steps may take less time than a message."""
LARGE_ITEM: Final = 64 * KIB
"""Bytes from which an item is told of by itself; smaller ones are told of, and drawn, together."""
TELL_AFTER_S: Final = 0.1
"""Seconds after which code that waits for the other side says so: short waits are not worth it."""
TOGETHER: Final = 8
"""How many, at most. A sender that has not heard of seven still has room for more."""


class Outflow:
    """The sender's end.

    Args:
        command: Id of the command that the stream belongs to.
        stream: Its place among the command's streams.
    """

    def __init__(self, command: int, stream: int) -> None:
        self._command = command
        self._stream = stream
        self.turn = -1
        self._sent = self._taken = 0
        self._sizes: deque[int] = deque()
        self._held = 0

    def has_sent(self, message: StreamTaken) -> bool:
        """Tell whether the receiver has had all that was sent of the turn."""
        return message.turn == self.turn and message.count == self._sent

    @property
    def has_room(self) -> bool:
        """Whether one more item may be sent."""
        count, held = len(self._sizes), self._held
        return (count < AHEAD.count and held < AHEAD.size) or (
            count < SMALL_AHEAD.count and held < SMALL_AHEAD.size
        )

    @property
    def room(self) -> int:
        """How many small items may be sent at once."""
        return max(1, min(TOGETHER, SMALL_AHEAD.count - len(self._sizes)))

    def taken(self, message: StreamTaken) -> bool:
        """Note what the receiver says; return whether it begins a turn.

        Raises:
            RemoteProtocolError: It cannot be so.
        """
        if message.turn > self.turn:
            self.turn = message.turn
            self._sent = self._taken = self._held = 0
            self._sizes.clear()
            return True
        if message.turn == self.turn:
            self._count(message.count)
        return False

    def waiting(self) -> StreamTaken:
        """Return what tells that the sender waits for room."""
        return StreamTaken(
            id=self._command, stream=self._stream, turn=self.turn, count=self._taken, waits="room"
        )

    def item(self, value: Payload) -> StreamItem:
        """Return the next item of the turn; it counts as being on the way."""
        number, self._sent = self._sent, self._sent + 1
        self._sizes.append(value.size)
        self._held += value.size
        return StreamItem(
            id=self._command, stream=self._stream, turn=self.turn, number=number, value=value
        )

    def end(self, fault: Fault | None = None) -> StreamEnd:
        """Return the end of the turn."""
        return StreamEnd(id=self._command, stream=self._stream, turn=self.turn, fault=fault)

    def _count(self, taken: int) -> None:
        if not self._taken <= taken <= self._sent:
            raise RemoteProtocolError(
                f"stream {self._stream} of command {self._command}: {taken} items taken, "
                f"{self._sent} were sent"
            )
        for _ in range(taken - self._taken):
            self._held -= self._sizes.popleft()
        self._taken = taken


class Inflow:
    """The receiver's end; what it is constructed with is as for ``Outflow``."""

    def __init__(self, command: int, stream: int) -> None:
        self._command = command
        self._stream = stream
        self.turn = -1
        self._arrived = self._taken = 0
        self._ended = False

    def begin(self) -> StreamTaken:
        """Begin the next turn: what is on the way of this one counts no more."""
        self.turn += 1
        self._arrived = self._taken = 0
        self._ended = False
        return self._said()

    def arrived(self, message: StreamItem | StreamEnd) -> bool:
        """Take what the sender says; return whether it is of this turn.

        Raises:
            RemoteProtocolError: It has not its place there.
        """
        if message.turn < self.turn:
            return False
        if message.turn > self.turn or self._ended:
            raise RemoteProtocolError(f"{self._name}: turn {message.turn} is not open")
        if isinstance(message, StreamEnd):
            self._ended = True
            return True
        if message.number != self._arrived:
            raise RemoteProtocolError(
                f"{self._name}: item {message.number} came in the place of {self._arrived}"
            )
        if self._arrived - self._taken >= max(AHEAD.count, SMALL_AHEAD.count):
            raise RemoteProtocolError(f"{self._name}: more items came than were asked for")
        self._arrived += 1
        return True

    def take(self, count: int = 1) -> StreamTaken:
        """Count more items as taken."""
        self._taken += count
        return self._said()

    def waiting(self, count: int) -> StreamTaken:
        """Count more items as taken, and tell that the next one is waited for."""
        return replace(self.take(count), waits="item")

    def has_told(self, message: StreamTaken) -> bool:
        """Tell whether the sender knows of all that was said to be taken."""
        return message.turn == self.turn and message.count == self._taken

    @property
    def _name(self) -> str:
        return f"stream {self._stream} of command {self._command}"

    def _said(self) -> StreamTaken:
        return StreamTaken(id=self._command, stream=self._stream, turn=self.turn, count=self._taken)


class Tally:
    """Counts what is taken of a stream until it is worth a message: where the items are taken."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def add(self, size: int) -> int:
        """Count an item of ``size`` bytes; return how many are to be told of now."""
        self._count += 1
        return self.due() if size >= LARGE_ITEM or self._count >= TOGETHER else 0

    def due(self) -> int:
        """Return how many were not told of; they are now."""
        count, self._count = self._count, 0
        return count

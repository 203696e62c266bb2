"""What flows beside a running command, either way: items of streams, and how far they are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from asyncbridge.protocol import payloads

__all__ = ["StreamEnd", "StreamItem", "StreamTaken", "StreamWait"]

# Under names of this module, where what reads and writes the classes looks for them.
Fault = payloads.Fault
Payload = payloads.Payload

StreamWait = Literal["nothing", "item", "room"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTaken:
    """The receiver of a stream has taken so many of its items, and may be sent more.

    Attributes:
        id: The command's that the stream belongs to.
        stream: Which of its streams: the place of a binding's name in ``Command.streams``; 0 for
            the parts of its value.
        turn: Counts how often the receiver began anew. A turn's first message, which takes
            nothing yet, asks for its items.
        count: The items taken in this turn.
        waits: From the worker alone: its code stands still, and the command with it, until the
            item behind these comes; or until the client takes more parts than these.
    """

    id: int
    stream: int
    turn: int
    count: int
    waits: StreamWait = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamItem:
    """The next item of a stream.

    Attributes:
        number: Its place in the turn, counted from 0.
    """

    id: int
    stream: int
    turn: int
    number: int
    value: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd:
    """A turn of a stream has no more items.

    Attributes:
        fault: What its source failed by, if it did.
    """

    id: int
    stream: int
    turn: int
    fault: Fault | None = None

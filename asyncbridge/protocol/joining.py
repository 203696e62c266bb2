"""What a connection begins with: which session it carries on, and where that stands."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Join", "Joined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """The client's first word on every connection.

    Attributes:
        session: The session's id.
        incarnation: The worker's that it began with; empty for one that begins.
        received: How many of the worker's messages have come.
        name: Of the commands and outcomes that the session takes over, and leaves to the next;
            empty for one whose end is theirs, too.
    """

    session: str
    incarnation: str = ""
    received: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The worker's first word on a connection that it takes.

    Attributes:
        incarnation: The worker's.
        received: How many of the client's messages have come.
        lease_ms: Milliseconds for which a session stays whose connection has ended.
    """

    incarnation: str
    received: int = 0
    lease_ms: int = 0

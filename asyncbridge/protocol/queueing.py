"""What the two sides say of the queue, beside the commands."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Prioritize", "QueueReport", "QueueRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRequest:
    """Ask how the session's commands stand; answered while the GPU thread works."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prioritize:
    """Give a command that waits another priority."""

    id: int
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueReport:
    """The answer to ``QueueRequest``.

    Attributes:
        ahead: For each place that the session has in the queue, how many commands of other
            sessions come before it, the running one included.
        others: All commands of other sessions that are queued or running.
    """

    id: int
    ahead: tuple[int, ...] = ()
    others: int = 0

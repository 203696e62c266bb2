"""Commands that were not run, or cannot be asked about."""

from __future__ import annotations

from typing import Literal

from asyncbridge.errors.base import AsyncBridgeError

__all__ = [
    "CommandDropped",
    "DeadlockError",
    "DecisionError",
    "IdConflict",
    "ResultExpired",
    "UnknownCommand",
]


class CommandDropped(AsyncBridgeError):
    """The command was not run: ``DropQueue()`` was decided about one that it was queued behind.

    Attributes:
        error_id: Id of the error that this was decided about.
        because: Number of the command that had failed.
    """

    def __init__(self, message: str, *, error_id: str, because: int) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.because = because


class DecisionError(AsyncBridgeError, ValueError):
    """A decision about what is not halted, or about which another one was decided before."""


class DeadlockError(AsyncBridgeError, RuntimeError):
    """A wait for a command that comes behind the one which waits for it, in a stream or a handler."""


class ResultExpired(AsyncBridgeError):
    """A command's outcome that cannot be had any more; the command itself has run, or failed.

    Attributes:
        command: The command's id.
        reason: ``"delivered"``: a client has had it. ``"dropped"``: the worker had no room for
            it; the text says when.
    """

    def __init__(
        self, message: str, *, command: int, reason: Literal["delivered", "dropped"]
    ) -> None:
        super().__init__(message)
        self.command = command
        self.reason = reason


class UnknownCommand(AsyncBridgeError, LookupError):
    """An id that no command of the session has had."""


class IdConflict(AsyncBridgeError):
    """An id that belongs to another command of the session; the command that was sent is not run."""

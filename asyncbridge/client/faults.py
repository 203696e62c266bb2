"""From the worker's data to an exception: nothing in it becomes a class or is executed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from asyncbridge.errors import (
    AsyncBridgeError,
    CommandDropped,
    DecodeError,
    DependencyError,
    ProtocolError,
    RemoteError,
    TooLarge,
    WorkerLost,
    WorkerStartError,
)

if TYPE_CHECKING:
    from asyncbridge.client.pending import Pending
    from asyncbridge.errors import Phase
    from asyncbridge.protocol.messages import Dropped, Failed, Fault

__all__ = [
    "broken_by",
    "dependency_error",
    "dropped_error",
    "remote_error",
    "start_error",
    "with_phase",
]

log = logging.getLogger(__name__)


def broken_by(error: BaseException) -> WorkerLost:
    """Build the exception for a connection that a task of ours has ended by."""
    if isinstance(error, DecodeError | ProtocolError | TooLarge):
        return WorkerLost(f"the worker broke the protocol: {error}")
    log.critical("a fault of asyncbridge's own", exc_info=error)
    return WorkerLost(f"the connection was given up: {error!r}")


def start_error(fault: Fault) -> WorkerStartError:
    """Build the exception for a worker whose backend cannot be imported."""
    return WorkerStartError(
        f"the worker could not import its backend: {fault.type}: {fault.message}",
        stderr_tail=fault.text,
    )


def remote_error(message: Failed, *, origin: str, label: str) -> RemoteError:
    """Build the exception for a command's failure.

    Args:
        message: The worker's notification.
        origin: Where in the client the command was sent, ``file:line, in function``.
        label: What a person would call the command.
    """
    if message.because is None:
        return _build(message.fault, command=message.id, origin=origin, label=label)
    cause = _build(message.fault, command=message.because, origin="", label="")
    what = label or f"command {message.id}"
    return DependencyError(
        message.fault.type,
        message.fault.message,
        command=message.id,
        cause=cause,
        subjects=message.fault.subjects,
        text=f"{what} was not run, because command {message.because}, which it depends on, "
        f"failed: {message.fault.type}: {message.fault.message}",
    )


def dependency_error(item: Pending, failed: Pending) -> DependencyError:
    """Build the exception for a command that never left: one it depends on had failed."""
    reason = failed.reason
    cause = reason if isinstance(reason, RemoteError) else None
    why = "was cancelled" if reason is None else f"failed: {reason}"
    what, other = item.label or "the command", failed.label or f"command {failed.id}"
    error = DependencyError(
        "CancelledError" if reason is None else type(reason).__name__,
        "" if reason is None else str(reason),
        cause=cause,
        text=f"{what} was not run, because {other}, which it depends on, {why}",
    )
    error.__cause__ = reason
    return error


def dropped_error(item: Pending, message: Dropped) -> CommandDropped:
    """Build the exception for a command that a decision took out of the queue."""
    return CommandDropped(
        f"{item.label or f'command {item.id}'} was not run: it was queued behind command "
        f"{message.because}, which failed, and DropQueue() was decided about that error "
        f"({message.error})",
        error_id=message.error,
        because=message.because,
    )


def with_phase(error: AsyncBridgeError, phase: Phase) -> AsyncBridgeError:
    """Return the error for one command: a lost worker's says how far that one had come."""
    return error.at_phase(phase) if isinstance(error, WorkerLost) else error


def _build(fault: Fault, *, command: int | None, origin: str, label: str) -> RemoteError:
    cause = None if fault.cause is None else _build(fault.cause, command=None, origin="", label="")
    error = RemoteError(
        fault.type,
        fault.message,
        frames=fault.frames,
        cause=cause,
        notes=fault.notes,
        command=command,
        subjects=fault.subjects,
        text=_text(fault, origin, label),
    )
    for note in fault.notes:
        error.add_note(note)
    return error


def _text(fault: Fault, origin: str, label: str) -> str:
    lines = [f"{fault.type}: {fault.message}"]
    if origin:
        lines.append(f"  {label or 'a command'} was sent from {origin}")
    if fault.text:
        lines.append("  and raised in the worker:")
        lines.extend(f"    {line}" for line in fault.text.rstrip().splitlines())
    return "\n".join(lines)

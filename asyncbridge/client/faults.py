"""From the worker's data to an exception: nothing in it becomes a class or is executed."""

from __future__ import annotations

import logging
from copy import copy
from typing import TYPE_CHECKING, Any, TypeVar

from asyncbridge.client.tracebacks import plain, whole_wanted, written
from asyncbridge.errors import (
    AsyncBridgeError,
    BridgeClosed,
    CommandDropped,
    DecodeError,
    DependencyError,
    IdConflict,
    ProtocolError,
    RemoteError,
    ResultExpired,
    SentCommand,
    SerializationError,
    SessionTaken,
    TooLarge,
    UnknownCommand,
    WorkerLost,
    WorkerStartError,
)
from asyncbridge.remote_errors import known_details, remote_class

if TYPE_CHECKING:
    from asyncbridge.client.pending import Pending
    from asyncbridge.errors import Phase
    from asyncbridge.promise import Promise
    from asyncbridge.protocol.messages import Dropped, Failed, Fault, Withheld

__all__ = [
    "argument_error",
    "broken_by",
    "closed_error",
    "dependency_error",
    "dropped_error",
    "lost_error",
    "remote_error",
    "start_error",
    "unsent_error",
    "withheld_error",
]

log = logging.getLogger(__name__)

Error = TypeVar("Error", bound=AsyncBridgeError)
OVERDUE = "Timeout ("
"""What faulthandler begins with when it ends a process for its time."""


def broken_by(error: BaseException) -> AsyncBridgeError:
    """Build the exception for a connection that a task of ours has ended by."""
    if isinstance(error, SessionTaken):
        return error
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


def remote_error(
    message: Failed, command: SentCommand, *, because: SentCommand | None = None
) -> RemoteError:
    """Build the exception for a command's failure.

    Args:
        message: The worker's notification.
        command: The command that failed.
        because: What is known of the command whose failure is the reason.
    """
    fault = message.fault
    if message.because is None:
        return _build(fault, command)
    other = because or SentCommand(id=message.because)
    cause = _build(fault, other, origin="")
    return DependencyError(
        fault.type,
        fault.message,
        command=command,
        cause=cause,
        subjects=fault.subjects,
        text=f"{command.title} was not run, because {other.title}, which it depends on, "
        f"failed: {plain(f'{fault.type}: {fault.message}')}",
    )


def dependency_error(item: Pending, failed: Pending) -> DependencyError:
    """Build the exception for a command that never left: one it depends on had failed."""
    command, other = item.sent(), failed.sent()
    return _depending(
        command, failed.reason, f"{other.title}, which it depends on,", failed="failed:"
    )


def argument_error(
    item: Pending, promise: Promise[Any], reason: BaseException | None
) -> DependencyError:
    """Build the exception for a command one of whose arguments will never have a value.

    Args:
        item: The command.
        promise: The argument.
        reason: What it was rejected with; None if it was cancelled.
    """
    return _depending(item.sent(), reason, f"{_called(promise)},", failed="was rejected:")


def unsent_error(item: Pending, promise: Promise[Any], error: Exception) -> Exception:
    """Return the error of a command one of whose arguments has a value that cannot go to its worker."""
    if not isinstance(error, ValueError | SerializationError):
        return error
    command, why = item.sent(), str(error).replace('bindings["value"]: ', "")
    text = f"{command.title}: {_called(promise)}, has a value that cannot go there: {why}"
    kind = SerializationError if isinstance(error, SerializationError) else ValueError
    told: Exception = kind(text)
    if command.note:
        told.add_note(command.note)
    return told


def _called(promise: Promise[Any]) -> str:
    source = promise._source
    called = f"{source.label or 'a command'}, number {source.id}" if source else "no command's"
    return f"an argument, a promise ({called})"


def _depending(
    command: SentCommand, reason: BaseException | None, what: str, *, failed: str
) -> DependencyError:
    """Build the exception for a command that something failed for; of a chain, the first cause."""
    if reason is None:
        kind, message, told = "CancelledError", "", "was cancelled"
    elif isinstance(reason, RemoteError):
        kind, message = reason.type, reason.message
        told = f"{failed} {plain(f'{kind}: {message}' if message else kind)}"
    else:
        kind, message = type(reason).__name__, str(reason)
        told = f"{failed} {kind}: {message}"
    # What failed because another one had has the cause that it had: a chain is as long as it likes.
    first = reason.__cause__ if isinstance(reason, DependencyError) else reason
    error = DependencyError(
        kind,
        message,
        cause=first if isinstance(first, RemoteError) else None,
        command=command,
        text=f"{command.title} was not run, because {what} {told}",
    )
    error.__cause__ = first
    return error


def withheld_error(message: Withheld) -> AsyncBridgeError:
    """Build the exception for a command whose outcome will not come."""
    if message.code == "unused":
        return UnknownCommand(message.message)
    if message.code == "conflict":
        return IdConflict(message.message)
    return ResultExpired(message.message, command=message.id, reason=message.code)


def dropped_error(item: Pending, message: Dropped, failed: str = "") -> CommandDropped:
    """Build the exception for a command that a decision took out of the queue.

    Args:
        item: The command.
        message: The worker's notification.
        failed: What a person would call the one that had failed.
    """
    other = SentCommand(id=message.because, name=failed)
    return CommandDropped(
        f"{item.sent().title} was not run: it was queued behind {other.title}, which failed, and "
        f"DropQueue() was decided about that error ({message.error})",
        error_id=message.error,
        because=message.because,
    )


def lost_error(item: Pending, error: AsyncBridgeError, phase: Phase) -> AsyncBridgeError:
    """Return the error of a command whose session has ended: its own, which names it."""
    if type(error) is BridgeClosed:
        return closed_error(item, str(error))
    if not isinstance(error, WorkerLost):
        own = copy(error)  # two promises share no exception, whose traceback would be both's
        own.__cause__ = error.__cause__
        return noted(own, item)
    lost = error.at_phase(phase, item.sent())
    limit = item.run_timeout
    if limit is None or phase != "started" or not lost.last_stack.startswith(OVERDUE):
        return lost
    return lost.because(f"the command ran for more than {limit:g} s (run_timeout)")


def closed_error(item: Pending, why: str) -> BridgeClosed:
    """Build the exception for a command whose bridge closes."""
    error = BridgeClosed(f"{why}: {item.sent().title}")
    return noted(error, item)


def noted(error: Error, item: Pending) -> Error:
    """Return an error with a note of where its command was sent."""
    if note := item.sent().note:
        error.add_note(note)
    return error


def _build(fault: Fault, command: SentCommand | None, *, origin: str | None = None) -> RemoteError:
    """Build the exception for a fault, and for its causes.

    Args:
        fault: The worker's data.
        command: The command that it belongs to; None for a cause.
        origin: The place to be told in its text; None for that of the command.
    """
    cause = None if fault.cause is None else _build(fault.cause, None)
    if origin is None:
        origin = "" if command is None else command.sent_from
    label = "" if command is None else command.name
    full_text = written(fault, origin=origin, label=label, whole=True)
    as_it_is = whole_wanted() or not fault.folds
    text = full_text if as_it_is else written(fault, origin=origin, label=label, whole=False)
    kind = remote_class(fault.type, fault.base)
    error = kind(
        fault.type,
        fault.message,
        frames=fault.frames,
        cause=cause,
        notes=fault.notes,
        command=command,
        subjects=fault.subjects,
        locals=[dict(variables) for variables in fault.locals],
        text=text,
        full_text=full_text,
    )
    error._put(known_details(kind, fault.details, text))
    for note in fault.notes:
        error.add_note(plain(note))
    return error

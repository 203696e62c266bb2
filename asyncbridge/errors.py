"""Every error that asyncbridge raises, under one root.

The name says who erred: ``Local…`` and plain names are the caller's, ``Remote…`` is the
peer's, ``Worker…`` is the process at the other end.

    AsyncBridgeError
    ├── BridgeClosed              the bridge was closed, or never opened
    ├── QueueFull                 the client's backlog is at its bound
    ├── WrongLoopError            called from another event loop or thread   (RuntimeError)
    ├── CodegenError              code that cannot be built                  (ValueError)
    │   └── IdentifierError       a name that Python or the bridge refuses
    ├── SerializationError        a value with no wire form                  (TypeError)
    ├── DecodeError               bytes that are no value                    (ValueError)
    ├── TooLarge                  a size over a limit                        (ValueError)
    ├── CommandDropped            not run, by a decision about one before it
    ├── DecisionError             about no halted command, or not the first   (ValueError)
    ├── DeadlockError             a wait that holds up what it waits for     (RuntimeError)
    ├── SourceError               what a stream's items come from failed
    ├── TransferError             large data could not be moved
    ├── ProtocolError
    │   ├── LocalProtocolError    this side broke the protocol
    │   ├── RemoteProtocolError   the peer broke the protocol
    │   └── ProtocolVersionError  the two sides share no version
    ├── ConnectError              no connection to a worker
    │   ├── AuthenticationError   the token or the peer's user was refused
    │   └── SocketPermissionError the socket's folder is open to other users
    ├── WorkerError
    │   ├── WorkerStartError      the worker did not come up
    │   └── WorkerLost            the worker's process ended
    └── RemoteError               code raised in the worker
        └── DependencyError       not run: a command it depends on had failed
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AsyncBridgeError",
    "AuthenticationError",
    "BridgeClosed",
    "CodegenError",
    "CommandDropped",
    "ConnectError",
    "DeadlockError",
    "DecisionError",
    "DecodeError",
    "DependencyError",
    "IdentifierError",
    "LocalProtocolError",
    "ProtocolError",
    "ProtocolVersionError",
    "QueueFull",
    "RemoteError",
    "RemoteProtocolError",
    "SerializationError",
    "SocketPermissionError",
    "SourceError",
    "TooLarge",
    "TransferError",
    "WorkerError",
    "WorkerLost",
    "WorkerStartError",
    "WrongLoopError",
]

Phase = Literal["not_started", "started", "finished_unreported", "unknown"]


class AsyncBridgeError(Exception):
    """Root of every error raised by asyncbridge."""


class BridgeClosed(AsyncBridgeError):
    """The bridge is closed, or was never opened."""


class QueueFull(AsyncBridgeError):
    """The client's backlog is at its bound; await ``bridge.drain()`` before sending more."""


class WrongLoopError(AsyncBridgeError, RuntimeError):
    """Called from an event loop or a thread that does not own the object."""


class CodegenError(AsyncBridgeError, ValueError):
    """A tree of nodes that stands for no Python code."""


class IdentifierError(CodegenError):
    """A name that is not a plain Python identifier, with the reason."""


class SerializationError(AsyncBridgeError, TypeError):
    """A value with no wire form.

    Attributes:
        path: Where in the value it stands, such as ``bindings["x"][3]``.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class DecodeError(AsyncBridgeError, ValueError):
    """Bytes from the peer that stand for no value."""


class TooLarge(AsyncBridgeError, ValueError):
    """A size over a limit; nothing was sent.

    Attributes:
        path: What is too large, such as ``bindings["x"]``; empty where that has no name.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


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
    """A wait inside of a stream for a command that comes behind the one which waits for it."""


class SourceError(AsyncBridgeError):
    """What a stream's source gave or raised cannot be used; the exception is the cause."""


class TransferError(AsyncBridgeError):
    """This process could not move large data; the command that it belongs to fails alone.

    Its cause is what the system has refused, such as another open file.
    """


class ProtocolError(AsyncBridgeError):
    """A break of the protocol, by either side."""


class LocalProtocolError(ProtocolError):
    """This side tried what the protocol does not allow in the present state."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol does not allow in the present state."""


class ProtocolVersionError(ProtocolError):
    """The two sides share no protocol version; the text names both ranges."""


class ConnectError(AsyncBridgeError, ConnectionError):
    """No connection to a worker."""


class AuthenticationError(ConnectError):
    """The worker refused the token, or runs as another user."""


class SocketPermissionError(ConnectError):
    """The socket's folder belongs to, or is open to, another user."""


class WorkerError(AsyncBridgeError):
    """Something befell the worker's process."""


class WorkerStartError(WorkerError):
    """The worker did not come up.

    Attributes:
        stderr_tail: The last text that it wrote to its standard error.
    """

    def __init__(self, message: str, *, stderr_tail: str = "") -> None:
        super().__init__(_with_tail(message, stderr_tail))
        self.stderr_tail = stderr_tail


class WorkerLost(WorkerError):
    """The worker's process ended while a command was not finished.

    Attributes:
        phase: How far the command had come: ``not_started``, ``started``,
            ``finished_unreported`` or ``unknown``.
        reason: What the supervisor saw, in words.
        exit_code: The process's exit status, None when a signal ended it.
        signal: The signal that ended it, such as ``"SIGKILL"``, else None.
        stderr_tail: Its last words: the end of its standard output, of its standard error, and
            the stack of each thread if it crashed. At most 16 KiB.
        journal: What its GPU thread took up last, for ``asyncbridge.protocol.journal``.
    """

    def __init__(
        self,
        reason: str,
        *,
        phase: Phase = "unknown",
        exit_code: int | None = None,
        signal: str | None = None,
        stderr_tail: str = "",
        journal: bytes = b"",
    ) -> None:
        super().__init__(_with_tail(f"{reason} (command phase: {phase})", stderr_tail))
        self.journal = journal
        self.reason = reason
        self.phase = phase
        self.exit_code = exit_code
        self.signal = signal
        self.stderr_tail = stderr_tail

    def at_phase(self, phase: Phase) -> WorkerLost:
        """Return the same loss for a command that had come this far."""
        return WorkerLost(
            self.reason,
            phase=phase,
            exit_code=self.exit_code,
            signal=self.signal,
            stderr_tail=self.stderr_tail,
            journal=self.journal,
        )


class RemoteError(AsyncBridgeError):
    """Code raised in the worker; the text reads as one traceback.

    Attributes:
        type: The remote exception's qualified type name, such as ``"ValueError"``.
        message: Its message, cut by the worker to a bounded size.
        frames: The remote frames, outermost first, as data.
        cause: The remote exception's own cause, as another ``RemoteError``.
        notes: The remote exception's notes.
        command: Id of the command that raised.
        subjects: Names, in the worker, of the objects it was raised in, innermost first.
    """

    def __init__(
        self,
        type: str,  # noqa: A002 - the field's own word
        message: str,
        *,
        frames: Sequence[Any] = (),
        cause: RemoteError | None = None,
        notes: Sequence[str] = (),
        command: int | None = None,
        subjects: Sequence[str] = (),
        text: str = "",
    ) -> None:
        super().__init__(text or f"{type}: {message}")
        self.type = type
        self.message = message
        self.frames = tuple(frames)
        self.cause = cause
        self.notes = tuple(notes)
        self.command = command
        self.subjects = tuple(subjects)
        if cause is not None:
            self.__cause__ = cause

    def __repr__(self) -> str:
        # One line: asyncio shows it in a promise's repr, above the whole text.
        first = self.message.partition("\n")[0]
        return f"{type(self).__name__}({f'{self.type}: {first}'[:200]!r})"


class DependencyError(RemoteError):
    """The command was not run, because one that it depends on had failed (its cause)."""


def _with_tail(message: str, tail: str) -> str:
    if not tail.strip():
        return message
    lines = "\n".join(f"  | {line}" for line in tail.rstrip().splitlines()[-40:])
    return f"{message}\nThe worker's last words:\n{lines}"

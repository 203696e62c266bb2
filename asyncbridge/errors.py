"""Every error that asyncbridge raises, under one root.

The name says who erred: ``Local…`` and plain names are the caller's, ``Remote…`` is the
peer's, ``Worker…`` is the process at the other end.

    AsyncBridgeError
    ├── BridgeClosed              the bridge was closed, or never opened
    │   └── Detached              it has left its session, where commands go on
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
    ├── ResultExpired             an outcome that cannot be had any more
    ├── UnknownCommand            an id that no command of the session had   (LookupError)
    ├── IdConflict                an id that is another command's
    ├── ProtocolError
    │   ├── LocalProtocolError    this side broke the protocol
    │   ├── RemoteProtocolError   the peer broke the protocol
    │   └── ProtocolVersionError  the two sides share no version
    ├── ConnectError              no connection to a worker
    │   ├── SessionTaken          another client has taken over the session
    │   ├── AuthenticationError   the token or the peer's user was refused
    │   └── SocketPermissionError the socket's folder is open to other users
    ├── WorkerError
    │   ├── WorkerStartError      the worker did not come up
    │   └── WorkerLost            the worker's process ended
    └── RemoteError               code raised in the worker
        ├── RemoteValueError …    one for each built-in exception, which it is too:
        │                         ``except ValueError`` catches it (``remote_errors.py``)
        └── DependencyError       not run: a command it depends on had failed
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
    "Detached",
    "IdConflict",
    "IdentifierError",
    "LocalProtocolError",
    "ProtocolError",
    "ProtocolVersionError",
    "QueueFull",
    "RemoteError",
    "RemoteProtocolError",
    "ResultExpired",
    "SentCommand",
    "SerializationError",
    "SessionTaken",
    "SocketPermissionError",
    "SourceError",
    "TooLarge",
    "TransferError",
    "UnknownCommand",
    "WorkerError",
    "WorkerLost",
    "WorkerStartError",
    "WrongLoopError",
]

Phase = Literal["not_started", "started", "finished_unreported", "unknown"]

_BANNERS: Final = re.compile(
    r"absl::InitializeLog\(\)|\bport\.cc:|\bcpu_feature_guard\.cc:|\bcudart_stub\.cc:"
    r"|\bcomputation_placer\.cc:|Unable to register cu(?:DNN|FFT|BLAS) factory"
    r"|^To enable the following instructions:"
)
"""What TensorFlow and absl write whenever they start: it tells of no death."""


class AsyncBridgeError(Exception):
    """Root of every error raised by asyncbridge."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Not by __init__, which makes a text of what it is given.
        return _restored, (type(self), self.args, self.__dict__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCommand:
    """A command as its client knows it.

    Attributes:
        id: Its number in its session; 0 if it was refused before it had one.
        code: Its source, as it was sent.
        bindings: The names of its bindings.
        name: What a person called it; may be empty.
        sent_from: The line that sent it, ``file:line, in function``; may be empty.
    """

    id: int
    code: str = field(default="", repr=False)
    bindings: tuple[str, ...] = ()
    name: str = ""
    sent_from: str = ""

    @property
    def title(self) -> str:
        """What to call it in a sentence: its name and its number, as far as it has them."""
        number = f"command {self.id}" if self.id else ""
        if not self.name:
            return number or "the command"
        return f"{self.name} ({number})" if number else self.name

    @property
    def note(self) -> str:
        """Say where it was sent; empty if that is not known."""
        return f"{self.title} was sent from {self.sent_from}" if self.sent_from else ""


class BridgeClosed(AsyncBridgeError):
    """The bridge is closed, or was never opened."""


class Detached(BridgeClosed):
    """The bridge has left its session; the text says how to get the command's outcome.

    Attributes:
        command: The command's id there.
    """

    def __init__(self, message: str, *, command: int) -> None:
        super().__init__(message)
        self.command = command


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
    """A wait for a command that comes behind the one which waits for it, in a stream or a handler."""


class SourceError(AsyncBridgeError):
    """What a stream's source gave or raised cannot be used; the exception is the cause."""


class TransferError(AsyncBridgeError):
    """This process could not move large data; the command that it belongs to fails alone.

    Its cause is what the system has refused, such as another open file.
    """


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


class SessionTaken(ConnectError):
    """Another client has taken over the session of that name; this one has no part in it now."""


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
        last_stack: Where each of its threads was, if it crashed or was ended for a time limit;
            most recent call first.
        command: The command that was not finished; None where it is about none.
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
        last_stack: str = "",
        command: SentCommand | None = None,
    ) -> None:
        super().__init__(_with_tail(f"{reason} ({_standing(command, phase)})", stderr_tail))
        self.journal = journal
        self.reason = reason
        self.phase: Phase = phase
        self.exit_code = exit_code
        self.signal = signal
        self.stderr_tail = stderr_tail
        self.last_stack = last_stack
        self.command = command
        if command is not None and command.note:
            self.add_note(command.note)

    def at_phase(self, phase: Phase, command: SentCommand | None = None) -> WorkerLost:
        """Return the same loss for a command that had come this far."""
        return self._but(phase=phase, command=command)

    def because(self, more: str) -> WorkerLost:
        """Return the same loss with more to say of it."""
        return self._but(reason=f"{self.reason}; {more}")

    def _but(self, **changes: Any) -> WorkerLost:
        return WorkerLost(**{name: getattr(self, name) for name in _TOLD_OF_A_LOSS} | changes)


_TOLD_OF_A_LOSS: Final = (
    "reason", "phase", "exit_code", "signal", "stderr_tail", "journal", "last_stack", "command",
)  # fmt: skip


class StateLost(WorkerLost):
    """A command was not run by the worker's successor: it needs what was lost with the worker.

    Attributes:
        names: The names in the worker's namespace that it needs; none where its code does not
            show them.
    """

    names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        lost: WorkerLost,
        names: tuple[str, ...],
        *,
        command: SentCommand | None = None,
        told: Callable[[str], str] = repr,
    ) -> StateLost:
        """Return the error of a command that needs these names.

        Args:
            lost: How the worker ended.
            names: What the command needs.
            command: The command.
            told: Says what a name stood for.
        """
        needs = ", ".join(map(told, names)) or "what its code does not show"
        error = cls(
            f"it needs {needs}, which was lost with its worker ({lost.reason}); make that anew, "
            "then send it again",
            phase="not_started",
            exit_code=lost.exit_code,
            signal=lost.signal,
            command=command,
        )
        error.names = names
        return error


class RemoteError(AsyncBridgeError):
    """Code raised in the worker; the text reads as one traceback.

    Where the remote exception is one of Python's own, or of a class that is derived from one,
    this is one of that type too: ``except ValueError`` catches it.

    Attributes:
        type: The remote exception's qualified type name, such as ``"ValueError"``.
        message: Its message, cut by the worker to a bounded size.
        frames: The remote frames, outermost first: file, line number, function, source line.
        cause: The remote exception's own cause, as another ``RemoteError``.
        notes: The remote exception's notes.
        command: The command that raised; None for a cause.
        subjects: Names, in the worker, of the objects it was raised in, innermost first.
        locals: For each frame its variables' short ``repr`` by name, if the bridge asked for
            them (``connect(locals=True)``).
        full_text: The text with the frames that ``str(error)`` only counts.
        attempt: Which run of the command has raised it: 1, and one more for each that a decision
            has made of it, such as ``Retry()``.
    """

    attempt: int = 1

    def __init__(
        self,
        type: str,  # noqa: A002 - the field's own word
        message: str,
        *,
        frames: Sequence[tuple[str, int, str, str]] = (),
        cause: RemoteError | None = None,
        notes: Sequence[str] = (),
        command: SentCommand | None = None,
        subjects: Sequence[str] = (),
        locals: Sequence[Mapping[str, str]] = (),  # noqa: A002 - as Python's tracebacks say
        text: str = "",
        full_text: str = "",
    ) -> None:
        text = text or f"{type}: {message}"
        # Not super(): a built-in among the bases reads a meaning into what it is given.
        Exception.__init__(self, text)
        self.type = type
        self.message = message
        self.frames = tuple(frames)
        self.cause = cause
        self.notes = tuple(notes)
        self.command = command
        self.subjects = tuple(subjects)
        self.locals = tuple(locals)
        self.full_text = full_text or text
        self.__cause__ = cause
        self._put({})

    def _put(self, details: Mapping[str, str | int]) -> None:
        """Set attributes of the built-in's own, such as ``errno``; copies have them too."""
        self._details = dict(details)
        for name, value in details.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        # Those of some built-ins make a text of their own attributes.
        return str(self.args[0])

    def __repr__(self) -> str:
        # One line: asyncio shows it in a promise's repr, above the whole text.
        first = self.message.partition("\n")[0]
        return f"{type(self).__name__}({f'{self.type}: {first}'[:200]!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _remote, (type(self), self.args, self.__dict__)


class DependencyError(RemoteError):
    """The command was not run, because one that it depends on had failed (its cause)."""


def _restored(
    cls: type[AsyncBridgeError], args: tuple[object, ...], state: Mapping[str, Any]
) -> AsyncBridgeError:
    """Build a copy."""
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


def _remote(
    cls: type[RemoteError], args: tuple[object, ...], state: Mapping[str, Any]
) -> RemoteError:
    """Build a copy of a remote error."""
    error = cls("", "")  # not __new__: Python finds that of a built-in, and refuses it
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    error.__cause__ = error.cause
    error._put(state["_details"])
    return error


def _standing(command: SentCommand | None, phase: Phase) -> str:
    """Say how far a command had come."""
    if command is None:
        return f"command phase: {phase}"
    number = f"command {command.id}" if command.id else ""
    return ", ".join(filter(None, [command.name, number, f"phase: {phase}"]))


def _with_tail(message: str, tail: str) -> str:
    told = [line for line in tail.rstrip().splitlines() if _BANNERS.search(line) is None]
    if not any(line.strip() for line in told):
        return message
    lines = "\n".join(f"  | {line}" for line in told[-40:])
    return f"{message}\nThe worker's last words:\n{lines}"

"""What befalls the worker's process, and what is lost with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

from asyncbridge.errors.base import AsyncBridgeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.errors.base import SentCommand

__all__ = [
    "Phase",
    "StateLost",
    "WorkerError",
    "WorkerLost",
    "WorkerStartError",
]

Phase = Literal["not_started", "started", "finished_unreported", "unknown"]

_BANNERS: Final = re.compile(
    r"absl::InitializeLog\(\)|\bport\.cc:|\bcpu_feature_guard\.cc:|\bcudart_stub\.cc:"
    r"|\bcomputation_placer\.cc:|Unable to register cu(?:DNN|FFT|BLAS) factory"
    r"|^To enable the following instructions:"
)
"""What TensorFlow and absl write whenever they start: it tells of no death."""


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

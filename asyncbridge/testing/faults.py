"""What is to go wrong, and with which command: plain data, for the fake worker and the real one."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from signal import SIGKILL, Signals
from typing import TYPE_CHECKING

from asyncbridge.outcome import Value, capture
from asyncbridge.worker.namespace import NAMESPACE_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

ExceptionType = type[BaseException]

__all__ = ["Crash", "Failure", "FaultPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A command that raises.

    Attributes:
        type: The exception's type, with its module unless it is Python's own.
        message: What it says.
    """

    type: str
    message: str

    def __post_init__(self) -> None:
        if not all(part.isidentifier() for part in self.type.split(".")):
            raise ValueError(f"{self.type!r} is no name of an exception's type")

    @classmethod
    def of(cls, error: str | ExceptionType, message: str) -> Self:
        """Return the failure by an exception's type, or its name."""
        if not isinstance(error, str):
            home = "" if error.__module__ == "builtins" else f"{error.__module__}."
            error = f"{home}{error.__qualname__}"
        return cls(type=error, message=message)

    @property
    def _is_built_in(self) -> bool:
        """Whether it is one of Python's own, and of those that are made of a text alone."""
        kind = getattr(builtins, self.type, None)
        if not isinstance(kind, type) or not issubclass(kind, BaseException):
            return False
        return isinstance(capture(kind, self.message), Value)

    @property
    def code(self) -> str:
        """Code that raises it, wherever it runs: the type need not exist there."""
        if self._is_built_in:
            return 'raise getattr(__import__("builtins"), fault_name)(fault_message)'
        return 'raise type(fault_name, (Exception,), {"__module__": fault_home})(fault_message)'

    @property
    def bindings(self) -> Mapping[str, object]:
        """What the code needs."""
        home, _, name = self.type.rpartition(".")
        return {
            "fault_home": home or NAMESPACE_NAME,
            "fault_name": name,
            "fault_message": self.message,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """A command in the middle of which the worker's process ends.

    Attributes:
        signal: What ends it.
        reason: How a fake worker's end reads; a real one has a supervisor to tell.
    """

    signal: Signals = SIGKILL
    reason: str = ""

    @property
    def code(self) -> str:
        """Code that ends the process it runs in."""
        return (
            "import signal, threading\n"
            "signal.pthread_kill(threading.get_ident(), fault_signal)\n"
            "threading.Event().wait()"  # for a signal that another thread acts upon
        )

    @property
    def bindings(self) -> Mapping[str, object]:
        """What the code needs."""
        return {"fault_signal": int(self.signal)}


@dataclass(slots=True)
class _Order:
    fault: Failure | Crash
    times: int | None
    match: str | None


class FaultPlan:
    """Faults in the order in which they were asked for; each is for the first that fits it."""

    def __init__(self) -> None:
        self._orders: list[_Order] = []

    def add(self, fault: Failure | Crash, *, times: int | None = 1, match: str | None) -> None:
        """Plan a fault.

        Args:
            fault: What is to happen.
            times: To how many commands; None means to all from now on.
            match: A part of the command's name, or of its code where it has none.
        """
        if times is not None and times < 1:
            raise ValueError(f"times= is a positive number, or None for always; got {times}")
        self._orders.append(_Order(fault, times, match))

    def clear(self) -> None:
        """Forget what has not happened."""
        self._orders.clear()

    def take(self, name: str, code: str) -> Failure | Crash | None:
        """Return what is to happen to this command, if anything is, and count it."""
        text = name or code
        found = next((o for o in self._orders if o.match is None or o.match in text), None)
        if found is None:
            return None
        if found.times is not None:
            found.times -= 1
            if found.times == 0:
                self._orders.remove(found)
        return found.fault

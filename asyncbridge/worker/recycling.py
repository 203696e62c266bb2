"""When a worker is to be replaced, or has grown so large that somebody should know.

It looks between commands, in the GPU thread. Graph-compiled training on TensorFlow leaks a model's
weights and its optimizer's state, and to delete the model gives nothing back: a process that ends
does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.protocol.messages import Advice
from asyncbridge.worker.memory import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Limits", "Watch"]

SHARE: Final = 0.5
"""Of the machine's memory, from which on a worker without a policy says so."""
SHORT_S: Final = 0.001
"""Seconds of a command after which the memory is looked at, and of all since it last was."""
GROWTH: Final = 0.1
"""Of the limit of memory, by which a worker may grow over what it begins with in any case."""
GIB: Final = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a worker is replaced for; None for what is no reason.

    Attributes:
        rss: Bytes of resident memory.
        age: Seconds since it has started.
        commands: Commands that it has run.
    """

    rss: int | None = None
    age: float | None = None
    commands: int | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any] | None) -> Limits | None:
        """Read them from the worker's configuration."""
        return None if data is None else cls(**data)


class Watch:
    """One worker's; in the GPU thread.

    Args:
        limits: By which it is replaced; None where it is not.
        machine: Bytes of memory that there are.
        clock: Seconds.
        rss: Returns the resident bytes.
        share: Of the machine's memory, from which on that is told.
    """

    def __init__(
        self,
        limits: Limits | None,
        *,
        machine: int,
        clock: Callable[[], float],
        rss: Callable[[], int] = resident_bytes,
        share: float = SHARE,
    ) -> None:
        self._limits = limits
        self._machine = machine
        self._clock = clock
        self._rss = rss
        self._share = share
        self._since = clock()
        self._commands = 0
        self._unseen = 0.0
        self._told = False
        self._most = 0 if limits is None or limits.rss is None else limits.rss

    def begin_with(self, resident: int) -> str:
        """Note what a worker holds that has taken over another one's; say if that is too much.

        What lives there may be over the limit by itself. Then it is not replaced for every command,
        but each time that it has grown by a part of the limit.
        """
        limits = self._limits
        if limits is None or limits.rss is None:
            return ""
        self._most = max(limits.rss, resident + int(GROWTH * limits.rss))
        if resident < limits.rss:
            return ""
        return (
            f"what was moved takes {resident / GIB:.2f} GiB, and the policy says "
            f"{limits.rss / GIB:.2f}: let go of some of it, or allow for more"
        )

    def ran(self, seconds: float) -> Advice | None:
        """Count a command in; return what is to be told now, if anything is."""
        self._commands += 1
        self._unseen += seconds
        limits = self._limits
        if limits is not None and limits.commands is not None and self._commands >= limits.commands:
            return self._due(f"it has run {self._commands} commands, of {limits.commands}")
        if self._unseen < SHORT_S:
            return None
        self._unseen = 0.0
        if limits is None:
            return self._warning()
        if limits.age is not None and (age := self._clock() - self._since) >= limits.age:
            return self._due(f"it is {age:.0f} s old, of {limits.age:g}")
        if limits.rss is not None and (rss := self._rss()) >= self._most:
            return self._due(f"it holds {rss / GIB:.2f} GiB, of {limits.rss / GIB:.2f}")
        return None

    def _due(self, why: str) -> Advice:
        return Advice(kind="recycle", text=why)

    def _warning(self) -> Advice | None:
        if self._told or self._machine <= 0 or (rss := self._rss()) < self._share * self._machine:
            return None
        self._told = True
        return Advice(
            kind="memory",
            text=f"the worker holds {rss / GIB:.1f} GiB, {rss / self._machine:.0%} of the machine's "
            "memory. bridge.memory() tells what takes it. What TensorFlow keeps of each model that "
            "was trained comes back with the end of its process alone: "
            "connect(recycle=asyncbridge.Recycle(rss=...)) replaces the worker in time",
        )

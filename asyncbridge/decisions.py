"""What may be decided about a command that has failed (the paper's section 4.6).

Handlers of ``bridge.on_error`` return these, and ``bridge.decide`` takes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Never, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.codegen import Node

__all__ = ["Decision", "DropQueue", "Ignore", "Raise", "Replace", "Retry"]


@dataclass(frozen=True, slots=True)
class Ignore:
    """Go on with the next command; the failed one's promise is fulfilled.

    Attributes:
        value: With this.
    """

    value: object = None


@dataclass(frozen=True, slots=True)
class Replace:
    """Run something else in the failed command's place; its value becomes the command's.

    Attributes:
        code: Python source, or a node of ``asyncbridge.codegen``.
        bindings: Its own, by name; they go when it has finished. It has none of the command's.
    """

    code: str | Node
    bindings: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, init=False)
class Retry:
    """Run the command again, before all that is queued behind it.

    Attributes:
        bindings: Those that are to be others than before; the rest stay as they were sent. Names
            that neither the command nor its code has are refused. Arrays from 64 KiB up are as
            the failed code has left them.
        code: What runs with them; None for the code that has failed.
    """

    bindings: Mapping[str, object] | None = None
    code: str | Node | None = None

    def __init__(
        self,
        *unnamed: Never,
        bindings: Mapping[str, object] | None = None,
        code: str | Node | None = None,
    ) -> None:
        if unnamed:
            raise TypeError(
                "Retry() takes its arguments by name, Retry(bindings={...}) or Retry(code=...), "
                f"for Replace() has them the other way round; it got {unnamed[0]!r:.80}"
            )
        object.__setattr__(self, "bindings", bindings)
        object.__setattr__(self, "code", code)


@dataclass(frozen=True, slots=True)
class DropQueue:
    """Let the error stand, and drop what its client had sent before this was decided."""


@dataclass(frozen=True, slots=True)
class Raise:
    """Let the error stand, and go on with the next command."""


Decision: TypeAlias = Ignore | Replace | Retry | DropQueue | Raise

"""What a named session holds for whoever comes next, and how its outcomes are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Claim", "Detach", "HeldState", "Holding", "StandingRow", "Withheld", "WithheldCode"]

HeldState = Literal["queued", "running", "halted", "completed", "failed", "cancelled"]
WithheldCode = Literal["unused", "delivered", "dropped", "conflict"]
StandingRow = tuple[int, int, int, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The client wants the outcome of a command that an earlier one has sent."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach:
    """The client leaves; its session's commands go on, and their outcomes wait."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A command's outcome will not come: the answer to a ``Claim``, or to a ``Command``.

    Attributes:
        code: ``"unused"``: no command had this id. ``"delivered"``: a client has had it.
            ``"dropped"``: there was no room for it. ``"conflict"``: the id is that of another
            command, which this one does not touch.
        message: Says more, for a person.
    """

    id: int
    code: WithheldCode
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a named session holds that nobody has asked for; first all, then what changes.

    Attributes:
        newest: The newest id that was used; the client goes on from there.
        commands: Id, label, state and counted bytes of each.
        more: Whether the next message goes on with this list.
        standing: Of each that is unfinished, its id, its priority, the milliseconds that it has
            run, and the commands that it depends on.
    """

    newest: int
    commands: tuple[tuple[int, str, HeldState, int], ...] = ()
    more: bool = False
    standing: tuple[StandingRow, ...] = ()

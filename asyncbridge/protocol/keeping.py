"""Values that stay in the worker: for commands that come later, and for those who ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

__all__ = ["ALONE", "HOLD", "STAY", "URGENT", "Keep", "Kept", "Question", "Release", "Tie", "Told"]

HOLD: Final = 1
"""A command's value is told as any other, and stays for commands that use it."""
STAY: Final = 2
"""It stays whatever it is, and is told as a reference; others may use it, too."""
URGENT: Final = 2**31
"""The priority of what a bridge itself sends, to move what is in a worker: no user's is as high."""
ALONE: Final = 3
"""It stays for commands that use it, and None is told."""

Question = Literal["worker", "bindings", "memory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """A later command uses this one's value, which was sent without saying so."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The answer to ``Keep``.

    Attributes:
        kept: Whether it is in time: else its outcome is on the way, or was told.
    """

    id: int
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Nothing in the client refers to these any more, once the commands before it have run.

    Attributes:
        names: Bindings.
        objects: Numbers of kept objects, each with how often the client was told of it.
        commands: Commands whose values were kept for others.
    """

    names: tuple[str, ...] = ()
    objects: tuple[tuple[int, int], ...] = ()
    commands: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """Someone has, or is about to get, a handle that no outcome has told.

    Attributes:
        object: The number of a kept object; 0 for a binding.
        name: The binding's.
        lease_ms: For how long the claim stands, whoever holds it; 0 for a claim of the sender's.
    """

    object: int = 0
    name: str = ""
    lease_ms: int = 0


class Told(NamedTuple):
    """What a worker tells of an object that it keeps.

    Attributes:
        number: The object's own, never used again.
        kind: The full name of its class.
        text: A short repr.
        size: In bytes, as far as that is known; 0 where it is not.
        device: Where it lies, as Keras says it; may be empty.
    """

    number: int
    kind: str
    text: str
    size: int
    device: str

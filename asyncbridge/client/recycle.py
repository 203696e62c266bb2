"""When a worker is replaced, though it lives."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbridge.client.checks import check_timeout

__all__ = ["Recycle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recycle:
    """When a worker that was started for a bridge is replaced, between two commands.

    Each that is given is a reason. What lives in the worker moves: models, with their weights,
    optimizer and compile state, and what has a name there and a wire form.

    Attributes:
        rss: Bytes of resident memory.
        age: Seconds since it has started.
        commands: Commands that it has run.

    Raises:
        TypeError: One is no number.
        ValueError: None is given, or one is not positive.
    """

    rss: int | None = None
    age: float | None = None
    commands: int | None = None

    def __post_init__(self) -> None:
        check_timeout(self.age, "age")
        for name in ("rss", "commands"):
            given = getattr(self, name)
            if given is None:
                continue
            if isinstance(given, bool) or not isinstance(given, int):
                raise TypeError(f"{name}= is a whole number, not {given!r}")
            if given < 1:
                raise ValueError(f"{name}= is a number from 1 up, got {given}")
        if self.rss is None and self.age is None and self.commands is None:
            raise ValueError("a Recycle has a reason: rss=, age= or commands=")

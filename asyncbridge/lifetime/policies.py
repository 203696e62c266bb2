"""The three lifetimes of the paper's section 6, by name."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["LIFETIMES", "Lifetime", "check_lifetime"]

Lifetime = Literal["eternal", "command", "collected"]
"""``eternal`` stays until it is deleted; ``command`` goes when its command has finished;
``collected`` goes when the client's object that stands for it is garbage."""

LIFETIMES: tuple[str, ...] = get_args(Lifetime)


def check_lifetime(lifetime: str) -> None:
    """Raise ``ValueError`` for what is no lifetime's name."""
    if lifetime not in LIFETIMES:
        raise ValueError(f"no lifetime is called {lifetime!r}: use one of {', '.join(LIFETIMES)}")

"""The commands of a campaign: drawn from its seed, each with the result that is its own."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from asyncbridge.errors import RemoteError

__all__ = ["command", "is_right"]

RAISES = 0.05
"""The share of commands that raise."""
LARGE = 0.01
"""The share of commands with an array that travels by itself."""
LARGE_ITEMS = 12_000
SMALL_BYTES = 300


def command(seed: int, number: int) -> tuple[str, dict[str, Any]]:
    """Return a command's code and bindings."""
    if raises(seed, number):
        return f"enter({number})\nraise ValueError({number})", {}
    code = f"enter({number})\n({number}, x + x)"
    return code, {"x": binding(seed, number)}


def is_right(seed: int, number: int, result: Any) -> bool:
    """Tell whether a result, or an error, is that of this very command."""
    if raises(seed, number):
        return isinstance(result, RemoteError) and result.message == str(number)
    if isinstance(result, RemoteError) or result[0] != number:
        return False
    x = binding(seed, number)
    return bool(
        np.array_equal(result[1], x + x) if isinstance(x, np.ndarray) else result[1] == x + x
    )


def raises(seed: int, number: int) -> bool:
    """Tell whether a command is one that raises."""
    return random.Random(f"{seed} {number}").random() < RAISES


def binding(seed: int, number: int) -> Any:
    """Return what a command is sent: bytes, or now and then an array."""
    chance = random.Random(f"x {seed} {number}")
    if chance.random() < LARGE:
        return np.arange(number, number + LARGE_ITEMS)
    return chance.randbytes(chance.randint(0, SMALL_BYTES))

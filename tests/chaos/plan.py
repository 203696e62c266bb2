"""What is to go wrong, and when: drawn from a seed, so that a failure can be had again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["CONNECTION", "FRAMES", "PROCESS", "Step", "Way", "draw"]

Way = Literal["there", "back"]
"""To the worker, or to the client."""
FRAMES = ("drop", "duplicate", "reorder", "delay", "flip", "shorten")
"""Faults of one frame, by the injector."""
CONNECTION = ("cut", "reset", "half_close", "black_hole", "slices", "slow", "latency")
"""Faults of a connection's bytes, by the proxy."""
PROCESS = ("pause", "kill")
"""Faults of the worker's process."""
FIRST_BYTES = 4000
"""A connection's fault begins within so many bytes."""
RARE = 0.05
"""The share of kills: each costs a new worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One fault.

    Attributes:
        number: Its place in the plan.
        kind: What happens.
        way: To what goes there, or comes back.
        after: How many frames pass before; for a connection's fault bytes, for a process's
            commands.
        chance: Between 0 and 1: which byte, or how long, as the kind takes it.
    """

    number: int
    kind: str
    way: Way
    after: int
    chance: float

    def __str__(self) -> str:
        return f"step {self.number}: {self.kind} {self.way} after {self.after}, {self.chance:.6f}"


def draw(seed: int, count: int, *, batch: int, kills: bool = True) -> list[Step]:
    """Return so many faults; the first ones are the same for any count.

    Args:
        seed: What the faults are drawn from.
        count: How many.
        batch: Commands that are sent with each.
        kills: Whether the worker may be killed.
    """
    chance = random.Random(seed)
    steps = []
    for number in range(count):
        kind = "kill" if chance.random() < RARE else chance.choice((*FRAMES, *CONNECTION, "pause"))
        if kind == "kill" and not kills:
            kind = "cut"
        most = 3 if kind in FRAMES else FIRST_BYTES if kind in CONNECTION else batch - 1
        way = chance.choice(get_args(Way))
        after, share = chance.randint(0, most), chance.random()
        steps.append(Step(number=number, kind=kind, way=way, after=after, chance=share))
    return steps

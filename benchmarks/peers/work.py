"""What the measured workers do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["echo", "hang", "one", "tell", "ticks"]

T = TypeVar("T")


def one() -> int:
    """Do next to nothing."""
    return 1 + 1


def echo(value: T) -> T:
    """Return what came."""
    return value


def hang(path: str) -> None:
    """Say that it has begun, by a file; then be busy for a minute, in short waits."""
    Path(path).touch()
    for _ in range(6000):
        time.sleep(0.01)


def ticks(count: int) -> Iterator[float]:
    """Yield the time of day, again and again."""
    for _ in range(count):
        time.sleep(0.002)
        yield time.time()


def tell(count: int, report: Callable[[float], object]) -> None:
    """Report the time of day, again and again."""
    for tick in ticks(count):
        report(tick)

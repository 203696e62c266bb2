"""Figures with their spread and their bar, and Python programs in processes of their own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured quantity.

    Attributes:
        name: What was measured.
        unit: Of all the numbers here; empty for a ratio.
        values: One for each repetition.
        bar: The most it may be; None where it is only told.
        by_range: The bar is missed only when the whole interquartile range lies above it, as
            suits a ratio of noisy times; otherwise one value above it is enough.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    bar: float | None = None
    by_range: bool = False

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """The first quartile, the median and the third quartile."""
        if len(self.values) == 1:
            return self.values[0], self.values[0], self.values[0]
        low, middle, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return low, middle, high

    @property
    def held(self) -> bool:
        """Whether the bar is held."""
        if self.bar is None:
            return True
        return (self.quartiles[0] if self.by_range else max(self.values)) <= self.bar

    def as_dict(self) -> dict[str, Any]:
        """Return the figure as plain data."""
        low, middle, high = self.quartiles
        return {
            "name": self.name, "unit": self.unit, "median": middle, "q1": low, "q3": high,
            "max": max(self.values), "n": len(self.values), "bar": self.bar, "held": self.held,
        }  # fmt: skip

    def __str__(self) -> str:
        low, middle, high = self.quartiles
        text = f"{self.name}: {middle:.3g} {self.unit}".rstrip()
        if len(self.values) > 1:
            text += f" (IQR {low:.3g}-{high:.3g}, max {max(self.values):.3g}, n={len(self.values)})"
        if self.bar is None:
            return text
        return f"{text}, bar {self.bar:g}: {'held' if self.held else 'MISSED'}"


def ratio(
    name: str, measured: Sequence[float], floor: Sequence[float], *, bar: float | None = None
) -> Figure:
    """Return the ratios of alternating pairs."""
    pairs = zip(measured, floor, strict=True)
    return Figure(name=name, unit="", values=tuple(a / b for a, b in pairs), bar=bar, by_range=True)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def run_python(code: str, *arguments: str) -> Any:
    """Run a program in a fresh interpreter; return the JSON of the last line it prints.

    Raises:
        RuntimeError: It failed; the text holds what it printed.
    """
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(  # noqa: S603 - programs of this folder
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, env=env, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"a measured program failed:\n{done.stdout}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])

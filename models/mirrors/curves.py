"""Metrics as numbers that can be drawn: thinned curves, sparklines, ticks, short texts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import fmean
from typing import Any

__all__ = ["Point", "number", "printable", "range_of", "sparkline", "text_of", "thin", "ticks"]

Point = tuple[int, float]
"""An epoch and a value; NaN is a gap in the line."""

_LARGEST = 1e300
"""What is larger is no number to draw: differences of such numbers overflow."""
_SMALLEST = 1e-290
_FLAT = 1e-5
"""A curve that varies by less than this part of its values is drawn as a flat line."""
_LISTED = 8
_BLOCKS = "▁▂▃▄▅▆▇█"


def number(value: object) -> float:
    """Return what can be drawn as a float; NaN for what cannot: inf, text, lists."""
    if isinstance(value, (int, float)) and -_LARGEST <= value <= _LARGEST:
        return float(value)
    return math.nan


def text_of(value: Any) -> str:
    """Return a metric's value as a short text."""
    if isinstance(value, (list, tuple)):
        more = ", ..." if len(value) > _LISTED else ""
        return f"[{', '.join(map(text_of, value[:_LISTED]))}{more}]"
    if isinstance(value, float) or not math.isnan(number(value)):
        return f"{value:.4g}"
    return printable(str(value), 20)


def printable(text: str, length: int) -> str:
    """Cut a text, and replace what a terminal would obey and XML forbids."""
    cut = text if len(text) <= length else text[: length - 1] + "…"
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in cut)


def thin(points: Sequence[Point], columns: int) -> list[Point]:
    """Keep what can be seen of a curve: the least and the largest value of each pixel column.

    Args:
        points: In the order of their epochs.
        columns: How many columns the curve is wide.

    Returns:
        At most three points for each column, the third one a gap.
    """
    if len(points) <= 2 * columns:
        return list(points)
    first, span = points[0][0], max(1, points[-1][0] - points[0][0])

    def column(point: Point) -> int:
        return min(columns - 1, (point[0] - first) * columns // span)

    return [kept for _, group in groupby(points, column) for kept in _extremes(list(group))]


def _extremes(points: list[Point]) -> list[Point]:
    drawn = [point for point in points if not math.isnan(point[1])]
    gaps = [point for point in points if math.isnan(point[1])][:1]
    if not drawn:
        return gaps
    ends = {min(drawn, key=lambda point: point[1]), max(drawn, key=lambda point: point[1])}
    return sorted([*ends, *gaps], key=lambda point: point[0])


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw values as a row of blocks; a gap is a space.

    Args:
        values: Any number of them: of more than fit, each block shows the mean of some.
        width: How many characters there are, those of a shorter curve being spaces.
    """
    cells = list(values) if len(values) <= width else list(_means(values, width))
    drawn = [cell for cell in cells if not math.isnan(cell)]
    low, high = (min(drawn), max(drawn)) if drawn else (0.0, 0.0)
    return "".join(_block(cell, low, high) for cell in cells).ljust(width)


def _means(values: Sequence[float], width: int) -> Iterator[float]:
    for cell in range(width):
        part = values[cell * len(values) // width : (cell + 1) * len(values) // width]
        drawn = [value for value in part if not math.isnan(value)]
        yield fmean(drawn) if drawn else math.nan


def _block(value: float, low: float, high: float) -> str:
    if math.isnan(value):
        return " "
    level = 0.5 if low == high else (value - low) / (high - low)
    return _BLOCKS[min(len(_BLOCKS) - 1, int(level * len(_BLOCKS)))]


def range_of(values: Sequence[float]) -> tuple[float, float]:
    """Return the lower and the upper end of an axis on which all values can be seen."""
    drawn = [value for value in values if not math.isnan(value)]
    low, high = (min(drawn), max(drawn)) if drawn else (0.0, 1.0)
    size = max(abs(low), abs(high))
    if high - low <= max(size * _FLAT, _SMALLEST):
        margin = size * 0.1 if size > _SMALLEST / _FLAT else 1.0
    else:
        margin = (high - low) * 0.05
    return low - margin, high + margin


def ticks(low: float, high: float, count: int, *, whole: bool = False) -> list[tuple[float, str]]:
    """Return round numbers on an axis, each with its text.

    Args:
        low: The axis's lower end.
        high: Its upper end, above the lower one.
        count: About how many there may be.
        whole: Whether integers alone will do.
    """
    rough = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * nice for nice in (1, 2, 5, 10) if unit * nice >= rough * 0.9)
    step = max(1.0, step) if whole else step
    marks = [step * at for at in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [(mark, f"{mark:.0f}" if whole else _tick_text(mark, step)) for mark in marks]


def _tick_text(mark: float, step: float) -> str:
    """Return the mark with as many digits as tell it from the next one."""
    if abs(mark) < step / 2:
        return "0"
    digits = math.floor(math.log10(abs(mark))) - math.floor(math.log10(step)) + 1
    return f"{mark:.{max(digits, 4)}g}"

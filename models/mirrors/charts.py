"""A training as HTML: a chart in SVG for each metric, and a table of the last values.

The text stands alone: no script, no style sheet, nothing to load. Colours are such that they can
be told on white and on black; all else takes the colour of the text around it. Names come from
another process, so they are escaped and cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from asyncbridge.models.mirrors.curves import Point, printable, range_of, text_of, thin, ticks
from asyncbridge.models.mirrors.records import VALIDATION, Line, Record

__all__ = ["html"]

_CHARTS = 20
"""So many metrics are drawn at most."""
_PLACES = 40
"""So many curves there are in all charts, of metrics with one for each class; validation's apart."""
_POINTS = 2_500
"""So many points there are in all charts: some 35 kB."""
_NAME = 32

_WIDTH, _HEIGHT = 320, 210
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 38, 310, 172
_TRAINING, _VALIDATION = "#3b82f6", "#dd6b10"
_COLORS = (
    *("#3b82f6", "#dd6b10", "#2f9e5b", "#d14b6f"),
    *("#8b6ff0", "#a07a1a", "#1899a8", "#808080"),
)


def html(record: Record) -> str:
    """Return the training as an HTML element, well-formed as XML and shorter than 100 kB."""
    names = record.metrics
    charts = _charts(record, names[:_CHARTS])
    more = len(names) - _CHARTS
    left_out = f"<p>and {more} metrics more</p>" if more > 0 else ""
    return (
        f"<div><p><b>TrainingHistory</b>: {escape(record.title)}</p>"
        f'<div style="display:flex;flex-wrap:wrap;gap:8px">{charts}</div>'
        f"{_table(record, names[:_CHARTS])}{left_out}</div>"
    )


def _table(record: Record, names: Sequence[str]) -> str:
    """Return the last value of each metric."""
    if not names:
        return ""
    rows = (
        f"<tr><td>{escape(printable(name, _NAME))}</td><td>{_last(record, name)}</td>"
        f"<td>{_last(record, VALIDATION + name)}</td></tr>"
        for name in names
    )
    head = "<tr><th>last values</th><th>training</th><th>validation</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _last(record: Record, name: str) -> str:
    values = record.history.get(name)
    return escape(printable(text_of(values[-1]), 60)) if values else ""


def _charts(record: Record, names: Sequence[str]) -> str:
    places = min(len(_COLORS), _PLACES // max(1, len(names)))
    charts = [_Chart.of(name, record.lines(name), places) for name in names]
    curves = sum(len(chart.lines) for chart in charts)
    columns = min(_RIGHT - _LEFT, _POINTS // (2 * max(1, curves)))
    return "".join(chart.svg(columns) for chart in charts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chart:
    """The drawing of one metric.

    Attributes:
        name: The metric's name.
        lines: The curves that are drawn.
        places: What of the metric they show, each in a colour of its own.
        left_out: How many more there are.
    """

    name: str
    lines: list[Line]
    places: list[str]
    left_out: int

    @classmethod
    def of(cls, name: str, lines: Sequence[Line], count: int) -> _Chart:
        places = list(dict.fromkeys(line.place for line in lines))
        shown = places[:count]
        return cls(
            name=printable(name, _NAME),
            lines=[line for line in lines if line.place in shown],
            places=shown,
            left_out=len(places) - len(shown),
        )

    def svg(self, columns: int) -> str:
        label = escape(f"{self.name} over the epochs")
        return (
            f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
            f' role="img" aria-label="{label}" fill="currentColor"'
            ' font-size="11" font-family="sans-serif">'
            f'<text x="{_LEFT}" y="12" font-weight="bold">{escape(self.name)}</text>'
            f'<text x="{_LEFT}" y="28">{"".join(self._legend())}</text>'
            f"{self._body(columns)}</svg>"
        )

    def _legend(self) -> Iterator[str]:
        if self.places in ([""], []):
            for line in self.lines:
                yield f'<tspan fill="{self._color(line)}">\u2014 {line.label}</tspan> '
            return
        for place, color in zip(self.places, _COLORS, strict=False):
            yield f'<tspan fill="{color}">{printable(place, 12)}</tspan> '
        if self.left_out:
            yield f"<tspan>+{self.left_out}</tspan> "
        if any(line.validation for line in self.lines):
            yield "<tspan>dashed: validation</tspan>"

    def _color(self, line: Line) -> str:
        if line.place:
            return _COLORS[self.places.index(line.place)]
        return _VALIDATION if line.validation else _TRAINING

    def _body(self, columns: int) -> str:
        points = [point for line in self.lines for point in line.points]
        frame = _Frame.around(points)
        curves = (
            _curve(
                [frame.place(point) for point in thin(line.points, columns)],
                color=self._color(line),
                dashed=line.validation and bool(line.place),
            )
            for line in self.lines
        )
        return frame.axes() + "".join(curves)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """The axes of a chart, and where their points lie in it."""

    first: float
    last: float
    low: float
    high: float
    empty: bool

    @classmethod
    def around(cls, points: Sequence[Point]) -> _Frame:
        epochs = [epoch for epoch, _ in points] or [0]
        low, high = range_of([value for _, value in points])
        first, last = min(epochs), max(epochs)
        alone = 0.5 if first == last else 0.0
        empty = all(math.isnan(value) for _, value in points)
        return cls(first=first - alone, last=last + alone, low=low, high=high, empty=empty)

    def place(self, point: Point) -> tuple[float, float]:
        return self._x(point[0]), self._y(point[1])

    def _x(self, epoch: float) -> float:
        return _LEFT + (epoch - self.first) / (self.last - self.first) * (_RIGHT - _LEFT)

    def _y(self, value: float) -> float:
        return _BOTTOM - (value - self.low) / (self.high - self.low) * (_BOTTOM - _TOP)

    def axes(self) -> str:
        middle = (_LEFT + _RIGHT) // 2
        below, left = _BOTTOM + 15, _LEFT - 6
        epochs = [(self._x(at), text) for at, text in ticks(self.first, self.last, 5, whole=True)]
        values = [] if self.empty else ticks(self.low, self.high, 5)
        levels = [(self._y(at), text) for at, text in values]
        grid = "".join(f"M{_LEFT} {y:.1f}H{_RIGHT}" for y, _ in levels)
        marks = "".join(f"M{x:.1f} {_BOTTOM}v4" for x, _ in epochs)
        bottom = (f'<text x="{x:.1f}" y="{below}">{text}</text>' for x, text in epochs)
        side = (f'<text x="{left}" y="{y + 4:.1f}">{text}</text>' for y, text in levels)
        return (
            f'<path d="{grid}" stroke="currentColor" stroke-opacity="0.15"/>'
            f'<path d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}{marks}" fill="none"'
            ' stroke="currentColor" stroke-opacity="0.5"/>'
            f'<g text-anchor="middle">{"".join(bottom)}'
            f'<text x="{middle}" y="{_HEIGHT - 6}">epoch</text></g>'
            f'<g text-anchor="end">{"".join(side)}</g>'
        )


def _curve(points: Sequence[tuple[float, float]], *, color: str, dashed: bool) -> str:
    """Draw what is between two gaps as a line, or as a dot where it is one point alone."""
    pieces = [
        " ".join(f"{x:.1f} {y:.1f}" for x, y in piece)
        for gap, piece in groupby(points, lambda point: math.isnan(point[1]))
        if not gap
    ]
    lines = "".join(f"M{piece}" for piece in pieces if piece.count(" ") > 1)
    # A line of no length with round ends is the shortest way to say "a dot".
    dots = "".join(f"M{piece}h0" for piece in pieces if piece.count(" ") == 1)
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    stroke = f'fill="none" stroke="{color}" stroke-linecap="round" stroke-linejoin="round"'
    drawn = f'<path d="{lines}" {stroke} stroke-width="1.5"{dashes}/>' if lines else ""
    return drawn + (f'<path d="{dots}" {stroke} stroke-width="5"/>' if dots else "")

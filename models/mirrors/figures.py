"""Trainings as matplotlib figures, without pyplot: any thread may draw."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncbridge.models.mirrors.curves import printable
from asyncbridge.models.mirrors.epoch import known
from asyncbridge.models.mirrors.records import Line, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "draw_runs", "save"]

_NAME = 60
_LISTED = 12
"""More curves than these need no legend: it would cover them."""
_CYCLE = 10
"""The colours that matplotlib tells apart by name."""


def draw(record: Record, *, metrics: Sequence[str] | str | None, log: bool) -> Figure:
    """Draw one training: a frame for each metric, with a curve for each kind of data."""
    names = _chosen([record], metrics)
    figure, frames = _frames(names, caller="plot()")
    if not record.whole:
        figure.suptitle(record.title)
    for frame, name in zip(frames, names, strict=False):
        lines = record.lines(name)
        for line in lines:
            _draw_line(frame, line, label=line.label, **_class_style(line, lines))
        _finish(frame, lines, log=log)
        if 0 < len(lines) <= _LISTED:
            frame.legend()
    return figure


def draw_runs(
    runs: Sequence[tuple[str, Record]], *, metrics: Sequence[str] | str | None, log: bool
) -> Figure:
    """Draw several trainings: a colour for each, validation dashed."""
    names = _chosen([record for _, record in runs], metrics)
    figure, frames = _frames(names, caller="compare()")
    colors = _colors(len(runs))
    for frame, name in zip(frames, names, strict=False):
        drawn: list[Line] = []
        for (label, record), color in zip(runs, colors, strict=True):
            lines = record.lines(name)
            drawn += lines
            for line in lines:
                style = "--" if line.validation else "-"
                _draw_line(frame, line, label=f"{label}, {line.label}", color=color, ls=style)
        _finish(frame, drawn, log=log)
    _add_legend(figure, runs, colors)
    return figure


def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure in the format of the file's suffix; as PNG if it has none.

    Raises:
        ValueError: matplotlib knows no such format.
    """
    target = Path(path)
    figure.savefig(target, format=target.suffix[1:] or "png")
    return target


def _chosen(records: Sequence[Record], metrics: Sequence[str] | str | None) -> list[str]:
    """Return the names of the frames: those asked for, or each metric of any training."""
    if metrics is None:
        return list(dict.fromkeys(name for record in records for name in record.metrics))
    recorded = {name: None for record in records for name in record.history}
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in names:
        if name not in recorded:
            raise KeyError(f"no metric {name!r} was recorded; {known(name, recorded)}")
    return names


def _frames(names: Sequence[str], *, caller: str) -> tuple[Figure, list[Axes]]:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra of the package
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise ImportError(
            f"{caller} draws with matplotlib: pip install 'asyncbridge-keras[plot]'"
        ) from error
    count = max(1, len(names))
    figure = Figure(figsize=(6.4, 2.4 * count), layout="constrained")
    frames = list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])
    for frame, name in zip(frames, names, strict=False):
        # A name is no formula, whatever stands in it.
        frame.set_ylabel(printable(name, _NAME), parse_math=False)
    frames[-1].set_xlabel("epoch")
    frames[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, frames


def _draw_line(frame: Axes, line: Line, **style: Any) -> None:
    values = [value for _, value in line.points]
    if alone := _alone(values):
        style |= {"marker": "o", "markevery": alone, "markersize": 4}
    frame.plot([epoch for epoch, _ in line.points], values, **style)


def _class_style(line: Line, lines: Sequence[Line]) -> dict[str, Any]:
    """Give each class of a metric one colour, for both kinds of data."""
    if not line.place:
        return {}
    places = list(dict.fromkeys(each.place for each in lines))
    return {
        "color": f"C{places.index(line.place) % _CYCLE}",
        "ls": "--" if line.validation else "-",
    }


def _alone(values: Sequence[float]) -> list[int]:
    """Return the places of the values between two gaps, of which a line shows nothing."""
    gaps = [True, *map(math.isnan, values), True]
    return [at for at in range(len(values)) if gaps[at] and not gaps[at + 1] and gaps[at + 2]]


def _finish(frame: Axes, lines: Sequence[Line], *, log: bool) -> None:
    """Set the scale; a metric that is never above 0 has no logarithm, and stays linear."""
    if log and any(value > 0 for line in lines for _, value in line.points):
        frame.set_yscale("log")


def _colors(count: int) -> list[Any]:
    if count <= _CYCLE:
        return [f"C{at}" for at in range(count)]
    from matplotlib import colormaps  # noqa: PLC0415 - an extra of the package

    return [colormaps["turbo"](at / (count - 1)) for at in range(count)]


def _add_legend(figure: Figure, runs: Sequence[tuple[str, Record]], colors: Sequence[Any]) -> None:
    """Name the runs by colour, and the two kinds of data by dash, once for all frames."""
    from matplotlib.lines import Line2D  # noqa: PLC0415 - an extra of the package

    handles = [Line2D([], [], color=color) for color in colors]
    labels = [_run_label(label, record) for label, record in runs]
    if any(record.is_validation(name) for _, record in runs for name in record.history):
        handles += [Line2D([], [], color="gray", ls=style) for style in ("-", "--")]
        labels += ["training", "validation"]
    legend = figure.legend(handles, labels, loc="outside upper center", ncols=2)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _run_label(label: str, record: Record) -> str:
    return printable(label, _NAME) + ("" if record.whole else f" ({record.title})")

"""A training as rows: CSV, a data frame, a table with sparklines for the terminal."""

from __future__ import annotations

import csv
import io
import math
from statistics import fmean
from typing import TYPE_CHECKING, Any

from asyncbridge.models.mirrors.curves import number, printable, sparkline, text_of
from asyncbridge.models.mirrors.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from pandas import DataFrame
    from rich.table import Table

__all__ = ["csv_text", "data_frame", "rich_table"]

_WIDTH = 24
_NAME = 40


def csv_text(record: Record) -> str:
    """Return a line for each epoch, with nothing in a cell that has no value."""
    names, columns = _columns(record)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *names])
    for epoch in record.epochs:
        writer.writerow([epoch, *(column.get(epoch, "") for column in columns)])
    return text.getvalue()


def data_frame(record: Record) -> DataFrame:
    """Return a row for each epoch, with NaN where there is no value."""
    try:
        import pandas as pd  # noqa: PLC0415 - nothing else here needs it
    except ImportError as error:
        raise ImportError("to_pandas() makes a frame of pandas: pip install pandas") from error
    names, columns = _columns(record)
    rows = [[column.get(epoch, math.nan) for column in columns] for epoch in record.epochs]
    # pandas would make "object" of no rows at all.
    dtype = None if rows else "float64"
    index = pd.Index(record.epochs, name="epoch", dtype="int64")
    return pd.DataFrame(rows, index=index, columns=names, dtype=dtype)


def _columns(record: Record) -> tuple[list[str], list[dict[int, Any]]]:
    """Return names and values by epoch: a column for each metric, or for each of its classes."""
    columns = [
        (name + place, dict(points))
        for name in record.history
        for place, points in (record.columns(name) or {"": []}).items()
    ]
    return [name for name, _ in columns], [column for _, column in columns]


def rich_table(record: Record, best: Callable[[str], tuple[int, Any] | None]) -> Table:
    """Return a row for each metric; of one with several values their mean.

    Args:
        record: What to show.
        best: Tells a metric's best epoch and value, if there is one.
    """
    from rich.table import Table  # noqa: PLC0415 - for those who look at it this way
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table(title=Text(f"TrainingHistory: {record.title}"), title_justify="left")
    table.add_column("Metric")
    table.add_column("Curve", style="cyan", no_wrap=True)
    for title in ("First", "Last", "Best (epoch)"):
        table.add_column(title, justify="right", no_wrap=True)
    for name in record.history:
        values, found = _scalars(record, name), best(name)
        ends = [values[0], values[-1]] if values else []
        top = "" if found is None else f"{text_of(found[1])} ({found[0]})"
        # As text: a name may hold what rich would read as markup.
        cells = [printable(name, _NAME), sparkline(values, _WIDTH), *map(text_of, ends)]
        table.add_row(*map(Text, [*cells, *[""] * (4 - len(cells)), top]))
    return table


def _scalars(record: Record, name: str) -> list[float]:
    """Return a metric's values; of one that has several in an epoch, their mean."""
    parts: dict[int, list[float]] = {}
    for points in record.columns(name).values():
        for epoch, value in points:
            parts.setdefault(epoch, []).append(number(value))
    return [fmean(values) for values in parts.values()]

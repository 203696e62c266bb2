"""Where in a data frame something stands, as its owner knows it: by column and row.

A frame travels as parts that its owner never sees, and errors would show the way through those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from asyncbridge.serialization.paths import short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.serialization.walk import Steps

__all__ = ["column_step", "spell", "spell_frame"]

_VALUES: Final = '["values"]'
_PARTS: Final[Mapping[tuple[object, str], str]] = {
    ("category", "[2]"): ".categories",
    ("zoned", "[2]"): ".tz",
    ("interval", "[2]"): ".left",
    ("interval", "[3]"): ".right",
}
"""Parts of columns that have names of their own, by the column's kind and the part's place."""


def column_step(frame: Any, place: int) -> str:
    """Return a column's name as an index writes it, or its place where the name tells too little.

    Args:
        frame: The data frame.
        place: The column's place in it.
    """
    label = frame.columns[place]
    if isinstance(label, np.generic):
        label = label.item()
    text = short(label)
    is_telling = frame.columns.is_unique and not text.startswith("<")
    return f"[{text}]" if is_telling else f".iloc[:, {place}]"


def spell_frame(frame: Any, steps: Steps) -> Steps:
    """Return the steps to a part of a data frame's data as those to a column and a row.

    Args:
        frame: The data frame.
        steps: From its data on.
    """
    if steps[0][0] != _VALUES or len(steps) < 2:
        return spell(frame, steps)
    step, column = steps[1]
    named = (column_step(frame, int(step[1:-1])), column)
    return [named, *_in_column(column, steps[2:])]


def spell(value: Any, steps: Steps) -> Steps:
    """Do the same for a series or an index; what else they have is spelled as an attribute."""
    (step, part), *rest = steps
    if step == _VALUES:
        return _in_column(part, rest)
    return [(f".{step[2:-2]}", part), *rest]


def _in_column(column: Any, steps: Steps) -> Steps:
    """Return the steps from a packed column on; of cells, the row alone."""
    if type(column) is not list or not steps:
        return steps
    (step, part), *rest = steps
    if column[0] == "objects":
        return rest
    return [(_PARTS.get((column[0], step), step), part), *rest]

"""Which frames of a traceback are nobody's but the frameworks', and where its text has them.

The text that is sent is whole. Beside it goes which lines a short form leaves out, so that the
client can show either.
"""

from __future__ import annotations

import itertools
import os
import re
import textwrap
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Piece", "indented", "joined", "room_of", "stack_pieces"]

_FRAMEWORKS: Final = re.compile(
    r"[/\\](?:site|dist)-packages[/\\](jax|jaxlib|keras|numpy|tensorflow|torch)[/\\]"
)
# What TensorFlow makes of a function that it traces.
_TRACED: Final = "__autograph_generated_file"
_OWN: Final = f"{Path(__file__).parents[1]}{os.sep}"


class Piece(NamedTuple):
    """Whole lines of a text.

    Attributes:
        label: What stands for them in the short form; empty if they stay.
    """

    text: str
    label: str = ""


def room_of(filename: str) -> str:
    """Return the framework that a file belongs to; empty for a person's own, or Python's."""
    if (match := _FRAMEWORKS.search(filename)) is not None:
        return match[1]
    if _TRACED in filename:
        return "tensorflow"
    return "asyncbridge" if filename.startswith(_OWN) else ""


def stack_pieces(stack: Sequence[traceback.FrameSummary], *, innermost: bool) -> Iterator[Piece]:
    """Yield frames as Python prints them, each run of a framework's as a piece to be folded.

    Args:
        stack: The frames, outermost first.
        innermost: Whether the last is the one that raised: its place is shown, whosever it is.
    """
    last = len(stack) - 1 if innermost else len(stack)
    runs = itertools.groupby(
        enumerate(stack), lambda entry: entry[0] < last and bool(room_of(entry[1].filename))
    )
    for folds, entries in runs:
        frames = [frame for _, frame in entries]
        text = "".join(traceback.StackSummary.from_list(frames).format())
        # The label of a single frame would save no more than it costs.
        yield Piece(text, _label(frames) if folds and len(frames) > 1 else "")


def _label(frames: Sequence[traceback.FrameSummary]) -> str:
    rooms = " and ".join(dict.fromkeys(room_of(frame.filename) for frame in frames))
    return f"  ... {len(frames)} frames in {rooms}"


def indented(pieces: Iterable[Piece], prefix: str) -> Iterator[Piece]:
    """Yield the pieces with a prefix before each line."""
    for text, label in pieces:
        yield Piece(textwrap.indent(text, prefix, lambda _line: True), label and prefix + label)


def joined(pieces: Iterable[Piece]) -> tuple[str, tuple[tuple[int, int, str], ...]]:
    """Return the whole text, and its folds: the first line, how many, what stands for them."""
    parts: list[str] = []
    folds: list[tuple[int, int, str]] = []
    place = 0
    for text, label in pieces:
        lines = text.count("\n")
        if label:
            folds.append((place, lines, label))
        parts.append(text)
        place += lines
    return "".join(parts), tuple(folds)

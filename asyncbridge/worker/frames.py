"""The frames of the user's exceptions: which are told, their lines and marks, their subjects."""

from __future__ import annotations

import inspect
import itertools
import linecache
import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

from asyncbridge import parsing
from asyncbridge.worker.folding import Piece, stack_pieces
from asyncbridge.worker.guards import LINE_LIMIT, cut, slot
from asyncbridge.worker.namespace import COMMAND_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType, TracebackType

    NameOf = Callable[[object], str | None]

__all__ = [
    "FRAME_LIMIT",
    "frame_row",
    "shown_steps",
    "stack_text",
    "steps_of",
    "subjects",
    "summary",
]

FRAME_LIMIT: Final = 60
"""Frames of one traceback: the outermost half and the innermost half are kept."""

_OWN_FILES: Final = (f"{Path(__file__).parent}{os.sep}", parsing.__file__)
# What commands call in place of Keras's own methods.
_MODELS_FILES: Final = f"{Path(__file__).parent / 'models'}{os.sep}"


def steps_of(exc: BaseException) -> list[TracebackType]:
    """Return the traceback's steps, outermost first, without the worker's outside the code."""
    steps = []
    step: TracebackType | None = slot(exc, "__traceback__")
    while step is not None:
        steps.append(step)
        step = step.tb_next
    for index, each in enumerate(steps):
        if each.tb_frame.f_code.co_filename.startswith(COMMAND_PREFIX):
            return steps[index:]
    own = sum(1 for _ in itertools.takewhile(_is_worker, steps))
    # With no generated code in it, the error may be the worker's own: its place is told. A
    # syntax error's place is in its text.
    most = len(steps) if issubclass(type(exc), SyntaxError) else len(steps) - 1
    return steps[max(0, min(own, most)) :]


def shown_steps(steps: Sequence[TracebackType]) -> tuple[list[TracebackType], int]:
    """Return the steps that are told, and how many in their middle are too many.

    What stands between a command and Keras is left out; the place of the error itself stays.
    """
    shown = [step for step in steps if not _is_of_models(step.tb_frame) or step is steps[-1]]
    left_out = max(0, len(shown) - FRAME_LIMIT)
    if left_out:
        del shown[FRAME_LIMIT // 2 : FRAME_LIMIT // 2 + left_out]
    return shown, left_out


def _is_of_models(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_MODELS_FILES)


def _is_worker(step: TracebackType) -> bool:
    return step.tb_frame.f_code.co_filename.startswith(_OWN_FILES)


def summary(step: TracebackType) -> traceback.FrameSummary:
    """Return what Python prints of a step, cut to bounds."""
    code = step.tb_frame.f_code
    filename, name = cut(code.co_filename, LINE_LIMIT), cut(code.co_name, LINE_LIMIT)
    line = linecache.getline(code.co_filename, step.tb_lineno or 0)
    if len(line) > LINE_LIMIT:
        return traceback.FrameSummary(
            filename, step.tb_lineno, name, lookup_line=False, line=cut(line, LINE_LIMIT)
        )
    # Positions stand one for each two bytes of the code; Python draws its carets from them.
    positions = next(itertools.islice(code.co_positions(), step.tb_lasti // 2, None), None)
    _, end_lineno, colno, end_colno = positions or (None, None, None, None)
    return traceback.FrameSummary(
        filename,
        step.tb_lineno,
        name,
        lookup_line=False,
        end_lineno=end_lineno,
        colno=colno,
        end_colno=end_colno,
    )


def frame_row(summary: traceback.FrameSummary) -> tuple[str, int, str, str]:
    """Return a frame as data: file, line number, function, source line."""
    line = cut((summary.line or "").strip(), LINE_LIMIT)
    return summary.filename, summary.lineno or 0, summary.name, line


def stack_text(stack: Sequence[traceback.FrameSummary], left_out: int) -> Iterator[Piece]:
    """Yield the frames as Python prints them, with a count of those that are left out."""
    if not stack:
        return
    yield Piece("Traceback (most recent call last):\n")
    if left_out:
        yield from stack_pieces(stack[: FRAME_LIMIT // 2], innermost=False)
        yield Piece(f"  [frames left out: {left_out}]\n")
        stack = stack[FRAME_LIMIT // 2 :]
    yield from stack_pieces(stack, innermost=True)


def subjects(steps: Sequence[TracebackType], name_of: NameOf) -> tuple[str, ...]:
    """Return the names of the objects whose methods the error went through, innermost first."""
    # A dict keeps the order and drops what comes again.
    found: dict[str, None] = {}
    for step in reversed(steps):
        subject = _subject(step.tb_frame)
        if subject is not None and (name := name_of(subject)) is not None:
            found[name] = None
    return tuple(found)


def _subject(frame: FrameType) -> object:
    code = frame.f_code
    # The locals of a module's or a class's body may be any mapping, with methods of its own.
    if not code.co_flags & inspect.CO_OPTIMIZED:
        return None
    if _is_of_models(frame) and code.co_argcount:
        return frame.f_locals.get(code.co_varnames[0])
    return frame.f_locals.get("self")

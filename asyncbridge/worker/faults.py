"""Exceptions of the user's code as bounded, plain data.

Whatever an exception is, ``describe`` returns: its own methods are called in one guarded place,
what can be read without them is (through ``BaseException``'s own descriptors), and all text is
cut before it is formatted, since Keras's messages may embed the ``repr`` of whole data sets.
Nothing here keeps an exception, a traceback or a frame alive.
"""

from __future__ import annotations

import inspect
import itertools
import linecache
import os
import textwrap
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from asyncbridge import parsing
from asyncbridge.protocol.messages import Fault
from asyncbridge.worker.namespace import COMMAND_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType, TracebackType

    NameOf = Callable[[object], str | None]

__all__ = ["describe", "release"]

T = TypeVar("T")

MESSAGE_LIMIT: Final = 4 * 1024
"""Bytes of a message, or of one note, when no other limit is given."""
TEXT_LIMIT: Final = 64 * 1024
"""Bytes of the rendered traceback."""
FRAME_LIMIT: Final = 60
"""Frames of one traceback: the outermost half and the innermost half are kept."""
CAUSE_LIMIT: Final = 5
"""Causes below an exception."""
NOTE_LIMIT: Final = 16
GROUP_LIMIT: Final = 8
"""Members of an exception group that are shown, and ``GROUP_DEPTH`` levels of groups."""
GROUP_DEPTH: Final = 2
LINE_LIMIT: Final = 512
"""Characters of a source line, a file name or a function's name."""

_MARKER_ROOM: Final = 48
_OWN_FILES: Final = (f"{Path(__file__).parent}{os.sep}", parsing.__file__)
# What commands call in place of Keras's own methods.
_MODELS_FILES: Final = f"{Path(__file__).parent / 'models'}{os.sep}"
_LEFT_OUT: Final = "[earlier exceptions left out]\n"
_DIRECT: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"


def describe(
    exc: BaseException,
    *,
    name_of: NameOf | None = None,
    message_limit: int = MESSAGE_LIMIT,
) -> Fault:
    """Describe an exception, its causes and its traceback; never raises, whatever it is.

    The frames begin at the generated code: the worker's own, outside of it, are left out. The
    fault's ``text`` shows the causes too, so theirs is empty.

    Args:
        exc: The exception, with its traceback.
        name_of: Tells an object's name in the namespace, for the fault's ``subjects``.
        message_limit: Bytes of each message and note.
    """
    try:
        return _whole_fault(exc, name_of or _nameless, message_limit)
    except Exception:  # the last resort: a fault without its traceback
        name, message = _type_name(type(exc)), _message(exc, message_limit)
        return Fault(type=name, message=message, text=_headline(name, message).rstrip("\n"))


def release(exc: BaseException) -> None:
    """Cut an exception, and all that it leads to, off their tracebacks.

    A traceback's frames lead to those that called them, and so to whatever variable holds the
    exception: a cycle, in which a failed fit's arrays would wait for the garbage collector.
    """
    seen: dict[int, BaseException] = {}
    pending: list[BaseException | None] = [exc]
    while pending:
        if (link := pending.pop()) is None or id(link) in seen:
            continue
        seen[id(link)] = link
        BaseException.__dict__["__traceback__"].__set__(link, None)
        pending += (_slot(link, "__cause__"), _slot(link, "__context__"), *_members(link))


def _nameless(_obj: object) -> None:
    return None


# --- the chain of causes -----------------------------------------------------------------


def _whole_fault(exc: BaseException, name_of: NameOf, limit: int) -> Fault:
    fault: Fault | None = None
    text = ""
    for link, sentence in reversed(_chain(exc)):
        # Its own notes become those of the client's exception, which shows them itself.
        part = _read(link, name_of, limit, shows_notes=link is not exc)
        fault = replace(part, cause=fault, text="")
        text += sentence + part.text
    assert fault is not None, "a chain holds at least the exception itself"
    return replace(fault, text=_cut(text.rstrip("\n"), TEXT_LIMIT))


def _chain(exc: BaseException) -> list[tuple[BaseException, str]]:
    """Return the exception and its causes, newest first.

    With each goes the sentence that stands, in Python's text, between its cause and itself.
    """
    chain: list[tuple[BaseException, str]] = []
    link: BaseException | None = exc
    while link is not None:
        older, sentence = _cause(link)
        if older is link or any(older is known for known, _ in chain):
            older, sentence = None, ""
        elif older is not None and len(chain) == CAUSE_LIMIT:
            older, sentence = None, _LEFT_OUT + sentence
        chain.append((link, sentence))
        link = older
    return chain


def _cause(exc: BaseException) -> tuple[BaseException | None, str]:
    cause: BaseException | None = _slot(exc, "__cause__")
    if cause is not None:
        return cause, _DIRECT
    context: BaseException | None = _slot(exc, "__context__")
    if context is None or _slot(exc, "__suppress_context__"):
        return None, ""
    return context, _DURING


# --- one exception -----------------------------------------------------------------------


def _read(
    exc: BaseException, name_of: NameOf, limit: int, *, depth: int = 0, shows_notes: bool = True
) -> Fault:
    """Describe one exception without its causes; the text is its own part alone."""
    steps = _steps(exc)
    shown = _shown(steps)
    left_out = max(0, len(shown) - FRAME_LIMIT)
    if left_out:
        del shown[FRAME_LIMIT // 2 : FRAME_LIMIT // 2 + left_out]
    stack = [_summary(step) for step in shown]
    name, message = _type_name(type(exc)), _message(exc, limit)
    notes = _notes(exc, limit)
    text = [
        *_stack_lines(stack, left_out),
        *(_attempt(lambda: _syntax_lines(exc, name, limit), None) or [_headline(name, message)]),
        *(f"{note}\n" for note in notes if shows_notes),
        *_group_lines(exc, name_of, limit, depth),
    ]
    return Fault(
        type=name,
        message=message,
        frames=tuple(_frame(summary) for summary in stack),
        notes=notes,
        subjects=_subjects(steps, name_of),
        text="".join(text),
    )


def _type_name(cls: type) -> str:
    # Through the descriptors of type: a metaclass may answer anything.
    module: object = _attempt(lambda: type.__dict__["__module__"].__get__(cls), None)
    name = _cut(type.__dict__["__qualname__"].__get__(cls), LINE_LIMIT)
    if type(module) is not str or module == "builtins":
        return name
    return f"{_cut(module, LINE_LIMIT)}.{name}"


def _message(exc: BaseException, limit: int) -> str:
    return _cut(_attempt(lambda: str(exc), "<exception str() failed>"), limit)


def _headline(name: str, message: str) -> str:
    return f"{name}: {message}\n" if message else f"{name}\n"


def _notes(exc: BaseException, limit: int) -> tuple[str, ...]:
    notes = _attempt(lambda: _raw_notes(exc), None) or []
    cut = [
        _cut(_attempt(partial(str, note), "<note str() failed>"), limit)
        for note in notes[:NOTE_LIMIT]
    ]
    if len(notes) > NOTE_LIMIT:
        cut.append(f"[notes left out: {len(notes) - NOTE_LIMIT}]")
    return tuple(cut)


def _raw_notes(exc: BaseException) -> list[object]:
    raw: object = getattr(exc, "__notes__", None)
    if raw is None:
        return []
    return list(raw) if isinstance(raw, (list, tuple)) else [raw]


def _syntax_lines(exc: BaseException, name: str, limit: int) -> list[str]:
    """Return what Python shows of a syntax error, caret included; nothing of any other."""
    if not isinstance(exc, SyntaxError):
        return []
    line = exc.text or linecache.getline(exc.filename or "", exc.lineno or 0)
    # Under a line that had to be cut, a caret would point at the wrong place.
    most = len(line) + 1 if len(line) <= LINE_LIMIT else 0
    where = (
        _cut(exc.filename or "<string>", LINE_LIMIT),
        exc.lineno,
        min(exc.offset or 0, most) or None,
        _cut(line, LINE_LIMIT),
        exc.end_lineno,
        min(exc.end_offset or 0, most) or None,
    )
    # A copy made of checked parts: the error's own class and attributes may be anything.
    shown = traceback.format_exception_only(SyntaxError("", where))
    return [*shown[:-1], _headline(name, _cut(exc.msg, limit))]


def _group_lines(exc: BaseException, name_of: NameOf, limit: int, depth: int) -> list[str]:
    """Return the members of an exception group, each in a box as Python draws it."""
    members = _members(exc)
    if not members:
        return []
    if depth == GROUP_DEPTH:
        return [f"  [sub-exceptions left out: {len(members)}]\n"]
    lines = []
    for number, member in enumerate(members[:GROUP_LIMIT], 1):
        text = _read(member, name_of, limit, depth=depth + 1).text
        lines.append(f"  +---------------- {number} ----------------\n")
        lines.append(textwrap.indent(text, "  | ", lambda _line: True))
    if len(members) > GROUP_LIMIT:
        lines.append(f"  | [sub-exceptions left out: {len(members) - GROUP_LIMIT}]\n")
    return [*lines, "  +------------------------------------\n"]


# --- its frames --------------------------------------------------------------------------


def _steps(exc: BaseException) -> list[TracebackType]:
    """Return the traceback's steps, outermost first, without the worker's outside the code."""
    steps = []
    step: TracebackType | None = _slot(exc, "__traceback__")
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


def _shown(steps: Sequence[TracebackType]) -> list[TracebackType]:
    """Leave out what stands between a command and Keras; the place of the error itself stays."""
    return [step for step in steps if not _is_of_models(step.tb_frame) or step is steps[-1]]


def _is_of_models(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_MODELS_FILES)


def _is_worker(step: TracebackType) -> bool:
    return step.tb_frame.f_code.co_filename.startswith(_OWN_FILES)


def _summary(step: TracebackType) -> traceback.FrameSummary:
    code = step.tb_frame.f_code
    filename, name = _cut(code.co_filename, LINE_LIMIT), _cut(code.co_name, LINE_LIMIT)
    line = linecache.getline(code.co_filename, step.tb_lineno or 0)
    if len(line) > LINE_LIMIT:
        return traceback.FrameSummary(
            filename, step.tb_lineno, name, lookup_line=False, line=_cut(line, LINE_LIMIT)
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


def _frame(summary: traceback.FrameSummary) -> tuple[str, int, str, str]:
    line = _cut((summary.line or "").strip(), LINE_LIMIT)
    return summary.filename, summary.lineno or 0, summary.name, line


def _stack_lines(stack: Sequence[traceback.FrameSummary], left_out: int) -> list[str]:
    if not stack:
        return []
    parts = [stack[: FRAME_LIMIT // 2], stack[FRAME_LIMIT // 2 :]] if left_out else [stack]
    head, *tail = (traceback.StackSummary.from_list(list(part)).format() for part in parts)
    lines = ["Traceback (most recent call last):\n", *head]
    for part in tail:
        lines += [f"  [frames left out: {left_out}]\n", *part]
    return lines


def _subjects(steps: Sequence[TracebackType], name_of: NameOf) -> tuple[str, ...]:
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


# --- guards ------------------------------------------------------------------------------


def _slot(exc: BaseException, name: str) -> Any:
    # Past whatever the exception's class has put before it.
    return BaseException.__dict__[name].__get__(exc)


def _members(exc: BaseException) -> tuple[BaseException, ...]:
    if not issubclass(type(exc), BaseExceptionGroup):
        return ()
    members: tuple[BaseException, ...] = BaseExceptionGroup.__dict__["exceptions"].__get__(exc)
    return members


def _attempt(call: Callable[[], T], otherwise: T) -> T:
    """Call what may run the user's code, which may raise anything."""
    try:
        return call()
    except BaseException:  # SystemExit from a __str__ is no reason to exit
        return otherwise


def _cut(text: str, limit: int) -> str:
    """Return the text as plain, encodable str: whole, or its head and its tail."""
    # str.encode, not text.encode: a subclass of str may answer anything.
    raw = str.encode(text, "utf-8", "backslashreplace")
    if len(raw) <= limit:
        return raw.decode()
    half = max(1, (limit - _MARKER_ROOM) // 2)
    head, tail = raw[:half].decode(errors="ignore"), raw[-half:].decode(errors="ignore")
    return f"{head} … [{len(raw) - 2 * half} bytes left out] … {tail}"

"""Exceptions of the user's code as bounded, plain data.

Whatever an exception is, ``describe`` returns: its own methods are called in one guarded place,
what can be read without them is (through ``BaseException``'s own descriptors), and all text is
cut before it is formatted, since Keras's messages may embed the ``repr`` of whole data sets.
Nothing here keeps an exception, a traceback or a frame alive.
"""

from __future__ import annotations

import linecache
import traceback
from dataclasses import dataclass, replace
from functools import partial
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Final

from asyncbridge.protocol.messages import Fault
from asyncbridge.remote_errors import DETAILS, detail_text, known_base
from asyncbridge.worker.folding import Piece, indented, joined
from asyncbridge.worker.frames import (
    frame_row,
    shown_steps,
    stack_text,
    steps_of,
    subjects,
    summary,
)
from asyncbridge.worker.guards import LINE_LIMIT, attempt, cut, members, slot, type_name
from asyncbridge.worker.variables import Variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    NameOf = Callable[[object], str | None]

__all__ = ["describe", "last_resort", "release"]

MESSAGE_LIMIT: Final = 4 * 1024
"""Bytes of a message, or of one note, when no other limit is given."""
TEXT_LIMIT: Final = 64 * 1024
"""Bytes of the rendered traceback."""
CAUSE_LIMIT: Final = 5
"""Causes below an exception."""
NOTE_LIMIT: Final = 16
GROUP_LIMIT: Final = 8
"""Members of an exception group that are shown, and ``GROUP_DEPTH`` levels of groups."""
GROUP_DEPTH: Final = 2

Locals = tuple[tuple[tuple[str, str], ...], ...]

_NO_LOCALS: Final[Locals] = ()
_PLAIN: Final = frozenset((str, int, float, bool, type(None)))
_NOT_TOLD: Final = "<exception str() took too long>"
_INTERRUPTED: Final = (
    "to describe this error took too long, or was cancelled, and was interrupted: messages and notes "
    "that its own code makes are left out"
)
_LEFT_OUT: Final = "[earlier exceptions left out]\n"
_DIRECT: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What is told of each exception.

    Attributes:
        name_of: Tells an object's name in the namespace.
        limit: Bytes of each message and note.
        variables: Reads those of the frames, where they are asked for.
        plain: Whether no code of the user's is to run.
    """

    name_of: NameOf
    limit: int
    variables: Variables | None
    plain: bool = False


def describe(
    exc: BaseException,
    *,
    name_of: NameOf | None = None,
    message_limit: int = MESSAGE_LIMIT,
    variables: Mapping[str, object] | None = None,
    plain: bool = False,
) -> Fault:
    """Describe an exception, its causes and its traceback; never raises, whatever it is.

    The frames begin at the generated code: the worker's own, outside of it, are left out. The
    fault's ``text`` shows the causes too, so theirs is empty.

    Args:
        exc: The exception, with its traceback.
        name_of: Tells an object's name in the namespace, for the fault's ``subjects``.
        message_limit: Bytes of each message and note.
        variables: Tell the variables of each frame, by short ``repr``; these stood in the scope
            of all commands, where the command's own frame has them, and are gone again.
        plain: Tell what can be read without running code of the user's, and that this is so.
    """
    wish = _Wish(
        name_of=name_of or _nameless,
        limit=message_limit,
        variables=None if variables is None else Variables(variables),
        plain=plain,
    )
    try:
        fault = _whole_fault(exc, wish)
    except Exception:  # a fault without its traceback
        return last_resort(exc, _message(exc, wish))
    return replace(fault, notes=(_INTERRUPTED,)) if plain else fault


def last_resort(exc: BaseException, message: str = _NOT_TOLD) -> Fault:
    """Return a fault of the exception's class alone."""
    name = type_name(type(exc))
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
        pending += (slot(link, "__cause__"), slot(link, "__context__"), *members(link))


def _nameless(_obj: object) -> None:
    return None


# --- the chain of causes -----------------------------------------------------------------


def _whole_fault(exc: BaseException, wish: _Wish) -> Fault:
    fault: Fault | None = None
    pieces: list[Piece] = []
    for link, sentence in reversed(_chain(exc)):
        # Its own notes become those of the client's exception, which shows them itself.
        part, shown = _read(link, wish, shows_notes=link is not exc)
        fault = replace(part, cause=fault)
        pieces += [Piece(sentence), *shown]
    assert fault is not None, "a chain holds at least the exception itself"
    text, folds = joined(pieces)
    whole = cut(text.rstrip("\n"), TEXT_LIMIT)
    # Of a text that had to be cut, the lines are other ones.
    fits = len(text.encode(errors="replace")) <= TEXT_LIMIT
    return replace(fault, text=whole, folds=folds if fits else ())


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
    cause: BaseException | None = slot(exc, "__cause__")
    if cause is not None:
        return cause, _DIRECT
    context: BaseException | None = slot(exc, "__context__")
    if context is None or slot(exc, "__suppress_context__"):
        return None, ""
    return context, _DURING


# --- one exception -----------------------------------------------------------------------


def _read(
    exc: BaseException, wish: _Wish, *, depth: int = 0, shows_notes: bool = True
) -> tuple[Fault, list[Piece]]:
    """Describe one exception without its causes, and give its own part of the text."""
    steps = steps_of(exc)
    shown, left_out = shown_steps(steps)
    stack = [summary(step) for step in shown]
    told = () if depth else attempt(lambda: _locals(wish.variables, shown, stack), _NO_LOCALS)
    name, message = type_name(type(exc)), _message(exc, wish)
    notes = () if wish.plain else _notes(exc, wish.limit)
    lines = None if wish.plain else attempt(lambda: _syntax_lines(exc, name, wish.limit), None)
    pieces = [
        *stack_text(stack, left_out),
        *map(Piece, lines or [_headline(name, message)]),
        *(Piece(f"{note}\n") for note in notes if shows_notes),
        *_group_text(exc, wish, depth),
    ]
    base = known_base(type(exc))
    fault = Fault(
        type=name,
        message=message,
        frames=tuple(frame_row(each) for each in stack),
        notes=notes,
        subjects=subjects(steps, wish.name_of),
        base="" if base == name else base,
        details=_details(exc),
        locals=told,
    )
    return fault, pieces


def _locals(
    variables: Variables | None,
    steps: Sequence[TracebackType],
    stack: Sequence[traceback.FrameSummary],
) -> Locals:
    """Return the variables of each frame, and have Python's text show them below its line."""
    if variables is None:
        return _NO_LOCALS
    found = variables.of([step.tb_frame for step in steps])
    for frame, values in zip(stack, found, strict=True):
        frame.locals = values or None
    return tuple(tuple(values.items()) for values in found)


def _details(exc: BaseException) -> tuple[tuple[str, str], ...]:
    """Return what a listed exception knows beside its message, as far as it is plain."""
    for kind, types in DETAILS.items():
        if issubclass(type(exc), kind):
            told = [
                (name, detail_text(_attribute(exc, kind, name), form))
                for name, form in types.items()
            ]
            return tuple((name, cut(text, LINE_LIMIT)) for name, text in told if text is not None)
    return ()


def _attribute(exc: BaseException, kind: type, name: str) -> object:
    """Return an attribute of this class's own, past whatever a class of the user's says."""
    place = kind.__dict__[name]
    if isinstance(place, MemberDescriptorType):
        return place.__get__(exc)
    return dict.get(slot(exc, "__dict__"), name)  # those of our own have it there


def _message(exc: BaseException, wish: _Wish) -> str:
    if wish.plain and not _is_plain(exc):
        return _NOT_TOLD
    return cut(attempt(lambda: str(exc), "<exception str() failed>"), wish.limit)


def _is_plain(exc: BaseException) -> bool:
    """Tell whether Python makes the exception's text itself, of values of its own."""
    mro: tuple[type, ...] = type.__dict__["__mro__"].__get__(type(exc))
    maker = next(kind for kind in mro if "__str__" in type.__dict__["__dict__"].__get__(kind))
    own = maker is BaseException or maker is KeyError
    return own and all(type(value) in _PLAIN for value in slot(exc, "args"))


def _headline(name: str, message: str) -> str:
    return f"{name}: {message}\n" if message else f"{name}\n"


def _notes(exc: BaseException, limit: int) -> tuple[str, ...]:
    notes = attempt(lambda: _raw_notes(exc), None) or []
    told = [
        cut(attempt(partial(str, note), "<note str() failed>"), limit)
        for note in notes[:NOTE_LIMIT]
    ]
    if len(notes) > NOTE_LIMIT:
        told.append(f"[notes left out: {len(notes) - NOTE_LIMIT}]")
    return tuple(told)


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
        cut(exc.filename or "<string>", LINE_LIMIT),
        exc.lineno,
        min(exc.offset or 0, most) or None,
        cut(line, LINE_LIMIT),
        exc.end_lineno,
        min(exc.end_offset or 0, most) or None,
    )
    # A copy made of checked parts: the error's own class and attributes may be anything.
    shown = traceback.format_exception_only(SyntaxError("", where))
    return [*shown[:-1], _headline(name, cut(exc.msg, limit))]


def _group_text(exc: BaseException, wish: _Wish, depth: int) -> Iterator[Piece]:
    """Yield the members of an exception group, each in a box as Python draws it."""
    inner = members(exc)
    if not inner:
        return
    if depth == GROUP_DEPTH:
        yield Piece(f"  [sub-exceptions left out: {len(inner)}]\n")
        return
    for number, member in enumerate(inner[:GROUP_LIMIT], 1):
        yield Piece(f"  +---------------- {number} ----------------\n")
        yield from indented(_read(member, wish, depth=depth + 1)[1], "  | ")
    if len(inner) > GROUP_LIMIT:
        yield Piece(f"  | [sub-exceptions left out: {len(inner) - GROUP_LIMIT}]\n")
    yield Piece("  +------------------------------------\n")

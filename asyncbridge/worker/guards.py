"""How the user's exceptions are looked at: past their classes' own methods, and within bounds."""

from __future__ import annotations

import builtins
import types
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LINE_LIMIT", "attempt", "cut", "members", "slot", "type_name"]

T = TypeVar("T")

# By identity, as they were before any code has run.
_BUILT_IN: Final = {
    id(kind): kind
    for kind in (*vars(builtins).values(), *vars(types).values())
    if isinstance(kind, type) and kind.__module__ == "builtins"
}

LINE_LIMIT: Final = 512
"""Characters of a source line, a file name or a function's name."""
_MARKER_ROOM: Final = 48


def slot(exc: BaseException, name: str) -> Any:
    """Return an attribute of the exception, past whatever its class has put before it."""
    return BaseException.__dict__[name].__get__(exc)


def members(exc: BaseException) -> tuple[BaseException, ...]:
    """Return the members of an exception group, none of anything else."""
    if not issubclass(type(exc), BaseExceptionGroup):
        return ()
    found: tuple[BaseException, ...] = BaseExceptionGroup.__dict__["exceptions"].__get__(exc)
    return found


def type_name(cls: type) -> str:
    """Return a class's qualified name; without its module for Python's own built-in ones alone.

    A class that says that it is of ``builtins``, or of no module, is ``<unknown>``'s, as in Python's
    tracebacks: by its name alone it would pass for what it is not.
    """
    # Through the descriptors of type: a metaclass may answer anything.
    module: object = attempt(lambda: type.__dict__["__module__"].__get__(cls), None)
    name = cut(type.__dict__["__qualname__"].__get__(cls), LINE_LIMIT)
    if id(cls) in _BUILT_IN:
        return name
    if type(module) is not str or module == "builtins":
        module = "<unknown>"
    return f"{cut(module, LINE_LIMIT)}.{name}"


def attempt(call: Callable[[], T], otherwise: T) -> T:
    """Call what may run the user's code, which may raise anything."""
    try:
        return call()
    except BaseException:  # SystemExit from a __str__ is no reason to exit
        return otherwise


def cut(text: str, limit: int) -> str:
    """Return the text as plain, encodable str: whole, or its head and its tail.

    Args:
        text: Any, also of a class of its own.
        limit: Bytes of the result.
    """
    # str.encode, not text.encode: a subclass of str may answer anything.
    raw = str.encode(text, "utf-8", "backslashreplace")
    if len(raw) <= limit:
        return raw.decode()
    half = max(1, (limit - _MARKER_ROOM) // 2)
    head, tail = raw[:half].decode(errors="ignore"), raw[-half:].decode(errors="ignore")
    return f"{head} … [{len(raw) - 2 * half} bytes left out] … {tail}"

"""``RemoteError`` as Python's own exceptions: which there are, and nothing beyond them.

A worker tells the name of its exception's type. Where it stands in the table here, the client
raises a ``RemoteError`` that is of the built-in type too; any other name is only text. The table
lists no exception by which Python or asyncio steers a program, such as ``StopIteration``,
``CancelledError`` or ``SystemExit``: an error of the worker's never ends a loop here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from asyncbridge.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["DETAILS", "known_base", "known_details", "remote_class"]

_BUILT_INS: Final[tuple[type[Exception], ...]] = (
    *(ArithmeticError, FloatingPointError, OverflowError, ZeroDivisionError),
    *(AssertionError, AttributeError, BufferError, EOFError, MemoryError, ReferenceError),
    *(ImportError, ModuleNotFoundError),
    *(LookupError, IndexError, KeyError),
    *(NameError, UnboundLocalError),
    *(OSError, BlockingIOError, ChildProcessError, FileExistsError, FileNotFoundError),
    *(InterruptedError, IsADirectoryError, NotADirectoryError, PermissionError),
    *(ProcessLookupError, TimeoutError),
    *(ConnectionError, BrokenPipeError, ConnectionAbortedError, ConnectionRefusedError),
    ConnectionResetError,
    *(RuntimeError, NotImplementedError, RecursionError),
    *(SyntaxError, IndentationError, TabError),
    *(SystemError, TypeError),
    *(ValueError, UnicodeError, UnicodeDecodeError, UnicodeEncodeError, UnicodeTranslateError),
    *(Warning, DeprecationWarning, FutureWarning, RuntimeWarning, UserWarning),
)
DETAILS: Final[Mapping[type[Exception], Mapping[str, type[str | int]]]] = {
    OSError: {"errno": int, "strerror": str, "filename": str, "filename2": str},
    ImportError: {"name": str, "path": str},
}
"""Attributes that come along, with their types; by the built-in that has them.

Not the names of ``NameError`` and ``AttributeError``: Python looks among the client's own
variables for what may have been meant.
"""
_DIGITS: Final = 9
"""Of a number among the details: an ``errno`` is small."""


def _made(kind: type[Exception]) -> type[RemoteError]:
    name = f"Remote{kind.__name__}"
    text = f"Code in the worker raised ``{kind.__name__}``, or an exception derived from it."
    return type(name, (RemoteError, kind), {"__module__": __name__, "__doc__": text})


_CLASSES: Final = {kind.__name__: _made(kind) for kind in _BUILT_INS}
# By identity: a class that a person has made may answer anything when it is compared or hashed.
_NAMES: Final = {id(kind): kind.__name__ for kind in _BUILT_INS}
# Where pickle finds them.
globals().update({cls.__name__: cls for cls in _CLASSES.values()})


def known_base(cls: type) -> str:
    """Return the name of the nearest built-in of the table that a class is, or derives from."""
    mro: tuple[type, ...] = type.__dict__["__mro__"].__get__(cls)
    return next((_NAMES[id(kind)] for kind in mro if id(kind) in _NAMES), "")


def remote_class(*names: str) -> type[RemoteError]:
    """Return the class for the first of these types that stands in the table."""
    return next((_CLASSES[name] for name in names if name in _CLASSES), RemoteError)


def known_details(
    cls: type[RemoteError], details: Iterable[tuple[str, str]], text: str
) -> Mapping[str, str | int]:
    """Return what may be set of an error's own attributes, of what the worker has told.

    Args:
        cls: The error's class.
        details: Attributes by name, as text.
        text: The error's whole text.
    """
    if issubclass(cls, SyntaxError):
        # Python prints this in place of str(), and asks for no more where there is no line.
        return {"msg": text}
    types = _types_of(cls)
    told = {name: _read(value, types[name]) for name, value in details if name in types}
    return {name: value for name, value in told.items() if value is not None}


def _types_of(cls: type[RemoteError]) -> Mapping[str, type[Any]]:
    return next((types for kind, types in DETAILS.items() if issubclass(cls, kind)), {})


def _read(value: str, kind: type[Any]) -> str | int | None:
    if kind is str:
        return value
    digits = value.removeprefix("-")
    known = digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS
    return int(value) if known else None

"""``RemoteError`` as Python's own exceptions, and some of ours: which there are, and no more.

A worker tells the name of its exception's type. Where it stands in the table here, the client
raises a ``RemoteError`` that is of that type too; any other name is only text. The table
lists no exception by which Python or asyncio steers a program, such as ``StopIteration``,
``CancelledError`` or ``SystemExit``: an error of the worker's never ends a loop here. Of our own
it lists those that only the worker can find out, and that programs handle.
"""

from __future__ import annotations

from contextlib import suppress
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from asyncbridge.errors import InUse, NameTaken, RemoteError, StaleReference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["DETAILS", "detail_text", "known_base", "known_details", "remote_class"]

Detail: TypeAlias = str | float | tuple[str, ...]

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
_OWN: Final[tuple[type[Exception], ...]] = (StaleReference, NameTaken, InUse)
DETAILS: Final[Mapping[type[Exception], Mapping[str, type[Any]]]] = {
    OSError: {"errno": int, "strerror": str, "filename": str, "filename2": str},
    ImportError: {"name": str, "path": str},
    StaleReference: {"number": int, "incarnation": str, "died_at": float, "reason": str},
    NameTaken: {"name": str, "owner": str},
    InUse: {"name": str, "holders": tuple},
}
"""Attributes that come along, with their types; by the class that has them.

Not the names of ``NameError`` and ``AttributeError``: Python looks among the client's own
variables for what may have been meant.
"""
_DIGITS: Final = 18
"""Of a number among the details: what fits 64 bits."""
_FRACTION: Final = 32
"""Characters of a float among them."""
_PARTS: Final = 256
"""Texts of a tuple among them."""


def _made(kind: type[Exception]) -> type[RemoteError]:
    name = f"Remote{kind.__name__}"
    text = f"Code in the worker raised ``{kind.__name__}``, or an exception derived from it."
    return type(name, (RemoteError, kind), {"__module__": __name__, "__doc__": text})


_TABLE: Final = {kind.__name__: kind for kind in _BUILT_INS} | {
    f"{kind.__module__}.{kind.__name__}": kind for kind in _OWN
}
_CLASSES: Final = {name: _made(kind) for name, kind in _TABLE.items()}
# By identity: a class that a person has made may answer anything when it is compared or hashed.
_NAMES: Final = {id(kind): name for name, kind in _TABLE.items()}
# Where pickle finds them.
globals().update({cls.__name__: cls for cls in _CLASSES.values()})


def known_base(cls: type) -> str:
    """Return the name of the nearest class of the table that a class is, or derives from."""
    mro: tuple[type, ...] = type.__dict__["__mro__"].__get__(cls)
    return next((_NAMES[id(kind)] for kind in mro if id(kind) in _NAMES), "")


def remote_class(*names: str) -> type[RemoteError]:
    """Return the class for the first of these types that stands in the table."""
    return next((_CLASSES[name] for name in names if name in _CLASSES), RemoteError)


def detail_text(value: object, kind: type[Any]) -> str | None:
    """Return an attribute as the text that it travels as; None if it is not of this very type."""
    if type(value) is not kind and not (kind is float and type(value) is int):
        return None
    if not isinstance(value, tuple):
        return str(value)
    # One to a line.
    parts = [each for each in value[:_PARTS] if type(each) is str]
    return "\n".join(part.replace("\n", " ") for part in parts)


def known_details(
    cls: type[RemoteError], details: Iterable[tuple[str, str]], text: str
) -> Mapping[str, Detail]:
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
    told = {name: _READERS[types[name]](value) for name, value in details if name in types}
    return {name: value for name, value in told.items() if value is not None}


def _types_of(cls: type[RemoteError]) -> Mapping[str, type[Any]]:
    return next((types for kind, types in DETAILS.items() if issubclass(cls, kind)), {})


def _parts(value: str) -> tuple[str, ...]:
    return tuple(value.split("\n", _PARTS)[:_PARTS]) if value else ()


def _float(value: str) -> float | None:
    with suppress(ValueError):
        number = float(value) if len(value) <= _FRACTION else inf
        return number if isfinite(number) else None
    return None


def _int(value: str) -> int | None:
    digits = value.removeprefix("-")
    known = digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS
    return int(value) if known else None


_READERS: Final[Mapping[type[Any], Callable[[str], Detail | None]]] = {
    str: str,
    int: _int,
    float: _float,
    tuple: _parts,
}

"""What is refused before a command is made of it."""

from __future__ import annotations

from functools import lru_cache

from asyncbridge.promise import Promise
from asyncbridge.protocol.limits import LONGEST_S

__all__ = [
    "check_code", "check_flag", "check_flags", "check_name", "check_priority", "check_source",
    "check_timeout", "milliseconds",
]  # fmt: skip

PRIORITIES = 2**31
"""Priorities lie between minus this and this."""


def check_name(name: object) -> None:
    """Raise ``TypeError`` for a command's name that is no text."""
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name= is a text that people read, not {name!r}")


def check_code(code: object) -> None:
    """Raise ``TypeError`` for code, other than text, that was meant to be something else."""
    if isinstance(code, Promise):
        raise TypeError("this takes code, not a promise: await that for its value")
    if isinstance(code, bytes | bytearray):
        raise TypeError("code is text, not bytes: code.decode() makes text of them")
    if code is None or callable(code):
        hint = "; run() takes a function" if callable(code) else ""
        raise TypeError(
            f"code is Python source, or a node of asyncbridge.codegen, not {code!r:.80}{hint}"
        )


def check_priority(priority: object) -> None:
    """Raise ``TypeError`` or ``ValueError`` for what is no priority."""
    if type(priority) is not int:
        raise TypeError(f"priority= is an int, higher ones go first, not {priority!r}")
    if not -PRIORITIES < priority < PRIORITIES:
        raise ValueError(f"priority= lies between -2**31 and 2**31, got {priority}")


def check_timeout(timeout: object, name: str = "timeout") -> None:
    """Raise ``TypeError`` or ``ValueError`` for what is no time limit in seconds."""
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"{name}= is a number of seconds, not {timeout!r}")
    if not timeout > 0:
        raise ValueError(f"{name}= is a positive number of seconds, got {timeout}")
    if timeout > LONGEST_S:
        raise ValueError(f"{name}= is {LONGEST_S:.0f} seconds at most, some 31 years; this is more")


def milliseconds(seconds: float | None) -> int:
    """Return a time limit as messages have it: 0 for none."""
    return 0 if seconds is None else max(1, round(seconds * 1000))


def check_flag(name: str, given: object) -> None:
    """Raise ``TypeError`` for a choice that is neither True nor False: any text would be true."""
    if not isinstance(given, bool):
        raise TypeError(f"{name}= is True or False, not {given!r}")


def check_flags(**given: object) -> None:
    """Do as ``check_flag`` for choices that may be left open by None."""
    for name, choice in given.items():
        if choice is not None and choice is not True:
            check_flag(name, choice)


@lru_cache(maxsize=1024)
def check_source(source: str) -> None:
    """Raise ``SyntaxError``, with caret and line, where the code was written."""
    try:
        compile(source, "<command>", "exec", dont_inherit=True, flags=0)
    except ValueError as error:  # a NUL byte, before Python 3.12
        raise SyntaxError(str(error)) from None

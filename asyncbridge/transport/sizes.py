"""How large values may be, and what is said of one that is larger."""

from __future__ import annotations

import os
from pathlib import Path

from asyncbridge.errors import TooLarge

__all__ = [
    "ASK_FOR_LESS",
    "CACHE_VARIABLE",
    "IN_FLIGHT_VARIABLE",
    "LARGEST_VARIABLE",
    "SEND_PARTS",
    "bytes_of_environment",
    "cache_bytes",
    "check_size",
    "largest_value",
    "memory_of_machine",
]

LARGEST_VARIABLE = "ASYNCBRIDGE_LARGEST_VALUE"
IN_FLIGHT_VARIABLE = "ASYNCBRIDGE_IN_FLIGHT"
CACHE_VARIABLE = "ASYNCBRIDGE_CACHE"

SEND_PARTS = (
    f"cut it into smaller items, or raise the limit by connect(largest_value=...) or "
    f"{LARGEST_VARIABLE}, on both sides"
)
"""What to do about an item of a stream that is too large."""
ASK_FOR_LESS = (
    f"ask for parts of it, or raise the limit by connect(largest_value=...) or {LARGEST_VARIABLE}"
)
"""What to do about a result that is too large."""
_GROUP_LIMIT = "/sys/fs/cgroup/memory.max"
_CACHE_PART = 8


def bytes_of_environment(variable: str) -> int | None:
    """Return the bytes that a variable says, None where it is not set.

    Raises:
        ValueError: It is no number of bytes.
    """
    text = os.environ.get(variable)
    if not text:
        return None
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f"{variable}={text!r} is no number of bytes")
    return int(text)


def largest_value(given: int | None) -> int:
    """Return how large a value may be here: what was given, else the variable, else the memory.

    What is larger than the machine's memory cannot be received in any case.
    """
    limit = bytes_of_environment(LARGEST_VARIABLE) if given is None else given
    return memory_of_machine() if limit is None else limit


def cache_bytes(given: int | None) -> int:
    """Return how much a worker keeps of what was streamed: an eighth of the memory by default."""
    limit = bytes_of_environment(CACHE_VARIABLE) if given is None else given
    return memory_of_machine() // _CACHE_PART if limit is None else limit


def memory_of_machine(group: str = _GROUP_LIMIT) -> int:
    """Return the bytes of memory that this process may have at most."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        text = Path(group).read_text(encoding="ascii").strip()
    except OSError:
        return physical
    return min(physical, int(text)) if text.isdecimal() else physical


def check_size(what: str, size: int, limit: int, advice: str) -> None:
    """Refuse what is over a limit.

    Args:
        what: Begins the error's text.
        size: Its bytes.
        limit: The limit; 0 for none.
        advice: What to do about it.

    Raises:
        TooLarge: It is.
    """
    if limit and size > limit:
        raise TooLarge(f"{what} has {size} bytes, and the limit is {limit}: {advice}")

"""Why a worker has ended itself, as it says in its last words."""

from __future__ import annotations

from typing import Final

__all__ = ["DESCRIPTORS_CLOSED", "EXIT_DESCRIPTORS", "told_ending"]

EXIT_DESCRIPTORS: Final = 79
"""Exit status of a worker that has lost descriptors which it cannot do without."""
DESCRIPTORS_CLOSED: Final = "a command has closed descriptors of the worker's own"


def told_ending(exit_code: int, last_words: str) -> str:
    """Return why a worker has ended itself; nothing if it has not.

    By both: a command may end its process with any status, and print anything.
    """
    is_that = exit_code == EXIT_DESCRIPTORS and DESCRIPTORS_CLOSED in last_words
    return DESCRIPTORS_CLOSED if is_that else ""

"""What a training prints, when somebody asks for it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["printing"]

_LINES = 2
"""Keras's ``verbose`` for a line at the end of each epoch."""


@contextmanager
def printing(arguments: dict[str, Any]) -> Generator[None]:
    """Let Keras print for as long as this lasts, if ``verbose`` asks for it.

    A progress bar is drawn over and over in one line, which no pipe shows: a line for each epoch
    stands for it.

    Args:
        arguments: Those of the call; ``verbose`` is changed in them.
    """
    if not arguments.get("verbose"):
        yield
        return
    arguments["verbose"] = _LINES
    keras.config.enable_interactive_logging()
    try:
        yield
    finally:
        keras.config.disable_interactive_logging()

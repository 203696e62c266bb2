"""Words for where a command stands, how it is stopped, and where it was sent."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from asyncbridge.promise.traces import PACKAGE_FOLDERS
from asyncbridge.protocol.states import CommandState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.protocol.messages import StopMode

__all__ = ["STATE_NAMES", "STOP_MODES", "origin"]

STATE_NAMES = {
    CommandState.BACKLOG: "pending",
    CommandState.SENT: "pending",
    CommandState.QUEUED: "queued",
    CommandState.RUNNING: "running",
    CommandState.HALTED: "halted",
    CommandState.FINISHED: "running",  # its value is still on the way
}
STOP_MODES: Mapping[str | None, StopMode] = {
    None: "auto",
    "graceful": "graceful",
    "interrupt": "interrupt",
    "kill": "interrupt",  # of one that has begun by the time that the worker is told
}
"""What the worker is told, by the mode of ``promise.cancel``."""


def origin() -> str:
    """Return the caller's line outside this package, as ``file:line, in function``."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(PACKAGE_FOLDERS) and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}, in {frame.f_code.co_name}"

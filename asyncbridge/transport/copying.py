"""Copies of many bytes, in threads that step back for event loops."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SLICE_BYTES", "copiers", "copy_into"]

SLICE_BYTES = 512 * 1024 * 1024
"""Bytes that are copied at once; between two slices the arena may be closed.

The C library writes around the cache, at nearly twice the speed, when a copy is larger than most of
it, and a server's cache is some hundreds of MiB. The GIL is free meanwhile.
"""
NICE = 10
"""How far a copying thread steps back: on a machine of few cores it would hold up event loops."""
COPIERS = 2
"""Threads that copy: one can map a result while the other is at a long copy."""


def copy_into(target: memoryview, source: memoryview, *, going_on: Callable[[], bool]) -> bool:
    """Copy bytes in slices, with the GIL released; return False when it was broken off."""
    to, given = np.frombuffer(target, np.uint8), np.frombuffer(source, np.uint8)
    for start in range(0, source.nbytes, SLICE_BYTES):
        if not going_on():
            return False
        np.copyto(to[start : start + SLICE_BYTES], given[start : start + SLICE_BYTES])
    return True


def copiers() -> ThreadPoolExecutor:
    """Return threads for what would hold a loop up; none is there before it is used."""
    return ThreadPoolExecutor(COPIERS, thread_name_prefix="asyncbridge-copy", initializer=step_back)


def step_back() -> None:
    """Let this thread's copies wait for event loops, where the system has threads' priorities."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)

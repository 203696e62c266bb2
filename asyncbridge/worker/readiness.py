"""Whether there is anything to read, or anything lost, asked for without letting other threads run meanwhile."""

from __future__ import annotations

import ctypes
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Readiness"]


class _Polled(ctypes.Structure):
    _fields_ = (
        ("fd", ctypes.c_int),
        ("events", ctypes.c_short),
        ("revents", ctypes.c_short),
    )


# Not of the modules ``os`` and ``select``, whose calls all let go of the GIL: a thread that asks
# after each short command would lose it each time, to a loop that may keep it for 5 ms.
_poll = ctypes.PyDLL(None).poll


class Readiness:
    """Looks at some descriptors at once; from one thread at a time.

    Args:
        fds: They must be open as long as anybody asks.
    """

    def __init__(self, fds: Sequence[int]) -> None:
        self._polled = (_Polled * len(fds))(*(_Polled(fd, select.POLLIN, 0) for fd in fds))
        # As C takes them: to convert them each time takes longer than the call itself.
        self._arguments = ctypes.byref(self._polled), ctypes.c_ulong(len(fds)), ctypes.c_int(0)

    @property
    def has_lost(self) -> bool:
        """Whether one of them was found closed, the last time."""
        return any(polled.revents & select.POLLNVAL for polled in self._polled)

    def __bool__(self) -> bool:
        """Tell whether a read from one of them would tell something, an end or an error too."""
        return bool(_poll(*self._arguments))

"""The worker's own descriptors, kept from the code of commands.

Code may close all descriptors above 2, as programs do that become daemons. In a process that is the
code's own this is harmless; here it would take the loop along, every client's connection and the
captured output. So ``os.close``, ``os.closerange`` and ``os.dup2`` leave those be. Where C code has closed
the pipes of the output, this is noticed after its command, and the worker ends.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from asyncbridge.protocol.endings import DESCRIPTORS_CLOSED, EXIT_DESCRIPTORS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["Descriptors", "end_without_descriptors"]

STANDARD: Final = 3
"""Descriptors below this are every program's, and closed ones go to ``/dev/null`` here."""
_OPEN: Final = Path("/dev/fd")
_DETAILS: Final = Path("/proc/self/fdinfo")
_POLL: Final = "anon_inode:[eventpoll]"


class Descriptors:
    """Those that are open now, in the thread that the worker's loop runs in.

    With them go the sockets that the loop looks at, as they come and go.
    """

    def __init__(self) -> None:
        self._process, self._thread = os.getpid(), threading.get_ident()
        self._kept = frozenset(_open_now())
        self._polls = [fd for fd in self._kept if _link(fd) == _POLL]
        self._close, self._closerange, self._dup2 = os.close, os.closerange, os.dup2

    @contextmanager
    def kept(self) -> Generator[None]:
        """Keep them from what is called in other threads than the loop's."""
        # What a thread may still call afterwards does as before.
        os.close, os.closerange, os.dup2 = self.close, self.closerange, self.dup2
        try:
            yield
        finally:
            os.close, os.closerange, os.dup2 = self._close, self._closerange, self._dup2

    def close(self, fd: int) -> None:
        """Do as ``os.close``, but with the worker's own.

        Raises:
            PermissionError: It is one of those.
        """
        if self._is_asked() and 0 <= fd < STANDARD:
            self._silence(fd)
            return
        self._check(fd)
        self._close(fd)

    def closerange(self, fd_low: int, fd_high: int, /) -> None:
        """Do as ``os.closerange``, and pass over the worker's own."""
        if not self._is_asked():
            self._closerange(fd_low, fd_high)
            return
        for fd in range(max(0, fd_low), min(STANDARD, fd_high)):
            self._silence(fd)
        low = max(STANDARD, fd_low)
        for fd in sorted(self._kept | self._watched()):
            if low <= fd < fd_high:
                self._closerange(low, fd)
                low = fd + 1
        self._closerange(low, fd_high)

    def dup2(self, fd: int, fd2: int, inheritable: bool = True) -> int:
        """Do as ``os.dup2``, but with the worker's own as the second.

        Raises:
            PermissionError: It is one of those.
        """
        self._check(fd2)
        return self._dup2(fd, fd2, inheritable)

    def _is_asked(self) -> bool:
        # A child that was forked may close what it likes.
        return threading.get_ident() != self._thread and os.getpid() == self._process

    def _check(self, fd: int) -> None:
        if not self._is_asked():
            return
        if fd in self._kept or (_is_socket(fd) and fd in self._watched()):
            text = f"descriptor {fd} is the worker's own, which all its clients need: it stays open"
            raise PermissionError(errno.EPERM, text)

    def _watched(self) -> set[int]:
        """Return what the worker's loops look at, where the system tells."""
        found: set[int] = set()
        for poll in self._polls:
            with suppress(OSError):
                lines = (_DETAILS / str(poll)).read_text(encoding="ascii").splitlines()
                found |= {int(line.split()[1]) for line in lines if line.startswith("tfd:")}
        return found

    def _silence(self, fd: int) -> None:
        # The number must not become a client's connection, into which somebody then prints.
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != fd:
            self._dup2(nowhere, fd)
            self._close(nowhere)


def end_without_descriptors() -> None:
    """End the process, with the reason as its last words: it could do nothing more."""
    with suppress(OSError):
        os.write(2, f"asyncbridge worker: {DESCRIPTORS_CLOSED}\n".encode())
    os._exit(EXIT_DESCRIPTORS)


def _open_now() -> Iterator[int]:
    for entry in os.listdir(_OPEN):  # noqa: PTH208 - names, and no paths
        fd = int(entry)
        with suppress(OSError):  # what lists them is gone by now
            os.fstat(fd)
            if fd >= STANDARD:
                yield fd


def _link(fd: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{fd}").readlink())
    except OSError:
        return ""


def _is_socket(fd: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except (OSError, OverflowError, TypeError, ValueError):
        return False

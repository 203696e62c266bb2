"""What the worker's code prints, captured where it leaves the process.

File descriptors 1 and 2 are pipes whose other ends are read here. So ``print``, C and C++ code
and child processes share one path and keep their order. The pipes block when they are full:
the loop reads them as they fill, and the supervisor steps in where the loop cannot.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TextIO

from asyncbridge.worker._last_words import map_rings
from asyncbridge.worker.readiness import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from asyncbridge.protocol.messages import StreamName
    from asyncbridge.worker._last_words import Ring

    Do = Callable[[Callable[[], object]], bool]

__all__ = ["Capture"]

READ_BYTES: Final = 256 * 1024
"""Bytes of one stream that one ``drain`` reads at most: several pipes full, on Linux."""


class Capture:
    """Reads back what this process writes to its file descriptors 1 and 2.

    ``sys.stdout`` and ``sys.stderr`` become text streams over them that are flushed at the end
    of each line.

    Args:
        stdout_fd: The read end of the pipe that is file descriptor 1. From here on it is
            this object's own and does not block, like the two that follow.
        stderr_fd: The read end of the pipe that is file descriptor 2.
        words_fd: The file that keeps the last bytes that were read, of each stream.
        read_bytes: Bytes of one stream that one ``drain`` reads at most.
        lost: Called when one of the two pipes turns out to be closed: code has done so.
    """

    def __init__(
        self,
        *,
        stdout_fd: int,
        stderr_fd: int,
        words_fd: int | None = None,
        read_bytes: int = READ_BYTES,
        lost: Callable[[], None] | None = None,
    ) -> None:
        for fd in (stdout_fd, stderr_fd):
            os.set_blocking(fd, False)
        rings = map_rings(words_fd)
        # The loop and the GPU thread both drain; a decoder holds half of a character.
        self._lock = threading.Lock()
        self._sources = (
            _Source("stdout", stdout_fd, rings[0], read_bytes),
            _Source("stderr", stderr_fd, rings[1], read_bytes),
        )
        self._readiness = Readiness([stdout_fd, stderr_fd])
        self._lost = lost
        self._before = (sys.stdout, sys.stderr)
        self._streams = [_text_stream(sys.stdout, 1), _text_stream(sys.stderr, 2)]
        sys.stdout, sys.stderr = self._streams
        # Where file descriptors 1 and 2 went before ``redirect`` put pipes in their place.
        self._saved_fds: tuple[int, ...] = ()

    @classmethod
    def redirect(cls, *, read_bytes: int = READ_BYTES) -> Self:
        """Put new pipes in the place of file descriptors 1 and 2, until ``close``."""
        before = sys.stdout, sys.stderr
        for stream in before:
            _flush(stream)  # to where it was meant to go
        saved = os.dup(1), os.dup(2)
        readers = _redirected(1), _redirected(2)
        # Streams of its own, so that code spoils none of those that come back.
        sys.stdout, sys.stderr = _text_stream(None, 1), _text_stream(None, 2)
        capture = cls(stdout_fd=readers[0], stderr_fd=readers[1], read_bytes=read_bytes)
        capture._before, capture._saved_fds = before, saved
        return capture

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def filenos(self) -> tuple[int, ...]:
        """Return the two read ends, for ``loop.add_reader``."""
        return tuple(source.fd for source in self._sources)

    def drain(self) -> list[tuple[StreamName, str]]:
        """Return what is there to read now, without waiting; from any thread.

        Each call reads ``read_bytes`` of a stream at most. Bytes that are no UTF-8 are
        replaced; a character of which a part is still to come waits for the rest.
        """
        with self._lock:
            if not self._readiness:
                return []
            if self._lost is not None and self._readiness.has_lost:
                self._lost()
            read = [source.read() for source in self._sources]
            texts: list[tuple[StreamName, str]] = [
                (source.name, source.decode(data))
                for source, data in zip(self._sources, read, strict=True)
            ]
        return [(name, text) for name, text in texts if text]

    def flush_python_streams(self, do: Do | None = None) -> None:
        """Push what Python still buffers into the pipes; replace streams that code has closed.

        Call it without a lock that the pipes' reader needs: while they are full, it waits.

        Args:
            do: Calls what may be the user's, and tells whether it came to its end: a stream that
                does not is replaced, too.
        """
        for index, name in enumerate(("stdout", "stderr")):
            ours, current = self._streams[index], getattr(sys, name, None)
            _flush_own(ours)
            if not _is_open(ours):
                ours = self._streams[index] = _text_stream(None, index + 1)
            if current is ours:
                continue
            # Code may have put its own in this place.
            found: list[bool] = []
            if not (do or _do)(partial(_look_at, current, found)):
                ours.write(f"asyncbridge: sys.{name} was replaced by what did not flush in time\n")
                found = [False]
            if found != [True]:
                setattr(sys, name, ours)

    def close(self) -> None:
        """Close the read ends, and put back what ``redirect`` had replaced."""
        for fd, saved in enumerate(self._saved_fds, 1):
            os.dup2(saved, fd)
            os.close(saved)
        self._saved_fds = ()
        # Only now: into the pipes, which nobody may read any more, it could wait for ever.
        self.flush_python_streams()
        for index, name in enumerate(("stdout", "stderr")):
            if getattr(sys, name) is self._streams[index]:
                setattr(sys, name, self._before[index])
        for source in self._sources:
            source.close()


class _Source:
    """The read end of one stream's pipe."""

    def __init__(self, name: StreamName, fd: int, ring: Ring, limit: int) -> None:
        self.name: StreamName = name
        self.fd = fd
        self._ring = ring
        self._limit = limit
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def read(self) -> bytes:
        """Return what waits in the pipe, up to the limit."""
        chunks = []
        room = self._limit
        with contextlib.suppress(BlockingIOError):  # it is empty
            while room and (chunk := self._ring.read(self.fd, room)):
                chunks.append(chunk)
                room -= len(chunk)
        return b"".join(chunks)

    def decode(self, data: bytes) -> str:
        return self._decoder.decode(data)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            self._ring.close()


def _redirected(fd: int) -> int:
    """Put a new pipe's write end in the place of ``fd``, and return its read end."""
    reader, writer = os.pipe()
    os.dup2(writer, fd)
    os.close(writer)
    return reader


def _text_stream(current: TextIO | None, fd: int) -> TextIO:
    """Return a text stream over ``fd`` that is flushed at the end of each line."""
    if isinstance(current, io.TextIOWrapper) and _fileno(current) == fd:
        # The one that modules imported earlier may hold.
        current.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        return current
    try:
        os.fstat(fd)
    except OSError:  # code has closed the descriptor: what is printed from here on is lost
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if nowhere != fd:
            os.dup2(nowhere, fd)
            os.close(nowhere)
    # closefd: code that closes the stream must not close the descriptor with it.
    return open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _fileno(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # it has none, or is closed
        return None


def _flush(stream: Any) -> bool:
    """Flush a stream; tell whether more can be written to it."""
    # Whatever code has put in a stream's place, it may raise anything, or have no flush().
    try:
        stream.flush()
        return not stream.closed and callable(stream.write)
    except BaseException:
        return _is_open(stream)


def _flush_own(stream: TextIO) -> None:
    # Not the method of that name: code may have put its own before it.
    with contextlib.suppress(OSError, ValueError):  # its descriptor, or it, is closed
        io.TextIOWrapper.flush(stream)  # type: ignore[arg-type]  # as all of ours are


def _do(call: Callable[[], object]) -> bool:
    call()
    return True


def _look_at(stream: object, found: list[bool]) -> None:
    """Flush what code has put in a stream's place, and note whether it can go on standing there."""
    found.append(_flush(stream))


def _is_open(stream: object) -> bool:
    try:
        return not getattr(stream, "closed", False) and callable(getattr(stream, "write", None))
    except BaseException:
        return False

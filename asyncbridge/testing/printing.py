"""What the commands of a fake worker print, captured as a worker's output is."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TextIO, cast

from asyncbridge.worker.output import Capture

if TYPE_CHECKING:
    from collections.abc import Generator

    from asyncbridge.protocol.messages import StreamName

__all__ = ["Prints"]

PIECE = 64 * 1024
"""Characters that are told at once: a message has its limit."""


class Prints(Capture):
    """Keeps what Python code prints within ``taken``; no file descriptor is touched.

    Only that of the thread which is in there: what the app's other threads print meanwhile goes
    where it always goes.
    """

    def __init__(self) -> None:
        self._pieces: list[tuple[StreamName, str]] = []
        self._out, self._err = _Stream("stdout", self._pieces), _Stream("stderr", self._pieces)

    @contextmanager
    def taken(self) -> Generator[None]:
        """Take what is printed, until the end of the block."""
        ours = cast("TextIO", self._out), cast("TextIO", self._err)
        before = sys.stdout, sys.stderr
        self._out.begin(before[0])
        self._err.begin(before[1])
        sys.stdout, sys.stderr = ours
        try:
            yield
        finally:
            # Code may have put its own in their place, and then those stay.
            if sys.stdout is ours[0]:
                sys.stdout = before[0]
            if sys.stderr is ours[1]:
                sys.stderr = before[1]
            self._out.thread = self._err.thread = None

    # --- what an engine asks of a capture ---

    def filenos(self) -> tuple[int, ...]:
        """Return nothing: a loop has nothing to watch."""
        return ()

    def drain(self) -> list[tuple[StreamName, str]]:
        """Return what was printed since the last time."""
        printed: list[tuple[StreamName, str]] = []
        for name, pieces in groupby(self._pieces, itemgetter(0)):
            text = "".join(piece for _, piece in pieces)
            printed += [(name, text[at : at + PIECE]) for at in range(0, len(text), PIECE)]
        self._pieces.clear()
        return printed

    def flush_python_streams(self, do: object = None) -> None:
        """Do nothing: what is printed is here at once."""

    def close(self) -> None:
        """Do nothing: there is nothing open."""


class _Stream:
    """A standard stream of which one thread's text is kept; all else is the stream's own.

    Attributes:
        thread: Whose text is kept; None outside ``taken``, for code may go on to hold this.
    """

    def __init__(self, name: StreamName, pieces: list[tuple[StreamName, str]]) -> None:
        self.thread: int | None = None
        self._name: StreamName = name
        self._pieces = pieces

    def begin(self, stream: TextIO) -> None:
        """Keep this thread's text, in front of a stream."""
        self.thread, self._stream = threading.get_ident(), stream

    def write(self, text: str) -> int:
        if threading.get_ident() != self.thread:
            return self._stream.write(text)
        self._pieces.append((self._name, text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

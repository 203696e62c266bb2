"""Writes the journal; see ``protocol.journal`` for what it is for."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from asyncbridge.protocol.journal import (
    BODY,
    FINISHED,
    JOURNAL_BYTES,
    JOURNAL_FILE,
    NOTHING,
    RUNNING,
    WRITING,
    session_digest,
)

__all__ = ["Journal"]


class Journal:
    """The worker's side of the journal; the GPU thread's alone.

    Args:
        folder: The worker's private folder; None keeps the journal in memory, for a worker
            that has no process of its own.
    """

    def __init__(self, folder: str | None) -> None:
        if folder is None:
            self._map = mmap.mmap(-1, JOURNAL_BYTES)
        else:
            descriptor = os.open(Path(folder) / JOURNAL_FILE, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                # Written, not only made as long: a page that a full disk has no room for kills.
                os.write(descriptor, bytes(JOURNAL_BYTES))
                self._map = mmap.mmap(descriptor, JOURNAL_BYTES)
            finally:
                os.close(descriptor)
        self._map[0] = NOTHING
        self._session, self._digest = "", session_digest("")

    def started(self, session: str, command_id: int, ordered_id: int = 0) -> None:
        """Note the command that is taken up now, and the newest one in order."""
        if session != self._session:
            self._session, self._digest = session, session_digest(session)
        entries = self._map
        entries[0] = WRITING  # nobody may take a half-written entry for a whole one
        entries[1:] = BODY.pack(self._digest, command_id, ordered_id)
        entries[0] = RUNNING

    def finished(self) -> None:
        """Note that the command's code has come to its end."""
        self._map[0] = FINISHED

    def read(self) -> bytes:
        """Return the journal as it is."""
        return self._map[:]

"""The worker's journal: which command its GPU thread took up last, readable after its death.

It is a small file in shared memory that the GPU thread writes as it goes, and that the
supervisor reads once the process has ended. So a lost command's phase is known and not guessed,
however suddenly the end came: notifications that were still on their way are lost with it.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

__all__ = ["JOURNAL_BYTES", "JOURNAL_FILE", "Entry", "is_blank", "parse", "session_digest"]

JOURNAL_FILE = "journal"
"""The file's name, in the worker's folder."""
BODY = struct.Struct("<16sQQ")
"""Digest of the session's id, the command's id, and that of the newest in order."""
JOURNAL_BYTES = 1 + BODY.size
"""The state comes first, one byte."""

NOTHING, RUNNING, FINISHED, WRITING = 0, 1, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the GPU thread did last.

    Attributes:
        session: Digest of the session's id.
        command_id: The command that it took up last.
        finished: Whether that command's code had come to its end.
        ordered_id: The newest that it took up of those which run in the order of their ids; 0
            when there was none.
    """

    session: bytes
    command_id: int
    finished: bool
    ordered_id: int = 0


def session_digest(session: str) -> bytes:
    """Return the 16 bytes that stand for a session in the journal."""
    return hashlib.blake2b(session.encode(), digest_size=16).digest()


def is_blank(data: bytes) -> bool:
    """Tell whether this is a journal by which no command was ever taken up."""
    return len(data) == JOURNAL_BYTES and data[0] == NOTHING


def parse(data: bytes) -> Entry | None:
    """Return the journal's entry, None when it is blank, half-written or not there."""
    if len(data) != JOURNAL_BYTES or data[0] not in (RUNNING, FINISHED):
        return None
    session, command_id, ordered_id = BODY.unpack_from(data, 1)
    return Entry(
        session=session,
        command_id=command_id,
        finished=data[0] == FINISHED,
        ordered_id=ordered_id,
    )

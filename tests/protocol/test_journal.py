"""The journal's bytes."""

from __future__ import annotations

import pytest

from asyncbridge.protocol.journal import (
    BODY,
    FINISHED,
    JOURNAL_BYTES,
    NOTHING,
    RUNNING,
    WRITING,
    Entry,
    is_blank,
    parse,
    session_digest,
)

DIGEST = session_digest("s")


@pytest.mark.parametrize(("state", "finished"), [(RUNNING, False), (FINISHED, True)])
def test_an_entry_is_read_back(state: int, finished: bool) -> None:
    """The session's digest, the command's id, whether it had ended, and the newest in order."""
    data = bytes([state]) + BODY.pack(DIGEST, 2**40, 2**39)
    assert parse(data) == Entry(
        session=DIGEST, command_id=2**40, finished=finished, ordered_id=2**39
    )
    assert not is_blank(data)


def test_a_blank_journal_is_known_to_be_blank() -> None:
    """No command was ever taken up: that is knowledge, unlike a journal that is not there."""
    blank = bytes(JOURNAL_BYTES)
    assert blank[0] == NOTHING
    assert parse(blank) is None
    assert is_blank(blank)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes([WRITING]) + BODY.pack(DIGEST, 1, 1),
        b"\x07" * JOURNAL_BYTES,
        b"\x01",
        b"\x00" * 99,
    ],
)
def test_anything_else_tells_nothing(data: bytes) -> None:
    """Half-written, cut or foreign bytes are no entry, and no proof of a blank journal either."""
    assert parse(data) is None
    assert not is_blank(data)


def test_digests_tell_sessions_apart() -> None:
    """Sixteen bytes, the same for the same id."""
    assert len(DIGEST) == 16
    assert DIGEST == session_digest("s") != session_digest("t")

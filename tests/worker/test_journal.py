"""The worker's side of the journal."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from asyncbridge.protocol.journal import JOURNAL_FILE, Entry, is_blank, parse, session_digest
from asyncbridge.worker.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("mapped", [True, False])
def test_it_follows_the_commands(tmp_path: Path, mapped: bool) -> None:
    """Blank at first; then the last command, running or finished; of any session."""
    journal = Journal(str(tmp_path) if mapped else None)
    assert is_blank(journal.read())
    journal.started("s", 7)
    assert parse(journal.read()) == Entry(session=session_digest("s"), command_id=7, finished=False)
    journal.finished()
    journal.started("t", 5, 4)
    journal.finished()
    assert parse(journal.read()) == Entry(
        session=session_digest("t"), command_id=5, finished=True, ordered_id=4
    )


def test_it_has_its_room_from_the_beginning(tmp_path: Path) -> None:
    """A disk that becomes full later kills nobody who writes there."""
    journal = Journal(str(tmp_path))
    status = (tmp_path / JOURNAL_FILE).stat()
    assert status.st_size == len(journal.read())
    assert status.st_blocks > 0


def test_another_process_reads_the_file(tmp_path: Path) -> None:
    """What was written is in the file at once, and nobody else may read it."""
    journal = Journal(str(tmp_path))
    journal.started("s", 3)
    file = tmp_path / JOURNAL_FILE
    assert file.read_bytes() == journal.read()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

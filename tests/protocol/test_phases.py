"""What is known of a command whose worker has ended."""

from __future__ import annotations

import pytest

from asyncbridge.errors import Phase
from asyncbridge.protocol.journal import Entry
from asyncbridge.protocol.phases import phase_of
from asyncbridge.protocol.states import CommandState

AT_2 = Entry(session=b"s", command_id=2, finished=False)
DONE_2 = Entry(session=b"s", command_id=2, finished=True)


@pytest.mark.parametrize(
    ("number", "state", "journal", "told", "ordered", "phase"),
    [
        (2, CommandState.BACKLOG, AT_2, False, True, "not_started"),
        (1, CommandState.SENT, None, True, True, "not_started"),
        (1, CommandState.SENT, None, False, True, "unknown"),
        (1, CommandState.RUNNING, None, False, True, "started"),
        (2, CommandState.SENT, AT_2, False, True, "started"),
        (2, CommandState.RUNNING, DONE_2, False, True, "finished_unreported"),
        (1, CommandState.RUNNING, AT_2, False, True, "finished_unreported"),
        (3, CommandState.SENT, AT_2, False, True, "not_started"),
        (3, CommandState.SENT, AT_2, False, False, "unknown"),
        (1, CommandState.RUNNING, AT_2, False, False, "started"),
    ],
)
def test_phases(
    number: int,
    state: CommandState,
    journal: Entry | None,
    told: bool,
    ordered: bool,
    phase: Phase,
) -> None:
    """The journal says it, as far as commands ran in order; else what the worker told."""
    assert phase_of(number, state, journal, told=told, ordered=ordered) == phase

"""What is known of a command whose worker has ended."""

from __future__ import annotations

import pytest

from asyncbridge.errors import Phase
from asyncbridge.protocol.journal import Entry
from asyncbridge.protocol.phases import phase_of
from asyncbridge.protocol.states import CommandState

AT_2 = Entry(session=b"s", command_id=2, finished=False, ordered_id=2)
DONE_2 = Entry(session=b"s", command_id=2, finished=True, ordered_id=2)
URGENT_9 = Entry(session=b"s", command_id=9, finished=False, ordered_id=2)


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
        (1, CommandState.RUNNING, AT_2, False, False, "finished_unreported"),
        (9, CommandState.SENT, URGENT_9, False, False, "started"),
        (2, CommandState.SENT, URGENT_9, False, True, "finished_unreported"),
        (3, CommandState.SENT, URGENT_9, False, True, "not_started"),
        (8, CommandState.SENT, URGENT_9, False, False, "unknown"),
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
    """The journal says it, as far as commands run in order; else what the worker told."""
    assert phase_of(number, state, journal, told=told, ordered=ordered) == phase

"""How far a command had come whose worker has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncbridge.protocol.states import CommandState

if TYPE_CHECKING:
    from asyncbridge.errors import Phase
    from asyncbridge.protocol.journal import Entry

__all__ = ["phase_of"]


def phase_of(
    number: int, state: CommandState, journal: Entry | None, *, told: bool, ordered: bool = True
) -> Phase:
    """Return how far a command had come whose worker has ended."""
    if state is CommandState.BACKLOG:
        return "not_started"
    if state is CommandState.HALTED:  # the journal may speak of the run before the halt
        return "started"
    if journal is None and told:
        return "not_started"
    if journal is not None and number == journal.command_id:
        return "finished_unreported" if journal.finished else "started"
    if journal is None or not ordered:
        # Notifications may have been lost on their way: only that it started is certain.
        return "started" if state is CommandState.RUNNING else "unknown"
    # Commands of a session are taken up in the order of their ids.
    return "finished_unreported" if number <= journal.command_id else "not_started"

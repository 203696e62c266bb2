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
    """Return how far a command had come whose worker has ended.

    Args:
        number: The command's id.
        state: Where it stood, as far as the client knew.
        journal: What the worker's GPU thread took up last, if that was one of this session.
        told: Whether the journal says that no command was ever taken up.
        ordered: Whether it is one of those that run in the order of their ids: not one that
            others may be run before, nor one that ever had a priority.
    """
    if state is CommandState.BACKLOG:
        return "not_started"
    if state is CommandState.HALTED:  # the journal may speak of the run before the halt
        return "started"
    if journal is None and told:
        return "not_started"
    if journal is not None and number == journal.command_id:
        return "finished_unreported" if journal.finished else "started"
    if state is CommandState.RUNNING:
        # What starts is noted before it is told: the worker has gone on to another one.
        return "started" if journal is None else "finished_unreported"
    if journal is None or not ordered:
        # Notifications may have been lost on their way.
        return "unknown"
    return "finished_unreported" if number <= journal.ordered_id else "not_started"

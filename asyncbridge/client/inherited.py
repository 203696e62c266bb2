"""What a client tells of the commands that earlier ones have left, and nobody here has claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from asyncbridge.client.standing import CommandInfo
from asyncbridge.promise.times import Times
from asyncbridge.protocol.states import CommandState

if TYPE_CHECKING:
    from asyncbridge.client.endings import CommandOutcome
    from asyncbridge.protocol.holding import Holding
    from asyncbridge.protocol.holdings import Holdings

__all__ = ["Inherited"]


class Inherited:
    """They, with their times.

    Args:
        held: What the worker tells of them.
    """

    def __init__(self, held: Holdings) -> None:
        self._held = held
        self._times: dict[int, Times] = {}

    def heard(self, message: Holding) -> None:
        """Take the list, or a change of it, which the protocol has taken already."""
        for row in message.commands:
            if row[0] not in self._held.entries:
                self._times.pop(row[0], None)
        for number, _, ran_ms, _ in message.standing:
            if number in self._held.entries and number not in self._times:
                times = self._times[number] = Times()
                if ran_ms or self._held.entries[number].state is not CommandState.QUEUED:
                    times.started_before(ran_ms / 1000)

    def started(self, command_id: int) -> None:
        """Note that one of them begins to run."""
        if (times := self._times.get(command_id)) is not None:
            times.start()

    def take(self, command_id: int) -> Times | None:
        """Give away the times of one that is claimed; None if it had an outcome by then."""
        return self._times.pop(command_id, None)

    def info(
        self, command_id: int, *, position: int | None = None, others: int | None = None
    ) -> CommandInfo | None:
        """Describe one of them; None for any other command."""
        held, entry = self._held.commands.get(command_id), self._held.entries.get(command_id)
        if held is None:
            return None
        if entry is None:
            outcome = cast("CommandOutcome", held.state)
            return CommandInfo(id=command_id, name=held.label, outcome=outcome)
        times = self._times[command_id]
        return CommandInfo(
            id=command_id,
            name=held.label,
            state=held.state,
            position=position,
            others=others,
            seconds=times.queued_for if times.ran_for is None else times.ran_for,
            size=entry.size,
            priority=entry.command.priority,
        )

"""How a command stands: what ``bridge.queue()`` and ``bridge.command()`` tell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from asyncbridge.protocol.states import CommandState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncbridge.client.endings import CommandOutcome
    from asyncbridge.client.inherited import Inherited
    from asyncbridge.client.pending import Pending
    from asyncbridge.protocol.client import ClientProtocol
    from asyncbridge.protocol.messages import QueueReport

__all__ = ["CommandInfo", "standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandInfo:
    """A command as it stood when the worker answered.

    Attributes:
        id: Its number in this bridge.
        name: What ``send`` was told to call it; may be empty.
        state: ``pending`` in the backlog or on its way, ``queued``, ``running``,
            ``halted``, ``interrupt-pending``, or ``done``, however it has ended.
        outcome: How one has ended that is done: ``completed``, ``failed`` or ``cancelled``; empty
            while it is not, and where that is not known.
        position: How many of this bridge's commands are run before it, one that runs not
            counted: 0 is the next one. None when it runs or is done.
        others: How many commands of other clients come before it, as far as the worker knows;
            None when it runs or is done.
        seconds: How long it has waited since it was sent, or run; how long it ran when it is done.
        size: Bytes that its code and its bindings count for; 0 when it is done.
        priority: Those with a higher one go first.
    """

    id: int
    name: str = ""
    state: str = "done"
    position: int | None = None
    others: int | None = None
    seconds: float = 0.0
    size: int = 0
    priority: int = 0
    outcome: CommandOutcome = ""


def standing(
    protocol: ClientProtocol,
    pending: Mapping[int, Pending],
    report: QueueReport,
    inherited: Inherited,
) -> list[CommandInfo]:
    """Return a session's unfinished commands in the order in which they will be run.

    Args:
        protocol: The session's.
        pending: Its commands without an outcome.
        report: What the worker has told.
        inherited: Its commands of earlier clients.
    """
    found: list[CommandInfo] = []
    position, ahead = 0, iter(report.ahead)
    for command_id in protocol.order():
        item = pending.get(command_id)
        describe: Callable[..., CommandInfo | None]
        if item is None:
            describe = partial(inherited.info, command_id)
        else:  # one that was claimed has neither code nor bindings here
            size = item.size or protocol.size_of(command_id)
            describe = partial(info_of, item, size=size)
        if protocol.command_state(command_id) in (CommandState.RUNNING, CommandState.HALTED):
            info = describe()
        elif (info := describe(position=position, others=next(ahead, report.others))) is not None:
            position += 1
        if info is not None:  # else it was rejected here, and the worker has yet to answer a cancel
            found.append(info)
    return found


def info_of(
    item: Pending, *, size: int, position: int | None = None, others: int | None = None
) -> CommandInfo:
    """Describe an unfinished command."""
    times = item.times
    return CommandInfo(
        id=item.id,
        name=item.label,
        state=item.state,
        position=position,
        others=others,
        seconds=times.queued_for if times.ran_for is None else times.ran_for,
        size=size,
        priority=item.priority,
    )

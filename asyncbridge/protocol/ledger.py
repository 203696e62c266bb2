"""One session's commands by id: what each id was used for, and outcomes until they are had.

A session's ledger outlives its client: whoever comes next under the session's name goes on with
it. Nothing here knows of connections.
"""

from __future__ import annotations

import marshal
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from asyncbridge.protocol.holding import HeldState, StandingRow, Withheld
from asyncbridge.protocol.payloads import BulkRef
from asyncbridge.protocol.states import CommandEvent, CommandState, advance_command
from asyncbridge.protocol.used import UsedIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from asyncbridge.protocol.messages import Cancelled, Command, Completed, Failed, Halted
    from asyncbridge.protocol.payloads import Buffer

__all__ = ["Ending", "Entry", "HeldRow", "Ledger", "Look", "Outcome", "Stored", "digest_of"]

Ending: TypeAlias = "Completed | Failed | Cancelled"

HEAD_BYTES: Final = 256
"""What an outcome counts beside its value, or its error's text."""
DROPPED_KEPT: Final = 1024
"""Dropped outcomes of which it is remembered why they are gone."""
LABEL_CHARACTERS: Final = 80
"""Of a label, in the list of what a session holds."""

Look: TypeAlias = "Callable[[Command], tuple[int, int]]"
HeldRow = tuple[int, str, HeldState, int]
HELD_STATES: Final[Mapping[CommandState, HeldState]] = {
    CommandState.QUEUED: "queued",
    CommandState.RUNNING: "running",
    CommandState.HALTED: "halted",
}


class Stored(Protocol):
    """An outcome that lies where it takes no memory."""

    @abstractmethod
    def message(self) -> Ending:
        """Read it back."""

    @abstractmethod
    def buffers(self) -> Mapping[str, Buffer]:
        """Return its large buffers."""

    @abstractmethod
    def free(self) -> None:
        """Let go of its place."""


@dataclass(slots=True)
class Entry:
    """A command that is queued or runs.

    Attributes:
        claimed: Whether the client that is there now waits for it.
        halt: What is told of it while it is halted.
        again: Whether it has run, and is to run once more.
    """

    command: Command
    size: int
    state: CommandState = CommandState.QUEUED
    claimed: bool = True
    halt: Halted | None = None
    again: bool = False

    @property
    def began(self) -> bool:
        """Whether it has ever been taken up."""
        return self.again or self.state is not CommandState.QUEUED


@dataclass(slots=True)
class Outcome:
    """A command's end that nobody is known to have seen.

    Attributes:
        message: What tells it; None while it is ``stored``.
        command: What it was, or for one with bindings the ``digest`` of that.
        state: How it ended.
        size: Bytes that it takes, its large buffers included.
        bulk: These, by their ids.
        stored: Where it lies that has no place in memory.
        claimed: Whether the client that is there now waits for it.
        lent: Bytes of its large buffers that lie in shared memory, and do not count here.
        objects: The kept objects that its value refers to.
    """

    message: Ending | None
    command: Command | None
    digest: int
    label: str
    state: HeldState
    size: int
    claimed: bool
    bulk: Mapping[str, Buffer] | None = None
    stored: Stored | None = None
    lent: int = 0
    objects: tuple[int, ...] = ()

    def told(self) -> Ending:
        """Return what tells it, wherever it lies."""
        if self.message is not None:
            return self.message
        assert self.stored is not None
        return self.stored.message()


class Ledger:
    """The account of one session.

    Attributes:
        used: The ids that commands have had.
        unfinished: Commands that are queued or run, by id.
        outcomes: Ends that nobody is known to have seen, the oldest first.
        memory: Bytes that those take which are in memory.
    """

    def __init__(self) -> None:
        self.used = UsedIds()
        self.unfinished: dict[int, Entry] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.memory = 0
        self._dropped: dict[int, str] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left that anybody could ask for."""
        return not (self.unfinished or self.outcomes)

    def take(self, command: Command, size: int) -> None:
        """Note a command whose id was not used before."""
        self.used.add(command.id, command.overtakes)
        self.unfinished[command.id] = Entry(command, size)

    def finish(self, message: Ending, state: HeldState, size: int) -> Entry:
        """Note a command's end; return what it was."""
        entry = self.unfinished.pop(message.id)
        entry.state = advance_command(entry.state, CommandEvent.FINISH)
        command = entry.command
        # Bindings are slices of the frame that brought them, and would keep all of it.
        kept = command if command.bindings is None else None
        counted = HEAD_BYTES + size + (0 if kept is None else len(kept.code))
        self.outcomes[command.id] = Outcome(
            message=message,
            command=kept,
            digest=0 if kept is not None else digest_of(command),
            label=command.label[:LABEL_CHARACTERS],
            state=state,
            size=counted,
            claimed=entry.claimed,
            objects=getattr(message, "objects", ()),
        )
        self.memory += counted
        return entry

    def judge(self, command: Command) -> Withheld | None:
        """Say what is wrong with a command whose id was used; None for a repetition."""
        entry, outcome = self.unfinished.get(command.id), self.outcomes.get(command.id)
        if entry is not None:
            digest = digest_of(entry.command)
        elif outcome is not None:
            digest = outcome.digest or digest_of(outcome.command)
        else:
            return self.gone(command.id)
        if digest == digest_of(command):
            return None
        text = f"id {command.id} is that of another command of this session; it was not run"
        return Withheld(id=command.id, code="conflict", message=text)

    def gone(self, command_id: int) -> Withheld:
        """Say why there is nothing of a command."""
        if command_id not in self.used:
            text = (
                f"this session has sent no command {command_id}: its newest is {self.used.newest}"
            )
            return Withheld(id=command_id, code="unused", message=text)
        if (why := self._dropped.get(command_id)) is not None:
            return Withheld(id=command_id, code="dropped", message=why)
        text = (
            f"there is no outcome of command {command_id} any more: it is told once, and an "
            "earlier process has had it, or has cancelled the command, or closed its bridge"
        )
        return Withheld(id=command_id, code="delivered", message=text)

    def acknowledge(self, ids: Iterable[int]) -> None:
        """Let go of outcomes that the client has seen."""
        for command_id in ids:
            if command_id in self.outcomes:
                self._remove(command_id)

    def hold(self, command_id: int, bulk: Mapping[str, Buffer], *, lent: int = 0) -> None:
        """Hold an outcome's large buffers, some bytes of which lie in shared memory."""
        outcome = self.outcomes[command_id]
        outcome.bulk, outcome.lent = bulk, lent
        outcome.size -= lent
        self.memory -= lent

    def unlend(self) -> None:
        """Count what was lent: it is this process's own from now on."""
        for outcome in self.outcomes.values():
            outcome.size += outcome.lent
            self.memory += outcome.lent
            outcome.lent = 0

    def returned(self, buffer_ids: Iterable[str]) -> None:
        """Let go of outcomes whose buffers the client has had: their memory is used again."""
        for buffer_id in buffer_ids:
            number = buffer_id.partition("-")[0]
            outcome = self.outcomes.get(int(number)) if number.isdecimal() else None
            if outcome is not None and buffer_id in (outcome.bulk or ()):
                self._remove(int(number))

    def put_away(self, command_id: int, stored: Stored) -> None:
        """Let go of the memory of an outcome that lies elsewhere now."""
        outcome = self.outcomes[command_id]
        self.memory -= outcome.size
        outcome.message, outcome.bulk, outcome.stored = None, None, stored

    def drop(self, command_id: int, why: str) -> None:
        """Let go of an outcome that nobody has seen."""
        self._remove(command_id)
        self._dropped[command_id] = why
        if len(self._dropped) > DROPPED_KEPT:
            del self._dropped[next(iter(self._dropped))]

    def disclaim(self) -> None:
        """Note that the client is gone: nobody waits for anything."""
        for entry in self.unfinished.values():
            entry.claimed = False
        for outcome in self.outcomes.values():
            outcome.claimed = False

    def give_up(self) -> list[int]:
        """Let go of all that the client waited for; return the ids of what is unfinished."""
        mine = [number for number, entry in self.unfinished.items() if entry.claimed]
        for command_id in mine:
            del self.unfinished[command_id]
        for command_id in [number for number, each in self.outcomes.items() if each.claimed]:
            self._remove(command_id)
        return mine

    def clear(self) -> None:
        """Let go of everything: the session ends."""
        self.unfinished.clear()
        self.acknowledge(tuple(self.outcomes))

    def row(self, command_id: int) -> HeldRow:
        """Describe a command that is held."""
        if (outcome := self.outcomes.get(command_id)) is not None:
            return command_id, outcome.label, outcome.state, 0
        entry = self.unfinished[command_id]
        state = HELD_STATES[entry.state]
        return command_id, entry.command.label[:LABEL_CHARACTERS], state, entry.size

    def standing(self, command_id: int, look: Look) -> StandingRow:
        """Describe where an unfinished command stands.

        Args:
            command_id: Its id.
            look: Tells its present priority, and since how many milliseconds it runs if it does.
        """
        entry = self.unfinished[command_id]
        priority, ran_ms = look(entry.command)
        return command_id, priority, ran_ms if entry.began else 0, entry.command.after

    def rows(self) -> list[HeldRow]:
        """Describe all that is held, by rising ids."""
        return [self.row(number) for number in sorted((*self.outcomes, *self.unfinished))]

    def _remove(self, command_id: int) -> None:
        outcome = self.outcomes.pop(command_id)
        if outcome.stored is None:
            self.memory -= outcome.size
        else:
            outcome.stored.free()


def digest_of(command: Command | None) -> int:
    """Return what tells commands of one id apart; of large buffers, the names and the sizes.

    By Python's own keyed hash of 64 bits: it guards against mistakes, not against its client,
    and takes a third of the time of others that would do.
    """
    if command is None:
        return 0
    bindings = command.bindings
    parts = () if bindings is None else bindings.buffers
    refs = [(part.id, part.size) for part in parts if isinstance(part, BulkRef)]
    rest = (
        command.code, command.lifetime, command.after, command.label, command.aside,
        command.streams, command.uses, None if bindings is None else bindings.header, refs,
    )  # fmt: skip
    # The format of version 0 shares nothing, and so depends on what is equal alone.
    whole = [bytes(part) for part in parts if not isinstance(part, BulkRef)]
    return hash((marshal.dumps(rest, 0), *whole))

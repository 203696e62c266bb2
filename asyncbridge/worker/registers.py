"""Which ids the HTTP pair's sessions have used: what may have run is never run again.

Nothing here is forgotten for the worker's life. Where there is no more room to tell ids apart, a
whole session is at its end: it takes no new commands, so that an old one cannot pass for one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from asyncbridge.protocol.used import UsedIds
from asyncbridge.worker.orders import OWN_MARK
from asyncbridge.worker.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Prints", "Registers"]

MOST_NOTED: Final = 4_000_000
"""Ids of text, and gaps between those that are numbers, of all sessions."""
MOST_SESSIONS: Final = 10_000
"""Sessions whose ids are told apart."""
MOST_ENDED: Final = 1_000_000
"""Sessions that are at their end."""
SHARDS: Final = 64
LONGEST_NUMBER: Final = 18
"""Digits of an id that is taken as a number."""
_64_BITS: Final = 2**64 - 1


class Prints:
    """A set of texts, in some nine bytes for each: of 64 bits of their keyed hash.

    It never misses a text that is in it. That one is found which is not has a chance of one in a
    million millions.
    """

    __slots__ = ("_count", "_shards")

    def __init__(self) -> None:
        # In order, and several, so that one more moves a few thousand others at most.
        self._shards: dict[int, array[int]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, text: str) -> bool:
        mark = hash(text) & _64_BITS
        shard = self._shards.get(mark % SHARDS)
        if shard is None:
            return False
        place = bisect_left(shard, mark)
        return place < len(shard) and shard[place] == mark

    def add(self, text: str) -> None:
        """Add a text that is not in it."""
        mark = hash(text) & _64_BITS
        shard = self._shards.setdefault(mark % SHARDS, array("Q"))
        shard.insert(bisect_left(shard, mark), mark)
        self._count += 1


class _Register:
    """The ids that one session has used."""

    __slots__ = ("is_open", "numbers", "texts")

    def __init__(self) -> None:
        self.is_open = True
        self.numbers = UsedIds()
        self.texts = Prints()

    def __contains__(self, key: str) -> bool:
        number = number_of(key)
        return key in self.texts if number is None else number in self.numbers

    @property
    def weight(self) -> int:
        """What it takes: numbers that follow one another take nothing."""
        return self.numbers.gaps + len(self.texts)

    @property
    def is_blank(self) -> bool:
        """Whether nothing has run under any id."""
        return not self.numbers.newest and not self.texts

    def add(self, key: str) -> None:
        number = number_of(key)
        if number is None:
            self.texts.add(key)
        else:
            self.numbers.add(number, 1)  # any lower one may yet come


class Registers:
    """The ids of all sessions of a worker, by the sessions' names.

    Args:
        noted: How many ids may be told apart, beside numbers in a row.
        sessions: Of how many sessions.
        ended: How many sessions may be at their end.
    """

    def __init__(
        self,
        *,
        noted: int = MOST_NOTED,
        sessions: int = MOST_SESSIONS,
        ended: int = MOST_ENDED,
    ) -> None:
        self._most_noted = noted
        self._most_sessions = sessions
        self._most_ended = ended
        # Those that were open last stand last.
        self._registers: dict[str, _Register] = {}
        self._noted = 0
        self._ended = Prints()

    def open(self, session: str) -> None:
        """Begin a session, or go on with one that had to make room.

        Raises:
            Problem: It is at its end, or there is no room to know another one by.
        """
        register = self._registers.get(session)
        if register is not None:
            register.is_open = True
            return
        if session in self._ended:
            raise ended(session)
        if len(self._registers) >= self._most_sessions and len(self._ended) >= self._most_ended:
            raise Problem(
                503, "TooManySessions",
                f"this worker has had {len(self._ended)} sessions, and takes no new ones: go on "
                "with one of the latest, or start another worker",
            )  # fmt: skip
        self._registers[session] = _Register()
        if len(self._registers) > self._most_sessions:
            resting = (name for name, each in self._registers.items() if not each.is_open)
            if (oldest := next(resting, None)) is not None:
                self._end(oldest)

    def close(self, session: str) -> None:
        """Note that a session makes room: its outcomes go, and its ids stay known."""
        register = self._registers.pop(session, None)
        if register is not None and not register.is_blank:
            register.is_open = False
            self._registers[session] = register

    def check(self, session: str, key: str) -> None:
        """Refuse a command that may have run.

        Args:
            session: The session's name.
            key: The command's id, of which nothing else is known.

        Raises:
            Problem: It may have.
        """
        register = self._registers.get(session)
        if register is None:
            raise ended(session)
        if key in register:
            raise Problem(
                410, "ResultExpired",
                f"command {key!r} of session {session!r} was taken before, and its outcome had to "
                "make room: it is not run again; if this is another one, give it another id",
            )  # fmt: skip

    def note(self, session: str, keys: Iterable[str]) -> None:
        """Note the ids of commands that are about to run."""
        register = self._registers[session]
        before = register.weight
        for key in keys:
            if not key.startswith(OWN_MARK):
                register.add(key)
        self._noted += register.weight - before
        while self._noted > self._most_noted:
            self._end(max(self._registers, key=lambda name: self._registers[name].weight))

    def why_unknown(self, session: str, key: str) -> Problem:
        """Return what is said of a command of which nothing is there."""
        register = self._registers.get(session)
        if register is None and session in self._ended:
            return ended(session)
        # Nobody asks for an id of the worker's choice that was never given.
        if key.startswith(OWN_MARK) or (register is not None and key in register):
            return Problem(
                410, "ResultExpired",
                f"session {session!r} knows nothing of command {key!r:.140} any more: its outcome "
                "had to make room",
            )  # fmt: skip
        return Problem(404, "UnknownCommand", f"session {session!r} has no command {key!r:.140}")

    def _end(self, session: str) -> None:
        self._noted -= self._registers.pop(session).weight
        self._ended.add(session)


def ended(session: str) -> Problem:
    """Return what is said of a session that takes no commands any more."""
    return Problem(
        410, "SessionEnded",
        f"session {session!r} is at its end: it, or the worker, has had so many ids that its own "
        "are told apart no more, and one that has run would run again; take another session. Ids "
        "that are numbers in a row do not bring it about, nor those that the worker chooses",
    )  # fmt: skip


def number_of(key: str) -> int | None:
    """Return an id as a number, if it is written as one."""
    if key[0] == "0" or len(key) > LONGEST_NUMBER or not key.isdecimal():
        return None
    return int(key)

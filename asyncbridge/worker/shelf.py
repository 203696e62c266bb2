"""Where outcomes wait whose client is away: in memory, then in files, and not without end."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from asyncbridge.errors import AsyncBridgeError
from asyncbridge.protocol.messages import Cancelled, Completed, Failed
from asyncbridge.serialization.frames import pack, unpack
from asyncbridge.tasks import spawn
from asyncbridge.transport.mapping import Mapping as FileMapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncbridge.protocol.ledger import Ending, Ledger, Outcome
    from asyncbridge.protocol.messages import Buffer
    from asyncbridge.protocol.worker import WorkerProtocol
    from asyncbridge.transport.bulk import BulkStore

__all__ = ["DEFAULT_MEMORY", "DEFAULT_RESULTS", "Shelf"]

MIB: Final = 1024 * 1024
DEFAULT_MEMORY: Final = 256 * MIB
"""Bytes of outcomes of all sessions that wait in memory; the newest of each does not count."""
DEFAULT_RESULTS: Final = 4096 * MIB
"""Bytes of outcomes that wait in files."""
FILES: Final = 16
"""Into how many files that is divided: one goes as a whole."""
BATCH_BYTES: Final = 8 * MIB
"""Bytes of outcomes that are put away at once."""
SLACK: Final = MIB
"""Bytes of one session that are not worth a look."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Work:
    """Outcomes of one session that are to be put away."""

    protocol: WorkerProtocol
    outcomes: dict[int, Outcome] = field(default_factory=dict)


class _File:
    """A file without a name, and the outcomes in it."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="asyncbridge-results-")  # noqa: SIM115 - it stays
        self.size = 0
        self.places: set[_Place] = set()

    def write(self, parts: list[Buffer]) -> list[tuple[int, int]]:
        """Write pieces; return where each begins, and its size. May block.

        Raises:
            OSError: There is no room.
        """
        made = []
        for part in parts:
            data = memoryview(part).cast("B")
            start, done = self.size, 0
            while done < data.nbytes:
                done += os.pwrite(self._file.fileno(), data[done:], start + done)
            self.size += data.nbytes
            made.append((start, data.nbytes))
        return made

    def read(self, start: int, size: int) -> memoryview:
        """Map some of the bytes."""
        if size == 0:
            return memoryview(b"")
        # Of the file from its start on: that takes addresses, and no memory.
        return FileMapping(self._file.fileno(), start + size).view(start, size)

    def close(self) -> None:
        """Let go of it; what is mapped stays until nobody looks at it."""
        self._file.close()


class _Place:
    """Where one outcome lies."""

    __slots__ = ("_bulk", "_file", "_message", "_shelf", "command_id", "ledger")

    def __init__(
        self,
        shelf: Shelf,
        file: _File,
        ledger: Ledger,
        command_id: int,
        message: tuple[int, int],
        bulk: Mapping[str, tuple[int, int]],
    ) -> None:
        self._shelf = shelf
        self._file = file
        self.ledger = ledger
        self.command_id = command_id
        self._message = message
        self._bulk = bulk

    def message(self) -> Ending:
        """Read back what tells it."""
        (message,) = unpack(bytes(self._file.read(*self._message)))
        assert isinstance(message, Completed | Failed | Cancelled)
        return message

    def buffers(self) -> Mapping[str, Buffer]:
        """Map its large buffers."""
        return {name: self._file.read(*place) for name, place in self._bulk.items()}

    def free(self) -> None:
        """Let go of it."""
        self._file.places.discard(self)
        self._shelf.tidy(self._file)


class Shelf:
    """All of a worker's outcomes that wait; used on the loop.

    Args:
        memory: Bytes that stay in memory.
        limit: Bytes in files; past them the oldest file goes, with what is in it.
        clock: The time of day, for the text that says when something was dropped.
    """

    def __init__(
        self,
        memory: int = DEFAULT_MEMORY,
        limit: int = DEFAULT_RESULTS,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._memory = memory
        self._slack = min(SLACK, memory)
        self._limit = limit
        self._clock = clock
        self._sessions: dict[WorkerProtocol, BulkStore] = {}
        self._files: deque[_File] = deque()
        self._task: asyncio.Task[None] | None = None
        self.rested = asyncio.Event()
        self.rested.set()

    @property
    def memory(self) -> int:
        """Bytes of outcomes that wait in memory."""
        return sum(session.ledger.memory for session in self._sessions)

    @property
    def filed(self) -> int:
        """Bytes of the files."""
        return sum(file.size for file in self._files)

    def add(self, session: WorkerProtocol, store: BulkStore) -> None:
        """Look after a session's outcomes, and their buffers that its client may fetch."""
        self._sessions[session] = store

    def remove(self, session: WorkerProtocol) -> None:
        """Look after them no longer."""
        self._sessions.pop(session, None)

    def look(self, session: WorkerProtocol) -> None:
        """Put outcomes away if there are too many; called when a session has got another one."""
        if session.ledger.memory > self._slack and self._task is None:
            if self.memory <= self._memory:
                return
            self.rested.clear()
            self._task = spawn(self._tidy_up(), name="asyncbridge-shelf")
            self._task.add_done_callback(self._rest)

    def tidy(self, file: _File) -> None:
        """Close a file in which nothing is left, and to which nothing is being written."""
        busy = self._task is not None and self._files and file is self._files[-1]
        if not file.places and file in self._files and not busy:
            self._files.remove(file)
            file.close()

    def close(self) -> None:
        """Let go of everything."""
        while self._files:
            self._files.popleft().close()

    def _rest(self, _: object) -> None:
        self._task = None
        for file in tuple(self._files):
            self.tidy(file)
        self.rested.set()

    async def _tidy_up(self) -> None:
        while self.memory > self._memory and (work := self._next()) is not None:
            try:
                file = self._file()
                places = await asyncio.to_thread(store, file, work.outcomes)
            except (OSError, AsyncBridgeError) as error:
                log.warning("outcomes that wait cannot be put away: %s", error)
                self._drop(work, f"it could not be written to a file: {error}")
                continue
            self._put_away(work, file, places)
            while len(self._files) > 1 and self.filed > self._limit:
                self._drop_oldest()

    def _next(self) -> _Work | None:
        """Choose what goes: the oldest outcomes of the session that has most, but its newest."""
        for session in sorted(self._sessions, key=lambda each: -each.ledger.memory):
            work, size = _Work(session), 0
            for command_id, outcome in list(session.ledger.outcomes.items())[:-1]:
                if outcome.stored is None and not outcome.lent:
                    work.outcomes[command_id] = outcome
                    size += outcome.size
                if size >= min(BATCH_BYTES, self._limit // FILES):
                    break
            if work.outcomes:
                return work
        return None

    def _file(self) -> _File:
        if not self._files or self._files[-1].size >= self._limit // FILES:
            self._files.append(_File())
        return self._files[-1]

    def _put_away(
        self,
        work: _Work,
        file: _File,
        places: Mapping[int, tuple[tuple[int, int], Mapping[str, tuple[int, int]]]],
    ) -> None:
        ledger, offers = work.protocol.ledger, self._sessions.get(work.protocol)
        done = set()
        for command_id, (message, bulk) in places.items():
            outcome = work.outcomes[command_id]
            if ledger.outcomes.get(command_id) is not outcome or outcome.lent:
                continue  # somebody has had it meanwhile, or is about to
            place = _Place(self, file, ledger, command_id, message, bulk)
            file.places.add(place)
            ledger.put_away(command_id, place)
            if bulk and offers is not None and offers.holds(command_id):
                offers.offer(command_id, dict(place.buffers()))
            done.add(command_id)
        work.protocol.put_away(done)

    def _drop_oldest(self) -> None:
        file = self._files.popleft()
        why = f"there was no room for it: {self._limit} bytes of results may wait in files"
        for place in tuple(file.places):
            place.ledger.drop(place.command_id, self._told(place.command_id, why))
        file.close()

    def _drop(self, work: _Work, why: str) -> None:
        ledger = work.protocol.ledger
        for command_id, outcome in work.outcomes.items():
            if ledger.outcomes.get(command_id) is outcome:
                ledger.drop(command_id, self._told(command_id, why))
        work.protocol.put_away(set(work.outcomes))

    def _told(self, command_id: int, why: str) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self._clock()))
        return f"the outcome of command {command_id} was dropped at {when}: {why}"


def store(
    file: _File, outcomes: Mapping[int, Outcome]
) -> dict[int, tuple[tuple[int, int], dict[str, tuple[int, int]]]]:
    """Write outcomes; return where the message and the large buffers of each lie. Blocks.

    Raises:
        OSError: There is no room.
        AsyncBridgeError: One cannot be written in one piece.
    """
    places = {}
    for command_id, outcome in outcomes.items():
        bulk = dict(outcome.bulk or {})
        assert outcome.message is not None
        first, *rest = file.write([pack([outcome.message]), *bulk.values()])
        places[command_id] = first, dict(zip(bulk, rest, strict=True))
    return places

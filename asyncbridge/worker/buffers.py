"""One session's large buffers in the worker, whatever way they take."""

from __future__ import annotations

import contextlib
import errno
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from asyncbridge.errors import DecodeError, RemoteProtocolError
from asyncbridge.protocol.messages import Digest, Returned
from asyncbridge.serialization.deferred import Deferred, whole
from asyncbridge.transport.arena import Segment
from asyncbridge.transport.bulk import BulkStore
from asyncbridge.transport.leases import Peering, sweep
from asyncbridge.transport.shared import SharedMemory
from asyncbridge.worker.keeping import KeptBuffers, Room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncbridge.protocol.messages import Buffer, Message, Placed, Recall, Reuse
    from asyncbridge.serialization.deferred import Outgoing
    from asyncbridge.transport.arena import Arena
    from asyncbridge.worker.results import Held

__all__ = ["Buffers"]

_LACKING: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What this side has too little of: that is no fault of the client's."""

log = logging.getLogger(__name__)


class Buffers:
    """What comes in and goes out beside the control channel; used on the loop, but for ``place``.

    Args:
        notify: Tells the client something.
        arena: The worker's shared memory, if there is any.
        room: For what the worker keeps of what was streamed.
        largest: Bytes of the largest buffer that a client may send, 0 for any.

    Attributes:
        store: What has arrived, and what waits to be fetched.
    """

    def __init__(
        self,
        notify: Callable[[Message], None],
        *,
        arena: Arena | None = None,
        room: Room | None = None,
        largest: int = 0,
    ) -> None:
        self._kept = KeptBuffers(room or Room(0))
        self.store = BulkStore(limit=largest or None, keep=self._kept.keep)
        self._notify = notify
        self._arena = arena
        self._shared: SharedMemory | None = None
        self._parts = 0

    # --- what comes in ---

    def meet(self, arena_name: str) -> tuple[str, str] | None:
        """Share memory with a client, if this process finds what the client says it has.

        Returns:
            The name of this side's arena, and the proof that it sees the client's.
        """
        if self._arena is None or not arena_name or self._shared is not None:
            return None
        try:
            peering = Peering(self._arena.lease.root, arena_name)
        except OSError:
            log.debug("the client's shared memory is not this worker's")
            return None
        self._shared = SharedMemory(self._arena, peering, self._notify)
        return self._arena.lease.name, peering.proof

    def placed(self, message: Placed) -> None:
        """Map what lies in the client's shared memory.

        Raises:
            DecodeError: It does not lie there.
            RemoteProtocolError: The client shares no memory.
        """
        if self._shared is None:
            raise RemoteProtocolError("the client shares no memory with this worker")
        try:
            data = self._shared.view(message)
        except OSError as error:
            if error.errno not in _LACKING:
                raise DecodeError(f"bulk buffer {message.id} cannot be mapped: {error}") from error
            self.store.fail(message.id, error)
            self._notify(Returned(ids=(message.id,)))
            return
        self.store.arrived(message.id, data)

    def returned(self, buffer_ids: Iterable[str]) -> None:
        """Take segments back that the client no longer looks at."""
        if self._shared is not None:
            self._shared.returned(buffer_ids)

    async def recall(self, message: Recall) -> None:
        """Tell the digest of what is kept."""
        digest = await self._kept.recall(message.id, message.kept)
        self._notify(Digest(id=message.id, digest=digest))

    def reuse(self, message: Reuse) -> None:
        """Let a command have what was kept.

        Raises:
            RemoteProtocolError: It was not recalled.
        """
        self.store.arrived(message.id, self._kept.reuse(message.id))

    def drop(self, kept_id: str) -> None:
        """Keep a buffer no longer."""
        self._kept.drop(kept_id)

    # --- what goes out ---

    def place(self, buffer: Outgoing) -> Held:
        """Copy a large buffer to where it leaves from; in the GPU thread."""
        shared = self._shared  # the loop may close it meanwhile
        segment = None if shared is None else shared.place(buffer)
        if segment is not None:
            return segment
        # By numpy, which lets go of the GIL meanwhile.
        made = np.frombuffer(whole(buffer), np.uint8)
        return made.data if isinstance(buffer, Deferred) else made.copy().data

    @property
    def are_shared(self) -> bool:
        """Whether the client sees this side's segments."""
        return self._shared is not None

    async def lend(self, bulk: dict[str, Held]) -> tuple[dict[str, Held], list[Buffer]]:
        """Tell the client of a value's buffers, copied into segments as far as there is room.

        Args:
            bulk: The buffers by id; taken out of it one by one, so that their memory is free.

        Returns:
            What can still be fetched where it cannot be mapped over there, and what was copied.
        """
        offers: dict[str, Held] = {}
        spent: list[Buffer] = []
        while bulk:
            name, held = bulk.popitem()
            shared = self._shared
            if shared is None:
                pass
            elif isinstance(held, Segment):
                shared.tell(name, held)
            else:
                segment = await shared.lend(name, held)
                # Of one that was closed meanwhile, the segment is another buffer's already.
                if segment is not None and shared is self._shared:
                    spent.append(held)
                    held = segment
            offers[name] = held
        return offers, spent

    async def let_go(self, spent: list[Buffer]) -> None:
        """Free most of the memory of buffers that were copied."""
        while spent and self._shared is not None:
            await self._shared.let_go(spent.pop())

    def offer(self, command_id: int, bulk: dict[str, Held]) -> tuple[dict[str, Buffer], int]:
        """Hold a value's buffers until they are acknowledged.

        Returns:
            They, and how many bytes of them lie in shared memory.
        """
        if not bulk:
            return {}, 0
        segments = [held.used for held in bulk.values() if isinstance(held, Segment)]
        shared = self._shared is not None
        offers = {n: memory_of(held) for n, held in bulk.items()} if shared else self.owned(bulk)
        self.store.offer(command_id, offers)
        return offers, sum(segments) if shared else 0

    def offer_part(self, bulk: dict[str, Held]) -> int:
        """Hold the buffers of a part until ``drop_part`` of the number that this returns."""
        self._parts -= 1  # negative, and so no command's
        for name, held in bulk.items():
            if isinstance(held, Segment):
                self._tell(name, held)
        self.offer(self._parts, bulk)
        return self._parts

    def give_up(self, bulk: dict[str, Held]) -> None:
        """Take back what nobody waits for any more."""
        for held in bulk.values():
            if self._arena is not None and isinstance(held, Segment):
                self._arena.give_back(held)

    def owned(self, bulk: dict[str, Held]) -> dict[str, Buffer]:
        """Return a value's buffers as memory that is nobody else's any more."""
        for held in bulk.values():
            if self._arena is not None and isinstance(held, Segment):
                self._arena.discard(held)
        return {name: memory_of(held) for name, held in bulk.items()}

    def figures(self) -> dict[str, Any]:
        """Describe how large arrays travel, in plain JSON data."""
        memory = None if self._arena is None else asdict(self._arena.figures())
        return {"shared_memory": memory, "kept": self._kept.size}

    def close(self) -> None:
        """Let go of everything."""
        self.store.close()
        self._kept.close()
        if self._shared is not None and self._arena is not None:
            self._shared.close()
            self._shared = None
            with contextlib.suppress(RuntimeError):  # the worker ends
                # The client may be dead, and its arena nobody's.
                self._arena.copiers.submit(sweep, self._arena.lease.root)

    def _tell(self, name: str, segment: Segment) -> None:
        if self._shared is not None:
            self._shared.tell(name, segment)


def memory_of(held: Held) -> Buffer:
    """Return the bytes of a buffer, wherever it lies."""
    return held.view() if isinstance(held, Segment) else held

"""Streams buffers to the worker, except for those whose bytes it still has.

Nothing extra happens when an array is streamed for the first time. At the second time both sides
hash what they have, at the same time, and compare: the worker's code may have written to its
own, as the app to the array here.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from asyncbridge.protocol.messages import Digest, Recall, Reuse
from asyncbridge.serialization.deferred import Deferred
from asyncbridge.transport.origins import Tally, digest_of, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.protocol.messages import Buffer, Message
    from asyncbridge.serialization.deferred import Outgoing
    from asyncbridge.transport.contract import Bulk
    from asyncbridge.transport.origins import Origin

__all__ = ["Resender"]

REMEMBERED_COUNT = 4096
"""Arrays that are remembered; the one that was sent longest ago is forgotten."""
PATIENCE = 6
"""After so many misses an array is asked about at every 64th sending, and no more seldom."""


@dataclass(slots=True)
class _Sent:
    """An array that the worker was sent.

    Attributes:
        origin: Where it lies.
        id: The buffer that it was.
        misses: How often, without a break, it was another one the next time.
        pause: How many sendings go by before it is asked about again.
    """

    origin: Origin
    id: str
    misses: int = 0
    pause: int = 0


class Resender:
    """Sends buffers over a bulk lane; used on the loop alone.

    Args:
        lane: The session's bulk lane.
        post: Queues a message to the worker.
    """

    def __init__(self, lane: Bulk, post: Callable[[Message], None]) -> None:
        self.tally = Tally()
        # Bytes that the worker keeps, as its welcome says.
        self.keeps = 0
        self._lane = lane
        self._post = post
        self._sent: OrderedDict[tuple[int, int], _Sent] = OrderedDict()
        self._answers: weakref.WeakValueDictionary[str, asyncio.Future[str]] = (
            weakref.WeakValueDictionary()
        )
        self._closed = False

    async def send(self, buffer_id: str, buffer: Outgoing) -> None:
        """Let the worker have a buffer.

        Raises:
            ChannelClosed: The worker is gone.
        """
        # What is made as it leaves lies nowhere.
        origin = None if isinstance(buffer, Deferred) or not self.keeps else origin_of(buffer)
        if isinstance(buffer, Deferred) or origin is None or origin.key[1] > self.keeps:
            await self._lane.send(buffer_id, buffer)
            return
        self._forget_garbage()
        known = self._sent.get(origin.key)
        if known is not None and await self._is_kept(known, buffer_id, buffer):
            return
        await self._lane.send(buffer_id, buffer)
        self._remember(origin, buffer_id)

    def told(self, message: Digest) -> None:
        """Take the worker's answer."""
        answer = self._answers.get(message.id)
        if answer is not None and not answer.done():
            answer.set_result(message.digest)

    def close(self) -> None:
        """Wait for no more answers; who does is cancelled."""
        self._closed = True
        for answer in list(self._answers.values()):
            answer.cancel()
        self._sent.clear()

    # --- inner steps ---

    async def _is_kept(self, known: _Sent, buffer_id: str, buffer: Buffer) -> bool:
        """Have the worker use what it has, if that is the same."""
        if known.pause:
            known.pause -= 1
            return False
        is_same = await self._is_same(known, buffer_id, buffer)
        self.tally.count(memoryview(buffer).nbytes, hit=is_same)
        if not is_same:
            known.misses = min(known.misses + 1, PATIENCE)
            known.pause = 2**known.misses - 2
            return False
        known.misses = 0
        if self._sent.get(known.origin.key) is known:  # not forgotten meanwhile
            self._sent.move_to_end(known.origin.key)
        self._post(Reuse(id=buffer_id))
        return True

    async def _is_same(self, known: _Sent, buffer_id: str, buffer: Buffer) -> bool:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers[buffer_id] = answer
        self._post(Recall(id=buffer_id, kept=known.id))
        hashing = partial(digest_of, buffer, going_on=lambda: not self._closed and wanted(answer))
        own = asyncio.get_running_loop().run_in_executor(None, hashing)
        try:
            theirs = await answer
        finally:
            # Broken off, where the worker has nothing to compare it with.
            ours = await own
        return theirs != "" and theirs == ours

    def _remember(self, origin: Origin, buffer_id: str) -> None:
        known = self._sent.pop(origin.key, None)
        if known is None:
            known = _Sent(origin, buffer_id)
        elif known.id != buffer_id:
            self._drop(known)
            known.id = buffer_id
        self._sent[origin.key] = known
        if len(self._sent) > REMEMBERED_COUNT:
            self._drop(self._sent.popitem(last=False)[1])

    def _forget_garbage(self) -> None:
        """Forget arrays that are garbage: another one may have their place by now."""
        for known in [known for known in self._sent.values() if not known.origin.is_alive]:
            del self._sent[known.origin.key]
            self._drop(known)

    def _drop(self, known: _Sent) -> None:
        """Tell the worker that nobody will ask for a buffer."""
        if not self._closed:
            self._post(Recall(id="", kept=known.id))


def wanted(answer: asyncio.Future[str]) -> bool:
    """Tell whether a digest is of use: there is no answer yet, or there is one to compare."""
    return not answer.done() or (not answer.cancelled() and answer.result() != "")

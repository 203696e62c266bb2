"""A command's value in parts, as they come, no faster than they are taken."""

from __future__ import annotations

import asyncio
from collections import deque
from threading import get_ident
from typing import TYPE_CHECKING, Any

from asyncbridge.client.vain import TaskReader, ThreadReader, timers_of
from asyncbridge.promise.waiting import Awaiting
from asyncbridge.protocol.streams import Inflow, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self
    from weakref import ref

    from asyncbridge.client.pending import Pending
    from asyncbridge.client.transfers import Transfers
    from asyncbridge.client.vain import Reader, Wait
    from asyncbridge.protocol.messages import Message, Payload, StreamItem, StreamTaken

__all__ = ["Parts"]


class Parts:
    """An iterator of the parts, for one reader on the bridge's loop.

    It ends with the command, however that ends: its error is the promise's.

    Args:
        command: The command's id.
        transfers: Fetches large buffers.
        post: Queues a message to the worker.
        writable: Whether arrays over these may be written.
        promise: The command's.
    """

    def __init__(
        self,
        command: int,
        transfers: Transfers,
        post: Callable[[Message], None],
        *,
        writable: bool,
        promise: asyncio.Future[Any],
    ) -> None:
        self._in = Inflow(command, 0)
        self._in.begin()  # the command itself asks for the first
        self._transfers = transfers
        self._post = post
        self._writable = writable
        self._tally = Tally()
        self._waiting: deque[Payload] = deque()
        self._news: asyncio.Future[None] | None = None
        self._ended = self._left = False
        self._count = 0
        self._promise = promise
        self._reader: Reader | None = None
        self._around: Sequence[asyncio.Handle] | None = None

    def held_by_task(self, iterator: ref[Any]) -> None:
        """Note that this task has got a part by an iterator, and has not asked for another yet."""
        if self._around is None:
            task, loop = asyncio.current_task(), asyncio.get_running_loop()
            self._around = [] if task is None else timers_of([task], loop)
        self._reader = TaskReader(iterator, self._around)

    def held_by_thread(self, iterator: ref[Any]) -> None:
        """Note that this thread has."""
        self._reader = ThreadReader(iterator, get_ident())

    def held_by_nobody(self) -> None:
        """Note that the next part is asked for."""
        self._reader = None

    @property
    def why(self) -> str:
        """What its command waits for."""
        return "the loop over its parts"

    def is_awaited(self, message: StreamTaken) -> bool:
        """Tell whether the worker, which said so once, still waits for its parts to be taken."""
        return not self._left and not self._ended and self._in.has_told(message)

    def wait(self, is_behind: Callable[[Pending], bool]) -> Wait | None:
        """Return what the reader waits for in vain."""
        return None if self._reader is None else self._reader.wait(is_behind)

    def arrived(self, message: StreamItem) -> None:
        """Take what the worker sends.

        Raises:
            RemoteProtocolError: It has not its place there.
        """
        if not self._in.arrived(message) or self._left:
            self._refuse(message.value)
            return
        self._waiting.append(message.value)
        self._wake()

    def leave(self) -> None:
        """Take no more: whoever went through them has left off."""
        self._left = True
        self._tell(self._tally.due())
        while self._waiting:
            self._refuse(self._waiting.popleft())

    def _refuse(self, value: Payload) -> None:
        self._transfers.decline(value)
        self._tally.add(0)
        self._tell(self._tally.due())

    def end(self) -> None:
        """Note that no more will come."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> object:
        while not self._waiting:
            if self._ended:
                self._tell(self._tally.due())
                raise StopAsyncIteration
            # As what it is: a wait for the command.
            self._news = Awaiting(self._promise, loop=asyncio.get_running_loop())
            await self._news
        value = self._waiting.popleft()
        whole = await self._transfers.fetch(value, writable=self._writable)
        outcome = await self._transfers.decode(whole, path=f"part {self._count} of the result")
        self._count += 1
        self._tell(self._tally.add(value.size))
        return outcome.unwrap()

    def _tell(self, count: int) -> None:
        if count > 0:
            self._post(self._in.take(count))

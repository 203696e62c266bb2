"""A command's value in parts, as they come, no faster than they are taken."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from asyncbridge.protocol.streams import Inflow, Tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from asyncbridge.client.transfers import Transfers
    from asyncbridge.protocol.messages import Message, Payload, StreamItem

__all__ = ["Parts"]


class Parts:
    """An iterator of the parts, for one reader on the bridge's loop.

    It ends with the command, however that ends: its error is the promise's.

    Args:
        command: The command's id.
        transfers: Fetches large buffers.
        post: Queues a message to the worker.
        writable: Whether arrays over these may be written.
    """

    def __init__(
        self,
        command: int,
        transfers: Transfers,
        post: Callable[[Message], None],
        *,
        writable: bool,
    ) -> None:
        self._in = Inflow(command, 0)
        self._in.begin()  # the command itself asks for the first
        self._transfers = transfers
        self._post = post
        self._writable = writable
        self._tally = Tally()
        self._waiting: deque[Payload] = deque()
        self._changed = asyncio.Event()
        self._ended = self._left = False
        self._count = 0

    def arrived(self, message: StreamItem) -> None:
        """Take what the worker sends.

        Raises:
            RemoteProtocolError: It has not its place there.
        """
        if not self._in.arrived(message) or self._left:
            self._refuse(message.value)
            return
        self._waiting.append(message.value)
        self._changed.set()

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
        self._changed.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> object:
        while not self._waiting:
            if self._ended:
                self._tell(self._tally.due())
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        value = self._waiting.popleft()
        whole = await self._transfers.fetch(value, writable=self._writable)
        outcome = await self._transfers.decode(whole, path=f"part {self._count} of the result")
        self._count += 1
        self._tell(self._tally.add(value.size))
        return outcome.unwrap()

    def _tell(self, count: int) -> None:
        if count > 0:
            self._post(self._in.take(count))

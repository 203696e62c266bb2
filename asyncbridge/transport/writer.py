"""The one task that writes to a channel: whatever is ready in one loop turn shares a frame."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncbridge.tasks import begin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncbridge.protocol.messages import Message
    from asyncbridge.transport.contract import Channel

__all__ = ["Writer"]


class Writer:
    """Writes what ``outgoing`` gives, as often as it is woken.

    Args:
        channel: Where to write.
        outgoing: Returns the messages that may be written now, and forgets them.
        written: Called with each batch once it is on its way.
    """

    def __init__(
        self,
        channel: Channel,
        outgoing: Callable[[], list[Message]],
        written: Callable[[list[Message]], None] | None = None,
    ) -> None:
        self._channel = channel
        self._outgoing = outgoing
        self._written = written
        self._ready = asyncio.Event()
        # Whether that is set: it is asked for each message.
        self._awake = False
        self._writing = False
        self._rest: Awaitable[None] | None = None
        self._later: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Say that there may be something to write; cheap, and fine to repeat."""
        if not self._awake:
            self._awake = True
            self._ready.set()

    def wake_later(self, seconds: float) -> None:
        """Say that there may be something to write which can wait for what comes meanwhile."""
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(seconds, self._wake_due)

    def _wake_due(self) -> None:
        self._later = None
        self.wake()

    def push(self) -> None:
        """Write what is ready now, as far as that waits for nobody; the rest is the task's.

        On the loop, for who gives it no turn for long.
        """
        if self._channel.writes_at_once and not self._writing and self._rest is None:
            self._rest = begin(self.flush())
            if self._rest is not None:
                self.wake()

    async def run(self) -> None:
        """Write until cancelled.

        Raises:
            ChannelClosed: The channel has ended.
        """
        while True:
            await self._ready.wait()
            self._ready.clear()
            self._awake = False
            await self.flush()

    async def flush(self) -> None:
        """Write all that is ready now."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        rest, self._rest = self._rest, None
        if rest is not None:
            await rest
        self._writing = True
        try:
            while messages := self._outgoing():
                await self._channel.write(messages)
                if self._written is not None:
                    self._written(messages)
        finally:
            self._writing = False

"""One session's messages over any number of connections: none is lost, none comes twice.

Both sides number what they write, and every frame tells how much its writer has read. What the
other side is not known to have is kept, and written again on the next connection.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from asyncbridge.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncbridge.protocol.messages import Message

__all__ = ["Gap", "Replay"]

OWED_COUNT: Final = 64
"""Messages after which the other side is told of them, though there is nothing else to say."""


class Gap(DecodeError):
    """A message is missing: the connection did not carry what was written to it."""


class Replay:
    """One side's account.

    Attributes:
        written: How many messages were written.
        received: How many have come.
    """

    def __init__(self) -> None:
        self.written = 0
        self.received = 0
        self._told = 0
        self._kept: deque[Message] = deque()

    def write(self, messages: Sequence[Message]) -> int:
        """Keep messages that are about to be written, and return the first one's number."""
        first = self.written
        self.written += len(messages)
        self._kept.extend(messages)
        return first

    def tell(self) -> int:
        """Return how many have come: the other side is told of it."""
        self._told = self.received
        return self.received

    @property
    def owes(self) -> bool:
        """Whether the other side waits for word of what has come."""
        return self.received - self._told >= OWED_COUNT

    def acknowledge(self, received: int) -> None:
        """Let go of what the other side has.

        Raises:
            DecodeError: It says that it has more than there is.
        """
        if received > self.written:
            raise DecodeError(f"the peer has read {received} messages of {self.written}")
        kept = self._kept
        for _ in range(received - (self.written - len(kept))):
            kept.popleft()

    def read(self, first: int, messages: list[Message]) -> list[Message]:
        """Return those of a frame's messages that are new.

        Args:
            first: The number of the first one.
            messages: All of them.

        Raises:
            Gap: There are some missing before them.
        """
        if not messages:
            return []
        if first > self.received:
            raise Gap(f"message {first} came where {self.received} is next")
        new = messages[self.received - first :] if first < self.received else messages
        self.received += len(new)
        return new

    def missing(self) -> tuple[int, list[Message]]:
        """Return what the other side is not known to have, and the first one's number."""
        return self.written - len(self._kept), list(self._kept)

"""What every transport offers: a channel for messages, and a lane for bulk buffers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncbridge.errors import AsyncBridgeError, ConnectError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncbridge.protocol.messages import Buffer, Message
    from asyncbridge.serialization.deferred import Outgoing
    from asyncbridge.serialization.frames import Place

__all__ = ["Bulk", "Channel", "ChannelClosed", "Link", "NobodyThere", "Wire"]


class ChannelClosed(AsyncBridgeError):
    """The channel has ended; the text says how. It stays inside: users meet other errors."""


class NobodyThere(ConnectError):
    """No process has the address: whoever had it has ended. It stays inside, too."""


class Taken(ChannelClosed):
    """The channel has ended because its session is another client's now."""


class Channel(ABC):
    """Messages, both ways, in order; what is written together travels together."""

    @property
    def is_connected(self) -> bool:
        """Whether the other side is within reach now, as far as is known."""
        return True

    @property
    def writes_at_once(self) -> bool:
        """Whether a write waits for nothing now, unless its peer turns out to be slow."""
        return False

    def probe(self) -> None:  # noqa: B027 - most have nothing to do
        """Find out, meanwhile, whether it is the connection that is dead, and not the peer.

        For a channel that can open another one; nothing else does anything.
        """

    @abstractmethod
    async def write(self, messages: Sequence[Message]) -> None:
        """Write messages, in one frame where they fit; waits while the peer is slow.

        Raises:
            ChannelClosed: The channel has ended.
        """

    @abstractmethod
    async def read(self) -> list[Message]:
        """Return the next frame's messages.

        Raises:
            ChannelClosed: The channel has ended.
            DecodeError: The peer sent bytes that are no frame.
        """

    @abstractmethod
    async def close(self) -> None:
        """End the channel; a second call does nothing."""


class Wire(ABC):
    """One connection that frames go over, both ways, while it lasts.

    Attributes:
        writes_at_once: Whether nothing is waited for before a frame is written.
    """

    writes_at_once = False

    @abstractmethod
    async def send(self, messages: Sequence[Message], place: Place) -> None:
        """Write messages, in one frame where they fit; waits while the peer is slow.

        Raises:
            ChannelClosed: The connection has ended.
        """

    @abstractmethod
    async def receive(self) -> tuple[list[Message], Place]:
        """Return the next frame's messages, and where it stands in its session.

        Raises:
            ChannelClosed: The connection has ended.
            DecodeError: The peer sent bytes that are no frame.
        """

    @abstractmethod
    async def close(self) -> None:
        """End the connection; a second call does nothing."""


class Bulk(ABC):
    """Buffers that do not ride the control channel, by id."""

    @abstractmethod
    async def send(self, buffer_id: str, buffer: Outgoing) -> None:
        """Move a buffer to the worker.

        Raises:
            ChannelClosed: The worker is gone.
        """

    @abstractmethod
    async def receive(self, buffer_id: str, size: int) -> Buffer:
        """Fetch a buffer of ``size`` bytes from the worker.

        Raises:
            ChannelClosed: The worker is gone.
            DecodeError: The buffer is not of that size.
            TooLarge: This side has no room for it.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of everything; what is on its way fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A connection to a worker: the channel and its bulk lane."""

    channel: Channel
    bulk: Bulk

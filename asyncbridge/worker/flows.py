"""What flows into and out of one running command, beside its bindings and its value."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncbridge.errors import RemoteProtocolError
from asyncbridge.protocol.messages import StreamEnd, StreamItem, StreamTaken
from asyncbridge.worker.parts import PartsOut, giving
from asyncbridge.worker.streams import Feeds

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from asyncbridge.protocol.messages import Command, Message
    from asyncbridge.transport.bulk import BulkStore
    from asyncbridge.worker.parts import PartHome

    Post = Callable[[Callable[[], None]], None]

__all__ = ["Flows", "flows_of"]


class Flows:
    """The streams of one command, and the parts of its value.

    Args:
        command: The command.
        home: Its session.
        bulk: Where the session's large buffers arrive.
        broken: Called with what is wrong with an item.
    """

    def __init__(
        self,
        command: Command,
        home: PartHome,
        bulk: BulkStore,
        broken: Callable[[BaseException], None],
    ) -> None:
        self._home = home
        self._feeds = Feeds(command, bulk, broken)
        self._parts = PartsOut(command.id, home) if command.parts else None

    @property
    def idle(self) -> bool:
        """Whether nothing is kept for the client."""
        return self._parts is None or self._parts.idle

    @contextmanager
    def flowing(self, bindings: dict[str, Any], post: Post) -> Generator[dict[str, Any]]:
        """Put streams in the places of their descriptions, and let parts be given.

        In the GPU thread; the command's code runs in it, with the bindings that it gives.

        Args:
            bindings: As the client has sent them.
            post: Has the loop call something.
        """
        parts = self._parts
        bound = self._feeds.bind(bindings, lambda said: post(partial(self._tell, said)))
        with giving(None if parts is None else partial(parts.give, post=post)):
            yield bound

    def _tell(self, said: Callable[[], Message | None]) -> None:
        if (message := said()) is not None:
            self._home.notify(message)

    def receive(self, message: StreamItem | StreamEnd | StreamTaken) -> None:
        """Take what the client says; on the loop.

        Raises:
            RemoteProtocolError: It has not its place there.
        """
        if not isinstance(message, StreamTaken):
            self._feeds.receive(message)
        elif self._parts is None or message.turn != 0:
            raise RemoteProtocolError(f"command {message.id} gives no parts of turn {message.turn}")
        else:
            self._parts.taken(message)

    def close(self, *, lost: bool = False) -> None:
        """Let what waits go on, without more: the command is to end, or has ended."""
        self._feeds.close(lost=lost)
        if self._parts is not None:
            self._parts.close()


def flows_of(
    command: Command, home: PartHome, bulk: BulkStore, broken: Callable[[BaseException], None]
) -> Flows | None:
    """Return the flows of a command; None for most, which have none."""
    if not command.streams and not command.parts:
        return None
    return Flows(command, home, bulk, broken)

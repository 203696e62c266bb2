"""A command's value in parts: its code gives them as they come, and waits for a slow reader."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from asyncbridge.protocol.messages import Payload, StreamTaken
from asyncbridge.protocol.streams import TELL_AFTER_S, Outflow
from asyncbridge.serialization.codec import draft
from asyncbridge.worker.results import pack_up
from asyncbridge.worker.stopping import CommandStopped

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from asyncbridge.protocol.messages import Message
    from asyncbridge.serialization.deferred import Outgoing
    from asyncbridge.worker.results import Held

__all__ = ["PartHome", "PartsOut", "are_wanted", "give", "giving"]


class PartHome(Protocol):
    """The session that the parts go to.

    Attributes:
        largest: Bytes of the largest part that the client takes, 0 for any.
    """

    largest: int

    def place(self, buffer: Outgoing) -> Held:
        """Copy a large buffer to where it leaves from; in the GPU thread."""
        ...

    def offer_part(self, bulk: dict[str, Held]) -> int:
        """Hold a part's buffers until they are let go of by the number that this returns."""
        ...

    def drop_part(self, number: int) -> None:
        """Let go of a part's buffers: the client has them."""
        ...

    def notify(self, message: Message) -> None:
        """Tell the client something."""
        ...


class PartsOut:
    """The parts of one command's value.

    Args:
        command: The command's id.
        home: The session that they go to.
    """

    def __init__(self, command: int, home: PartHome) -> None:
        self._command = command
        self._home = home
        self._out = Outflow(command, 0)
        self._out.taken(StreamTaken(id=command, stream=0, turn=0, count=0))
        self._offered: deque[int] = deque()
        self._taken = self._count = 0
        self._stopped = False
        # As in a feed: the GPU thread waits in C code alone.
        self._permits: SimpleQueue[bool] = SimpleQueue()
        self._permits.put(True)
        self._permitted = True

    @property
    def idle(self) -> bool:
        """Whether the client has taken all there is."""
        return not self._offered

    # --- in the GPU thread ---

    def give(self, value: object, post: Callable[[Callable[[], None]], None]) -> None:
        """Send a part, once the client has room for it.

        Raises:
            CommandStopped: The command is to stop.
            SerializationError: The part has no wire form.
        """
        if not self._permission(post):
            raise CommandStopped("the rest of the parts is not wanted")
        prefix = f"{self._command}-p{self._count}"
        self._count += 1
        home = self._home
        payload, held = pack_up(
            draft(value, path="part", decided=True, files=False, largest=home.largest),
            prefix=prefix,
            place=home.place,
            largest=home.largest,
        )
        post(lambda: self._send(payload, held))

    def _permission(self, post: Callable[[Callable[[], None]], None]) -> bool:
        """Wait for room; tell the client, if that lasts."""
        try:
            return self._permits.get(timeout=TELL_AFTER_S)
        except Empty:
            post(self._tell_waiting)
        return self._permits.get()

    # --- on the loop ---

    def _tell_waiting(self) -> None:
        if not self._permitted and not self._stopped:
            self._home.notify(self._out.waiting())

    def taken(self, message: StreamTaken) -> None:
        """Note that the client has taken some.

        Raises:
            RemoteProtocolError: It cannot be so.
        """
        self._out.taken(message)
        while self._taken < message.count and self._offered:
            self._taken += 1
            self._home.drop_part(self._offered.popleft())
        self._permit()

    def close(self) -> None:
        """Have the code stop that waits for room, or gives another part; from any thread."""
        self._stopped = True
        self._permits.put(False)

    def _send(self, payload: Payload, held: dict[str, Held]) -> None:
        self._permitted = False
        self._offered.append(self._home.offer_part(held))
        self._home.notify(self._out.item(payload))
        self._permit()

    def _permit(self) -> None:
        if self._out.has_room and not self._permitted and not self._stopped:
            self._permitted = True
            self._permits.put(True)


# Not a context variable: as in progress.py, there is one GPU thread, and one command in it.
_giver: Callable[[object], None] | None = None


def are_wanted() -> bool:
    """Tell whether the client wants the running command's value in parts."""
    return _giver is not None


def give(value: object) -> None:
    """Send the next part of the running command's value; waits while the client is slow.

    Raises:
        CommandStopped: The command is to stop.
        RuntimeError: No parts are wanted.
        SerializationError: The part has no wire form.
    """
    if _giver is None:
        raise RuntimeError("nobody wants the value of this command in parts")
    _giver(value)


@contextmanager
def giving(giver: Callable[[object], None] | None) -> Generator[None]:
    """Let the code give parts, for as long as this lasts."""
    global _giver  # noqa: PLW0603 - as above
    before, _giver = _giver, giver
    try:
        yield
    finally:
        _giver = before

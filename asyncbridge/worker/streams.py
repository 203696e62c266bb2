"""Streams of a running command, seen from its code: iterables whose items come meanwhile."""

from __future__ import annotations

from asyncio.events import _get_running_loop
from collections import deque
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import BulkRef, Fault, Payload, StreamEnd, StreamItem
from asyncbridge.protocol.streams import TELL_AFTER_S, Inflow, Tally
from asyncbridge.serialization.codec import decode
from asyncbridge.serialization.split import join
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from asyncbridge.protocol.messages import Buffer, Command, Message
    from asyncbridge.transport.bulk import BulkStore

__all__ = ["Feed", "Feeds", "arrivals"]

_STOP: Final = object()
_LOST: Final = object()


class Feed:
    """One stream. Its items may be asked for in any thread of the command, by one at a time.

    ``for batch in feed`` begins a turn; of a source that cannot begin anew, it goes on with the one
    there is.

    Args:
        inflow: The loop's side of it.
        description: What the client says of it.
        ask: Has the loop send the message that a function returns; None is no message.
        name: What the command's code calls it.

    Attributes:
        steps: How many items a turn has; None where that is unknown.
        restarts: Whether each turn begins at the beginning.
        floats: Whether floats are to become Keras's own kind of floats.
        holds_all: Whether the command waits with whoever waits for an item, in whatever thread.
        was_cut: Whether a turn ended early, because the command is to stop.
    """

    def __init__(
        self,
        inflow: Inflow,
        description: Mapping[str, Any],
        ask: Callable[[Callable[[], Message | None]], None],
        *,
        name: str = "stream",
    ) -> None:
        steps = description.get("steps")
        self.steps: int | None = steps if type(steps) is int else None
        self.restarts = bool(description.get("restarts"))
        self.floats = bool(description.get("floats"))
        self.holds_all = False
        self.was_cut = False
        self._thread = get_ident()
        self._name = name
        self._count = 0
        self._inflow = inflow
        self._ask = ask
        self._turn = -1
        self._tally = Tally()
        # C code end to end: no lock of Python's is held when an async exception strikes.
        self._queue: SimpleQueue[tuple[int | None, object]] = SimpleQueue()
        self._end: object = None
        self._ended_turn = -1

    # --- in the command's threads ---

    def __iter__(self) -> Iterator[Any]:
        if _get_running_loop() is not None:
            raise RuntimeError(
                "an item would be waited for on the loop that brings it: a stream needs a worker "
                "whose commands have a thread, such as FakeWorker(threaded=True)"
            )
        if self._turn < 0 or self.restarts:
            self._begin()
        return _Turn(self, self._turn, self._queue)

    def __len__(self) -> int:
        if self.steps is None:
            raise TypeError("nobody has said how many items this stream has")
        return self.steps

    def _begin(self) -> None:
        before, self._queue = self._queue, SimpleQueue()
        self._turn += 1
        self._count = 0
        self._tally = Tally()
        before.put((None, _STOP))  # who still waits there does so in vain
        self._ask(self._inflow.begin)
        if self._end is not None:  # it came in between
            self._queue.put((None, self._end))

    def next_of(self, turn: int, queue: SimpleQueue[tuple[int | None, object]]) -> Any:
        """Wait for the next item of a turn.

        Raises:
            ConnectionError: The client is gone.
            RuntimeError: The source has failed.
            StopIteration: There are no more.
        """
        if self._ended_turn >= turn:
            raise StopIteration
        of, entry = self._taken_from(queue, turn)
        while of is not None and of != turn:
            of, entry = self._taken_from(queue, turn)
        if isinstance(entry, Payload):
            if (count := self._tally.add(entry.size)) > 0:
                self._ask(lambda: self._inflow.take(count) if self._inflow.turn == turn else None)
            self._count += 1
            path = f"item {self._count - 1} of the stream {self._name:.80}"
            return decode(entry, path=path, side="in the worker")
        self._ended_turn = max(turn, self._ended_turn)
        if isinstance(entry, Fault):
            told = f"{entry.type}: {entry.message}"
            raise RuntimeError(f"the source of this stream raised {told}")  # noqa: TRY004 - so it is
        if entry is _LOST:
            raise ConnectionError("the client that this stream came from is gone")
        self.was_cut |= of is None and self._end is not None
        raise StopIteration

    def _taken_from(
        self, queue: SimpleQueue[tuple[int | None, object]], turn: int
    ) -> tuple[int | None, object]:
        """Wait for an entry; tell the client, if that lasts and holds up the command."""
        if not self.holds_all and get_ident() != self._thread:
            return queue.get()
        try:
            return queue.get(timeout=TELL_AFTER_S)
        except Empty:
            count = self._tally.due()
            self._ask(lambda: self._inflow.waiting(count) if self._inflow.turn == turn else None)
        return queue.get()

    # --- on the loop ---

    def push(self, turn: int | None, entry: object) -> None:
        """Hand an item over, or the end of a turn."""
        self._queue.put((turn, entry))

    def close(self, *, lost: bool = False) -> None:
        """Let those that wait go on without: the command is to end, or has ended."""
        if self._end is None:
            self._end = _LOST if lost else _STOP
            self._queue.put((None, self._end))


class _Turn:
    """An iterator of one turn."""

    def __init__(
        self, feed: Feed, turn: int, queue: SimpleQueue[tuple[int | None, object]]
    ) -> None:
        self._feed = feed
        self._turn = turn
        self._queue = queue

    def __iter__(self) -> _Turn:
        return self

    def __next__(self) -> Any:
        return self._feed.next_of(self._turn, self._queue)


class Feeds:
    """The streams of one command, on the loop.

    Args:
        command: The command.
        bulk: Where large buffers arrive.
        broken: Called with what is wrong with an item.
    """

    def __init__(
        self, command: Command, bulk: BulkStore, broken: Callable[[BaseException], None]
    ) -> None:
        self._bulk = bulk
        self._broken = broken
        self._inflows = [Inflow(command.id, place) for place in range(len(command.streams))]
        self._names = command.streams
        self._feeds: list[Feed] = []
        self._waiting: deque[tuple[Feed, StreamItem | StreamEnd]] = deque()
        self._end: bool | None = None

    def bind(
        self, bindings: dict[str, Any], ask: Callable[[Callable[[], Message | None]], None]
    ) -> dict[str, Any]:
        """Put streams in the places of their descriptions; in the GPU thread.

        Raises:
            DecodeError: A description is none.
        """
        feeds: list[Feed] = []
        for name, inflow in zip(self._names, self._inflows, strict=True):
            description = bindings.get(name)
            if not isinstance(description, dict):
                raise DecodeError(f"the stream {name:.80} is not described")
            feeds.append(Feed(inflow, description, ask, name=name))
        self._feeds = feeds
        if self._end is not None:
            self.close(lost=self._end)
        return {**bindings, **dict(zip(self._names, feeds, strict=True))}

    def receive(self, message: StreamItem | StreamEnd) -> None:
        """Take an item, or the end of a turn.

        Raises:
            RemoteProtocolError: It has not its place there.
        """
        if not 0 <= message.stream < len(self._feeds):
            raise DecodeError(f"command {message.id} has no stream {message.stream} under way")
        current = self._inflows[message.stream].arrived(message)
        entry = (self._feeds[message.stream], message)
        if self._waiting:
            self._waiting.append(entry)
        elif isinstance(message, StreamItem) and has_bulk(message.value):
            self._waiting.append(entry)
            name = f"asyncbridge-stream-{message.id}"
            spawn(self._fetch(), name=name, on_error=self._broken)
        elif current:
            hand_over(*entry)

    def close(self, *, lost: bool = False) -> None:
        """Let the code that waits for an item go on; from any thread."""
        self._end = lost
        for feed in self._feeds:
            feed.close(lost=lost)

    async def _fetch(self) -> None:
        """Hand over, in their order, items whose large buffers arrive by themselves."""
        while self._waiting:
            feed, message = self._waiting[0]
            if isinstance(message, StreamItem):
                whole = join(message.value, await arrivals(self._bulk, message.value))
                message = replace(message, value=whole)
                del whole
            self._waiting.popleft()
            hand_over(feed, message)
            del feed, message  # a segment goes back with the last that refers to it


def has_bulk(value: Payload) -> bool:
    """Tell whether buffers of a value travel by themselves."""
    return any(isinstance(buffer, BulkRef) for buffer in value.buffers)


async def arrivals(bulk: BulkStore, value: Payload) -> dict[str, Buffer]:
    """Wait for the buffers of a value that travel by themselves; return them by their ids."""
    refs = [buffer for buffer in value.buffers if isinstance(buffer, BulkRef)]
    return {ref.id: await bulk.arrival(ref) for ref in refs}


def hand_over(feed: Feed, message: StreamItem | StreamEnd) -> None:
    """Let the command's code have it."""
    if isinstance(message, StreamItem):
        feed.push(message.turn, message.value)
    else:
        feed.push(message.turn, _STOP if message.fault is None else message.fault)

"""One stream of a command: what advances its source, no faster than the worker takes."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from asyncbridge.client.rebatching import Rebatcher, is_small
from asyncbridge.client.sources import SourceThread
from asyncbridge.client.vain import wait_of_task, wait_of_thread
from asyncbridge.errors import RemoteProtocolError
from asyncbridge.protocol.messages import BulkRef, Fault, Payload
from asyncbridge.protocol.streams import LARGE_ITEM, Outflow
from asyncbridge.serialization.codec import encode
from asyncbridge.serialization.split import split
from asyncbridge.tasks import spawn
from asyncbridge.transport.sizes import SEND_PARTS, check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from asyncbridge.client.pending import Pending
    from asyncbridge.client.sources import Source
    from asyncbridge.client.transfers import Transfers
    from asyncbridge.client.vain import Wait
    from asyncbridge.protocol.messages import Message, StreamTaken
    from asyncbridge.transport.arena import Segment

__all__ = ["Pump"]

_END: Final = object()
_TOGETHER_S: Final = 0.001
"""Seconds for which small items are drawn before those that are there are sent."""
_TEXT: Final = 1000
"""Characters of an error's text that the worker is told."""


class _Packed(NamedTuple):
    """An item on its way: nothing of it is the source's own any more."""

    value: Payload
    held: Mapping[str, Segment | bytes]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Some items, and what came behind them."""

    items: list[_Packed]
    at_end: bool = False
    error: BaseException | None = None


class Pump:
    """Brings the items of one source to the worker; everything here runs on the loop.

    A plain iterator is advanced in a thread of its own, an asynchronous one in one task. The source
    is closed where it was advanced, once, when the command has ended.

    Args:
        command: The command's id.
        place: The stream's place among the command's.
        source: Where the items come from.
        transfers: Moves large buffers.
        post: Queues a message to the worker.

    Attributes:
        error: What the source has raised, or what was wrong with what it gave.
        refused: Whether it was that: the source itself did not fail.
    """

    def __init__(
        self,
        command: int,
        place: int,
        source: Source,
        transfers: Transfers,
        post: Callable[[Message], None],
    ) -> None:
        self.source = source
        self.error: BaseException | None = None
        self.refused = False
        self.task: asyncio.Task[None] | None = None
        self._out = Outflow(command, place)
        self._prefix = f"{command}-s{place}"
        self._transfers = transfers
        self._post = post
        self._changed = asyncio.Event()
        self._items: Iterator[Any] | AsyncIterator[Any] | None = None
        self._thread: SourceThread | None = None
        self._batches: Rebatcher | None = None
        self._ready: deque[object] = deque()
        self._drawn = self._packed = 0
        self._entered = self._closing = False

    @property
    def drawn(self) -> int:
        """How many items the source has given in this turn."""
        return self._drawn

    @property
    def why(self) -> str:
        """What its command waits for."""
        return f"the source of {self.source.label}"

    def is_awaited(self, message: StreamTaken) -> bool:
        """Tell whether the worker, which said so once, still waits for the next item."""
        return not self._closing and self._out.has_sent(message)

    def wait(self, is_behind: Callable[[Pending], bool]) -> Wait | None:
        """Return what the source waits for in vain."""
        if self._thread is not None and self._thread.is_called:
            return wait_of_thread(self._thread.ident, is_behind)
        return None if self.task is None else wait_of_task(self.task, is_behind)

    def taken(self, message: StreamTaken) -> None:
        """Take what the worker says: it wants items, or has taken some.

        Raises:
            RemoteProtocolError: It cannot be so, or the source cannot begin anew.
        """
        begun = self._out.turn >= 0
        if self._out.taken(message) and begun and not self.source.stream.restarts:
            raise RemoteProtocolError(f"{self.source.label} cannot begin anew")
        if self.task is None and not self._closing:
            self._start()
        self._changed.set()

    def close(self) -> None:
        """End it, and close the source: the command has ended."""
        if self._closing:
            return
        self._closing = True
        if self.task is None:
            self._start()
        elif self._entered:
            self.task.cancel()

    def _start(self) -> None:
        name = f"asyncbridge-stream-{self._prefix}"
        self.task = self.source.context.copy().run(spawn, self._run(), name=name)

    async def _run(self) -> None:
        self._entered = True
        try:
            turn = -1
            while not self._closing:
                if self._out.turn > turn:
                    turn = self._out.turn
                    await self._flow(turn)
                else:
                    await self._change()
        except asyncio.CancelledError:
            if not self._closing:
                raise
        finally:
            await self._close_source(last=True)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _flow(self, turn: int) -> None:
        """Send the items of one turn."""
        try:
            await self._close_source()
            while self._out.turn == turn:
                if not self._out.has_room:
                    await self._change()
                elif not self._send(await self._draw(), turn):
                    return
        except Exception as error:  # noqa: BLE001 - whatever a source raises is its command's
            self._fail(error)
        except asyncio.CancelledError as error:
            if self._closing:
                raise
            self._fail(error)  # the source's own

    def _send(self, drawn: _Drawn, turn: int) -> bool:
        """Send what was drawn for a turn; return whether more may come."""
        if self._out.turn != turn:  # another one has begun meanwhile
            self._drop(drawn.items)
            return False
        for packed in drawn.items:
            self._transfers.send_placed(packed.held)
            self._post(self._out.item(packed.value))
        if drawn.error is not None:
            raise drawn.error
        if drawn.at_end:
            self._post(self._out.end())
        return not drawn.at_end

    def _fail(self, error: BaseException) -> None:
        self.error = error
        fault = Fault(type=type(error).__qualname__, message=str(error)[:_TEXT])
        self._post(self._out.end(fault))

    async def _draw(self) -> _Drawn:
        """Advance the source, and copy what it gives before it may change that."""
        if self._items is None:
            await self._open()
        items = self._items
        if isinstance(items, AsyncIterator):
            return await self._draw_here(items)
        assert items is not None
        room = self._out.room
        drawn: _Drawn = await self._in_thread(
            lambda: self._pulled(items, room), lambda drawn: self._drop(drawn.items)
        )
        return drawn

    async def _draw_here(self, items: AsyncIterator[Any]) -> _Drawn:
        at_end = False
        while not self._ready and not at_end:
            try:
                self._take(await anext(items))
            except StopAsyncIteration:
                self._take_rest()
                at_end = True
        if not self._ready or is_small(self._ready[0]):
            return _Drawn(self._packed_all(1), at_end=at_end)
        packing = asyncio.get_running_loop().run_in_executor(None, self._packed_all, 1)
        try:
            return _Drawn(await asyncio.shield(packing), at_end=at_end)
        except asyncio.CancelledError:
            packing.add_done_callback(lambda done: self._drop(done.result()))
            raise

    def _drop(self, items: list[_Packed]) -> None:
        """Take back what was copied, and nobody wants any more."""
        for packed in items:
            self._transfers.drop_placed(packed.held.values())

    def _pulled(self, items: Iterator[Any], room: int) -> _Drawn:
        """Draw as many small items as there is room for, unless that takes long."""
        drawn: list[_Packed] = []
        late = time.monotonic() + _TOGETHER_S
        try:
            while len(drawn) < room and time.monotonic() < late:
                item = _END if self._ready else next(items, _END)
                at_end = item is _END and not self._ready
                if at_end:
                    self._take_rest()
                elif item is not _END:
                    self._take(item)
                drawn += self._packed_all(room - len(drawn))
                if at_end and not self._ready:
                    return _Drawn(drawn, at_end=True)
                if drawn and drawn[-1].value.size >= LARGE_ITEM:
                    break
        except BaseException as error:  # noqa: BLE001 - what came before it is sent first
            return _Drawn(drawn, error=error)
        return _Drawn(drawn)

    def _packed_all(self, most: int) -> list[_Packed]:
        """Pack what is ready: no more than some, and no more than one that is large."""
        packed: list[_Packed] = []
        while self._ready and len(packed) < most:
            packed.append(self._pack())
            if packed[-1].value.size >= LARGE_ITEM:
                break
        return packed

    def _take(self, item: object) -> None:
        """Make batches of an item."""
        stream, number = self.source.stream, self._drawn
        self._drawn += 1
        with self._refusing():
            if stream.convert is not None:
                item = stream.convert(item, number)
            if self._batches is None:
                self._ready.append(item)
            else:
                self._ready.extend(self._batches.feed(item))

    @contextmanager
    def _refusing(self) -> Generator[None]:
        """Note that what fails here is no failure of the source."""
        try:
            yield
        except Exception:
            self.refused = True
            raise

    def _take_rest(self) -> None:
        if self._batches is not None:
            self._ready.extend(self._batches.rest())

    def _pack(self) -> _Packed:
        number, stream, item = self._drawn - 1, self.source.stream, self._ready.popleft()
        with self._refusing():
            if stream.check is not None:
                stream.check(item, number)
            where = f"item {number} of {self.source.label}"
            value = encode(item, path=where, files=False)
            check_size(where, value.size, self._transfers.largest, SEND_PARTS)
        del item
        self._packed += 1
        small, bulk = split(value, prefix=f"{self._prefix}-{self._packed}")
        parts = (part if isinstance(part, BulkRef) else bytes(part) for part in small.buffers)
        held = {name: self._transfers.place(part) for name, part in bulk.items()}
        return _Packed(Payload(header=small.header, buffers=tuple(parts), size=small.size), held)

    async def _open(self) -> None:
        """Begin a turn of the source."""
        stream = self.source.stream
        self._drawn = 0
        self._ready.clear()
        self._batches = None if stream.batch_size is None else Rebatcher(stream.batch_size)
        here = stream.is_asynchronous
        items = stream.begin() if here else await self._in_thread(stream.begin)
        if isinstance(items, AsyncIterable):
            self._items = aiter(items)
        else:
            self._items = await self._in_thread(lambda: iter(items))

    async def _in_thread(
        self, function: Callable[[], Any], lost: Callable[[Any], object] = lambda _: None
    ) -> Any:
        if self._thread is None:
            self._thread = SourceThread(self.source.context)
        return await self._thread.call(function, lost)

    async def _close_source(self, *, last: bool = False) -> None:
        """Close what was begun; at last also what never was, if it is good for one turn."""
        items: Any = self._items
        self._items = None
        if items is None and last and not self.source.stream.restarts:
            items = self.source.stream.begin()
        if isinstance(items, AsyncIterator):
            close = getattr(items, "aclose", None)
            items = None
            if close is not None:
                await close()
        if (close := getattr(items, "close", None)) is not None or last:
            self._end_thread(close)

    def _end_thread(self, close: Callable[[], object] | None) -> None:
        """End the source's thread, by closing the source in it."""
        thread, self._thread = self._thread, None
        if thread is None and close is not None:
            thread = SourceThread(self.source.context)
        if thread is not None:
            thread.end(close or (lambda: None))

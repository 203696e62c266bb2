"""One session's channel, over one connection after the other.

Whoever reads and writes here does not notice that a connection ends: what was on its way is written
again on the next one, and what came twice is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from asyncbridge.errors import AsyncBridgeError, DecodeError
from asyncbridge.protocol.joining import Join, Joined
from asyncbridge.protocol.limits import REASON_CHARS
from asyncbridge.protocol.messages import Payload, Refused
from asyncbridge.protocol.replay import Gap, Replay
from asyncbridge.serialization.frames import ORIGIN, DamagedFrame, Place
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import Channel, ChannelClosed, NobodyThere, Taken
from asyncbridge.transport.retries import Patience

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from asyncbridge.protocol.messages import Message
    from asyncbridge.transport.contract import Wire

__all__ = ["Dialled", "Resumable", "Served"]

SHORT_BYTES: Final = 16 * 1024
"""Bytes from which a frame is not short any more."""
_HEAD_BYTES: Final = 128
"""What a message counts beside its value."""
PROBE_S: Final = 10.0
"""Seconds within which another connection has to come about beside one that is silent."""
DAMAGED: Final = 4
"""Connections in a row on which nothing came but damage."""


class Resumable(Channel):
    """What the two sides have in common: the account, and the connection of the moment."""

    def __init__(self) -> None:
        self._replay = Replay()
        self._wire: Wire | None = None
        # That one may be read from; and that one may write, too: the other side has all before.
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._ended: ChannelClosed | None = None
        self._why = "there was none yet"
        self._damaged = 0

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._wire is not None

    @property
    def has_ended(self) -> bool:
        """Whether there will be no connection any more."""
        return self._ended is not None

    @property
    def writes_at_once(self) -> bool:
        """Whether there is a connection that takes frames as they come."""
        wire = self._wire
        return wire is not None and wire.writes_at_once and self._writable.is_set()

    async def write(self, messages: Sequence[Message]) -> None:
        """Write messages; waits for a connection."""
        while (wire := self._wire) is None or not self._writable.is_set():
            self._check()
            await self._writable.wait()
        await self._send(wire, messages, self._replay.write(messages))

    async def read(self) -> list[Message]:
        """Return the next messages."""
        while True:
            wire = self._wire
            if wire is None:
                self._check()
                await self._connect()
                continue
            try:
                new = await self._receive(wire)
            except ChannelClosed as error:
                self._drop(wire, error)
            except (DamagedFrame, Gap) as error:
                self._damaged += 1
                if self._damaged > DAMAGED:
                    raise
                self._drop(wire, error)
            else:
                if new:
                    self._damaged = 0
                    return new

    async def close(self) -> None:
        """End the channel, and its connection."""
        self._end(ChannelClosed("the channel is closed"))
        wire, self._wire = self._wire, None
        if wire is not None:
            self._left(wire)
            await wire.close()

    # --- inner steps ---

    @abstractmethod
    async def _connect(self) -> None:
        """Come by another connection.

        Raises:
            ChannelClosed: There will be none.
        """

    def _left(self, wire: Wire) -> None:
        """Note that a connection is of no more use."""

    def _use(self, wire: Wire) -> None:
        """Read from a connection, and write what the other side lacks.

        Both at once: if both sides only wrote, neither would come to an end.
        """
        self._wire = wire
        self._readable.set()
        spawn(self._resend(wire), name="asyncbridge-resend")

    async def _resend(self, wire: Wire) -> None:
        first, messages = self._replay.missing()
        for some in in_short_frames(messages):
            if wire is not self._wire:
                return
            await self._send(wire, some, first)
            first += len(some)
        if wire is self._wire:
            self._writable.set()

    async def _receive(self, wire: Wire) -> list[Message]:
        messages, place = await wire.receive()
        if wire is not self._wire:  # another one has taken its place: all of this comes again
            return []
        self._replay.acknowledge(place.received)
        new = self._replay.read(place.first, messages)
        if self._replay.owes:
            await self._send(wire, (), self._replay.written)
        return new

    async def _send(self, wire: Wire, messages: Sequence[Message], first: int) -> None:
        try:
            await wire.send(messages, Place(first, self._replay.tell()))
        except ChannelClosed as error:
            self._drop(wire, error)

    def _drop(self, wire: Wire, error: AsyncBridgeError) -> None:
        """Give a connection up; its reader comes by another one."""
        if wire is not self._wire:
            return
        self._wire, self._why = None, str(error)
        if self._ended is None:
            self._readable.clear()
            self._writable.clear()
        self._left(wire)
        spawn(wire.close(), name="asyncbridge-hang-up")

    def _end(self, error: ChannelClosed) -> None:
        """Let nobody wait for a connection any more."""
        if self._ended is None:
            self._ended = error
        self._readable.set()
        self._writable.set()

    def _check(self) -> None:
        if self._ended is not None:
            raise type(self._ended)(str(self._ended))


class Served(Resumable):
    """The worker's end: its client comes back, or does not.

    Args:
        lease: Seconds for which a client is waited for.
    """

    def __init__(self, *, incarnation: str, lease: float) -> None:
        super().__init__()
        self._incarnation = incarnation
        self._lease = lease
        self._gone: asyncio.Future[None] | None = None

    async def take(self, wire: Wire, received: int) -> None:
        """Go on over a connection, and return when that has ended.

        Args:
            wire: It begins here.
            received: How many messages its client has.
        """
        if (old := self._wire) is not None:  # the client knows better that it has ended
            self._drop(old, ChannelClosed("the client has opened another connection"))
        self._gone = gone = asyncio.get_running_loop().create_future()
        joined = Joined(
            incarnation=self._incarnation,
            received=self._replay.received,
            lease_ms=int(self._lease * 1000),
        )
        try:
            self._replay.acknowledge(received)
            await wire.send([joined], ORIGIN)
        except (ChannelClosed, DecodeError):
            await wire.close()
            return
        if self._gone is not gone or self._ended is not None:
            await wire.close()
            return
        self._use(wire)
        await gone

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._lease):
                await self._readable.wait()
        except TimeoutError:
            error = ChannelClosed(
                f"the client did not come back within {self._lease:g} s: {self._why}"
            )
            self._end(error)
            raise error from None

    def _left(self, wire: Wire) -> None:
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)


class Dialled(Resumable):
    """The client's end, which opens the connections.

    Args:
        session: The session's id.
        name: Of what the session takes over and leaves to others; empty for nothing.
        dial: Opens another one; a ``ConnectError`` says that it cannot now.
        changed: Called when a connection has been lost, and when there is one again.
        patience: When to try again, and for how long.
    """

    def __init__(
        self,
        session: str,
        dial: Callable[[], Awaitable[Wire]],
        *,
        name: str = "",
        changed: Callable[[bool], None] = lambda connected: None,
        patience: Patience | None = None,
    ) -> None:
        super().__init__()
        self._session = session
        self._name = name
        self._dial = dial
        self._changed = changed
        self._patience = patience or Patience()
        self._joined: Joined | None = None
        self._probing: asyncio.Task[None] | None = None

    async def open(self, wire: Wire) -> None:
        """Begin with a connection; whether the worker takes it, the first reading tells.

        Raises:
            ChannelClosed: It has ended.
        """
        await wire.send([Join(session=self._session, name=self._name)], ORIGIN)
        self._use(wire)

    def probe(self) -> None:
        """Try another connection beside the present one, and take it if it comes about.

        A connection may be dead at one end only: a firewall forgets it, a machine goes to sleep.
        """
        if self._joined is not None and self._wire is not None and self._probing is None:
            probing = self._probing = spawn(self._try_another(), name="asyncbridge-probe")
            probing.add_done_callback(self._probed)

    async def _receive(self, wire: Wire) -> list[Message]:
        if self._joined is not None:
            return await super()._receive(wire)
        messages, _ = await wire.receive()
        if len(messages) == 1 and isinstance(messages[0], Joined):
            self._joined = messages[0]
            return []
        return messages

    async def _connect(self) -> None:
        if self._joined is None:
            raise ChannelClosed(self._why)
        self._changed(False)
        if self._probing is not None:  # the other one may be about to come about
            await asyncio.wait([self._probing])
        attempts = self._patience.begin()
        while self._wire is None:
            await attempts.wait()
            try:
                await self._rejoin(self._joined)
            except AsyncBridgeError as error:
                self._why = str(error)
                if attempts.are_over or isinstance(error, NobodyThere):
                    self._end(ChannelClosed(self._why))
                self._check()
        self._changed(True)

    async def _try_another(self) -> None:
        assert self._joined is not None
        with contextlib.suppress(AsyncBridgeError, TimeoutError):
            async with asyncio.timeout(PROBE_S):
                await self._rejoin(self._joined)

    def _probed(self, _: asyncio.Task[None]) -> None:
        self._probing = None

    async def close(self) -> None:
        """End the channel, and its connection."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])
        await super().close()

    async def _rejoin(self, joined: Joined) -> None:
        wire = await self._dial()
        try:
            join = Join(
                session=self._session,
                incarnation=joined.incarnation,
                received=self._replay.received,
                name=self._name,
            )
            await wire.send([join], ORIGIN)
            messages, _ = await wire.receive()
            answer = messages[0] if messages else None
            if isinstance(answer, Refused):
                kind = Taken if answer.code == "taken" else ChannelClosed
                self._end(kind(answer.message[:REASON_CHARS]))
            if not isinstance(answer, Joined):
                raise ChannelClosed(f"the worker answers a join by {type(answer).__name__}")
            self._replay.acknowledge(answer.received)
            self._check()  # the channel may have been closed meanwhile
        except BaseException:
            await wire.close()
            raise
        if self._wire is not None:
            self._drop(self._wire, ChannelClosed("another connection has taken its place"))
        self._use(wire)


def in_short_frames(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Yield messages, some at a time: what has come of them, the next connection need not bring."""
    some: list[Message] = []
    size = 0
    for message in messages:
        some.append(message)
        payload = getattr(message, "bindings", None) or getattr(message, "value", None)
        size += _HEAD_BYTES + (payload.size if isinstance(payload, Payload) else 0)
        if size >= SHORT_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some

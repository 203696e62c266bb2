"""What flows while commands run: streams to the worker, and values that come in parts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncbridge.client import faults
from asyncbridge.client.parts import Parts
from asyncbridge.client.pump import Pump
from asyncbridge.client.standstill import Standstill
from asyncbridge.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client.pending import Pending
    from asyncbridge.client.transfers import Transfers
    from asyncbridge.errors import AsyncBridgeError
    from asyncbridge.protocol.client import ClientProtocol
    from asyncbridge.protocol.messages import Failed, Message, StreamItem, StreamTaken

__all__ = ["Streams"]


class Streams:
    """One session's streams, by their commands; everything here runs on the loop.

    Args:
        protocol: The session's.
        transfers: Moves large buffers.
        post: Queues a message to the worker.
    """

    def __init__(
        self, protocol: ClientProtocol, transfers: Transfers, post: Callable[[Message], None]
    ) -> None:
        self._protocol = protocol
        self._transfers = transfers
        self._post = post
        self._pumps: dict[int, list[Pump]] = {}
        self._parts: dict[int, Parts] = {}
        self._items: dict[int, Pending] = {}
        self._standstills: dict[int, Standstill] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def open(self, item: Pending) -> None:
        """Have the streams of a command ready; their sources are not touched yet."""
        self._items[item.id] = item
        self._pumps[item.id] = [
            Pump(item.id, place, source, self._transfers, self._post)
            for place, source in enumerate(item.streams)
        ]

    def want_parts(self, item: Pending) -> Parts | None:
        """Ask for a command's value in parts; None where it is too late for that.

        Raises:
            RuntimeError: They were asked for already.
        """
        if item.id in self._parts:
            raise RuntimeError("its parts are gone through already: they can be had once")
        if not self._protocol.want_parts(item.id):
            return None
        parts = Parts(
            item.id, self._transfers, self._post, writable=item.writable, promise=item.promise
        )
        self._items[item.id] = item
        self._parts[item.id] = parts
        return parts

    def taken(self, message: StreamTaken) -> None:
        """Let the stream go on of which the worker has taken some."""
        pumps, parts = self._pumps.get(message.id, []), self._parts.get(message.id)
        if message.waits == "room":
            if parts is not None:
                self._stands(parts, message)
        elif 0 <= message.stream < len(pumps):
            pumps[message.stream].taken(message)
            if message.waits == "item":
                self._stands(pumps[message.stream], message)

    def _stands(self, flow: Pump | Parts, message: StreamTaken) -> None:
        """Note that a command's code waits for this side."""
        if (before := self._standstills.get(message.id)) is not None:
            before.end()
        item = self._items[message.id]
        self._standstills[message.id] = Standstill(item, self._protocol, flow, message)

    def arrived(self, message: StreamItem) -> None:
        """Take a part of a command's value."""
        parts = self._parts.get(message.id)
        if parts is None:
            self._transfers.decline(message.value)
        else:
            parts.arrived(message)

    def error(self, item: Pending, message: Failed) -> AsyncBridgeError:
        """Build the exception for a command's failure: a source's own, if that is the reason."""
        for pump in self._pumps.get(item.id, []):
            if pump.error is not None:
                return source_error(item, pump, pump.error)
        because = next((other.sent() for other in item.after if other.id == message.because), None)
        error = faults.remote_error(message, item.sent(), because=because)
        item.explain(error)
        return error

    def leaves(self, item: Pending) -> bool:
        """Let go of a command's streams, for another worker; tell whether none was drawn from."""
        pumps = self._pumps.get(item.id, ())
        if any(pump.task is not None for pump in pumps):
            return False
        self._pumps.pop(item.id, None)
        self.end(item.id)
        return True

    def end(self, command_id: int) -> None:
        """Close the sources of a command that has ended, and its parts."""
        for pump in self._pumps.pop(command_id, ()):
            pump.close()
            assert pump.task is not None
            self._closing.add(pump.task)
            pump.task.add_done_callback(self._closing.discard)
        if (parts := self._parts.pop(command_id, None)) is not None:
            parts.end()
        if (standstill := self._standstills.pop(command_id, None)) is not None:
            standstill.end()
        self._items.pop(command_id, None)

    async def closed(self) -> None:
        """Wait until the sources of commands that have ended are closed."""
        if self._closing:
            await asyncio.wait(self._closing)


def source_error(item: Pending, pump: Pump, error: BaseException) -> SourceError:
    """Build the exception for a command whose data could not be had."""
    what = (
        f"gave what cannot be used: {error}"
        if pump.refused
        else f"raised {type(error).__qualname__} after {pump.drawn} items: {error}"
    )
    told = SourceError(f"{item.label or 'the command'}: the source of {pump.source.label} {what}")
    told.__cause__ = error
    return told

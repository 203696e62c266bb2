"""An injector of faults into frames, inside a real connection."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from aiohttp import WSMessage, WSMsgType

from asyncbridge.serialization.frames import unpack
from asyncbridge.transport.websocket import WebSocketWire

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import ClientWebSocketResponse

    from asyncbridge.protocol.messages import Message
    from tests.chaos.plan import Step, Way

    Watch = Callable[[Way, list[Message]], bool]
    """Is called with each frame's messages; a frame for which it returns False is lost."""

__all__ = ["Injector"]

LOST_S = 0.02
"""Seconds after which a connection ends that has lost a frame, as TCP would have it."""
DELAY_S = 0.02
"""Seconds for which a frame is delayed at most."""


class Injector:
    """Tampers with the frames of a client's connections.

    Args:
        cut: Ends the connections.

    Attributes:
        struck: How many faults have come about.
        watch: Sees all frames, if there is one.
    """

    def __init__(self, cut: Callable[[], None]) -> None:
        self.struck = 0
        self.watch: Watch | None = None
        self._cut = cut
        self._step: Step | None = None
        self._left = 0

    def wire(self, socket: ClientWebSocketResponse) -> WebSocketWire:
        """Return a connection whose frames pass through here."""
        return WebSocketWire(_Socket(socket, self))  # type: ignore[arg-type]  # what a wire uses of it

    def arm(self, step: Step) -> None:
        """Let a fault befall one of the next frames."""
        self._step, self._left = step, step.after

    def calm(self) -> None:
        """Do nothing any more that has not come about."""
        self._step = None

    async def tamper(self, way: Way, data: bytes, held: list[bytes]) -> list[bytes]:
        """Return what arrives now for a frame.

        Args:
            way: Where it goes.
            data: Its bytes.
            held: Frames of this connection and this way that wait for the next one.
        """
        if self.watch is not None and not self.watch(way, unpack(data)):
            self._lose()
            return []
        step = self._step
        if step is None or step.way != way:
            return [data, *_emptied(held)]
        self._left -= 1
        if self._left >= 0:
            return [data, *_emptied(held)]
        self._step = None
        self.struck += 1
        return await self._strike(step, data, held)

    async def _strike(self, step: Step, data: bytes, held: list[bytes]) -> list[bytes]:
        place = int(step.chance * len(data))
        match step.kind:
            case "drop":
                self._lose()
                return []
            case "duplicate":
                return [data, data]
            case "reorder":
                held.append(data)
                self._lose()  # for there may be no other frame to change places with
                return []
            case "delay":
                await asyncio.sleep(DELAY_S * step.chance)
                return [data]
            case "flip":
                bit = 1 << int(step.chance * 8 * len(data)) % 8
                return [data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]]
            case _:
                return [data[:place]]

    def _lose(self) -> None:
        asyncio.get_running_loop().call_later(LOST_S, self._cut)


class _Socket:
    """A WebSocket as a wire uses it, with an injector in its way."""

    def __init__(self, socket: ClientWebSocketResponse, injector: Injector) -> None:
        self._socket = socket
        self._injector = injector
        self._held: dict[Way, list[bytes]] = {"there": [], "back": []}
        self._arrived: deque[bytes] = deque()

    async def send_bytes(self, data: bytes) -> None:
        for each in await self._injector.tamper("there", data, self._held["there"]):
            await self._socket.send_bytes(each)

    async def receive(self) -> WSMessage:
        while not self._arrived:
            message = await self._socket.receive()
            if message.type is not WSMsgType.BINARY:
                return message
            data: Any = message.data
            self._arrived += await self._injector.tamper("back", data, self._held["back"])
        return WSMessage(WSMsgType.BINARY, self._arrived.popleft(), None)

    async def close(self) -> None:
        await self._socket.close()

    def exception(self) -> BaseException | None:
        return self._socket.exception()

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code


def _emptied(held: list[bytes]) -> list[bytes]:
    taken = list(held)
    held.clear()
    return taken

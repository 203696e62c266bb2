"""All that lies between a bridge and its worker: a proxy for bytes, an injector for frames."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from asyncbridge.client import connectors
from asyncbridge.transport.websocket import WebSocketWire
from tests.chaos.frames import Injector
from tests.chaos.plan import CONNECTION, FRAMES
from tests.chaos.proxy import Proxy, Shape

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    import aiohttp

    from asyncbridge.transport.contract import Wire
    from tests.chaos.plan import Step
    from tests.chaos.proxy import Address

__all__ = ["Net", "disturbed", "injected"]

SOME_BYTES = 2000
"""Bytes that are slow, late or in slices, at most."""
BLACK_HOLE_S = 0.05
SLICES = Shape(size=1)
SLOW = Shape(size=100, rate=10_000)
LATE = Shape(late=0.01)


class Net:
    """What a bridge's connections pass through.

    Args:
        front: Where the proxy listens.
        back: Where the worker does; None for one that a bridge starts.
    """

    def __init__(self, front: Address, back: Address | None = None) -> None:
        self.proxy = Proxy(front, back)
        self.frames = Injector(self.proxy.cut)

    @property
    def struck(self) -> int:
        """How many faults have come about."""
        return self.proxy.struck + self.frames.struck

    def arm(self, step: Step) -> None:
        """Let a fault come about as bytes and frames pass."""
        if step.kind in FRAMES:
            self.frames.arm(step)
        elif step.kind in CONNECTION:
            self._arm_connection(step)

    def calm(self) -> None:
        """Let nothing come about any more."""
        self.frames.calm()
        self.proxy.calm()

    def _arm_connection(self, step: Step) -> None:
        proxy, way, after = self.proxy, step.way, step.after
        count = 1 + int(step.chance * SOME_BYTES)
        match step.kind:
            case "cut" | "reset" | "half_close":
                proxy.end_after(way, after, step.kind)
            case "black_hole":
                proxy.black_hole(BLACK_HOLE_S * step.chance)
            case "slices":
                proxy.shape(way, after, count, SLICES)
            case "slow":
                proxy.shape(way, after, count, SLOW)
            case _:
                proxy.shape(way, after, count, LATE)


@contextmanager
def injected(frames: Injector) -> Generator[None]:
    """Have the frames of all connections that are opened meanwhile pass an injector."""
    real = connectors.open_wire

    async def open_wire(
        http: aiohttp.ClientSession, base: str, headers: dict[str, str], what: str
    ) -> Wire:
        wire = await real(http, base, headers, what)
        assert isinstance(wire, WebSocketWire)
        return frames.wire(wire._socket)  # type: ignore[arg-type]  # a client's it is

    with patch.object(connectors, "open_wire", open_wire):
        yield


@asynccontextmanager
async def disturbed(net: Net) -> AsyncGenerator[Net]:
    """Have all bridges that connect meanwhile do so through a net.

    A worker that one of them starts becomes what the proxy leads to.
    """
    real = connectors.http_session

    def http_session(socket: Path | None) -> aiohttp.ClientSession:
        if socket is None or socket == net.proxy.front:
            return real(socket)
        assert isinstance(net.proxy.front, Path)
        net.proxy.back = socket
        return real(net.proxy.front)

    await net.proxy.start()
    try:
        with injected(net.frames), patch.object(connectors, "http_session", http_session):
            yield net
    finally:
        await net.proxy.close()

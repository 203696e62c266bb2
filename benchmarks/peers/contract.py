"""What is asked of each bridge, and which there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BRIDGES", "Peer", "Subject", "UnsupportedError"]


class UnsupportedError(Exception):
    """The bridge has no way to do this; the text says why."""


class Subject(Protocol):
    """One bridge with one worker. Where a bridge has no async calls, these block."""

    async def open(self) -> None:
        """Start the worker, and wait until it has run a command."""

    async def close(self) -> None:
        """End the worker."""

    async def pid(self) -> int:
        """Return the process id of the worker."""
        ...

    async def trip(self) -> None:
        """Run one trivial command, and wait for its value."""

    async def pipelined(self, count: int) -> None:
        """Run many, each with an answer of its own; as many at once as the bridge takes."""

    async def array(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring an array to the worker and back."""
        ...

    async def value(self, value: object) -> object:
        """Bring a small value to the worker and back."""
        ...

    async def reports(self, count: int) -> list[float]:
        """Run `work.tell`; return the seconds from each report until it is here."""
        ...

    async def hang(self, path: str, *, to_cancel: bool) -> Awaitable[Any]:
        """Start `work.hang`; return what ends with it."""
        ...

    async def cancel(self, hanging: Awaitable[Any]) -> None:
        """Ask for the end of what `hang` started.

        Raises:
            UnsupportedError: A command that runs cannot be cancelled.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Where a bridge's `Subject` is, and what it takes.

    Attributes:
        module: The module with the class ``Bridge``.
        imported: What a client imports.
        needs: The distributions that it is made of.
        elsewhere: Whether these are in the environment of the peers.
        pipelined: Commands in one pipelined round: enough for a tenth of a second or more.
    """

    module: str
    imported: str
    needs: tuple[str, ...] = ()
    elsewhere: bool = False
    pipelined: int


BRIDGES = {
    "asyncbridge": Peer(
        module="benchmarks.peers.by_asyncbridge",
        imported="import asyncbridge; asyncbridge.connect",
        needs=("asyncbridge-keras",),
        pipelined=10_000,
    ),
    "ipykernel": Peer(
        module="benchmarks.peers.by_ipykernel",
        imported="from jupyter_client import AsyncKernelManager",
        needs=("ipykernel", "jupyter_client"),
        elsewhere=True,
        pipelined=300,
    ),
    "rpyc": Peer(
        module="benchmarks.peers.by_rpyc",
        imported="import rpyc",
        needs=("rpyc",),
        elsewhere=True,
        pipelined=5000,
    ),
    "Ray": Peer(
        module="benchmarks.peers.by_ray",
        imported="import ray",
        needs=("ray",),
        elsewhere=True,
        pipelined=3000,
    ),
    "ProcessPoolExecutor": Peer(
        module="benchmarks.peers.by_pool",
        imported="import asyncio; from concurrent.futures import ProcessPoolExecutor",
        pipelined=10_000,
    ),
}
"""The bridges, in the order of the table."""

"""How a test ends a worker from outside, whatever that is doing."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from asyncbridge.client.connectors import LocalWorker
from asyncbridge.errors import WorkerLost
from asyncbridge.testing.fakes import FakeWorker

if TYPE_CHECKING:
    from asyncbridge.client.bridge import Bridge
    from asyncbridge.client.connectors import Worker
    from asyncbridge.promise import Promise

__all__ = ["kill_worker"]


def kill_worker(bridge: Bridge, number: signal.Signals = signal.SIGKILL) -> Promise[WorkerLost]:
    """Kill the worker behind a bridge, whatever it is doing; SIGKILL is what the kernel sends.

    The promise is fulfilled when the bridge has seen the end: from then on the promise of each
    command that had begun is rejected with ``WorkerLost``. If the worker has a successor,
    ``bridge.state`` is ``reconnecting`` then, else ``lost``.

    Args:
        bridge: An open bridge, to a worker that it or the suite has started, or to a fake one.
        number: The signal.

    Returns:
        A promise of how the worker ended.

    Raises:
        ValueError: The bridge is attached to a worker that somebody else started.
    """
    worker = bridge._worker
    if not isinstance(worker, LocalWorker | FakeWorker):
        raise ValueError(  # noqa: TRY004 - a bridge it is
            f"{bridge!r} has no worker that was started here: end the process that you attached to"
        )
    return bridge._promise_of(lambda: _kill(bridge, worker, number), "asyncbridge-kill")


async def _kill(bridge: Bridge, worker: Worker, number: signal.Signals) -> WorkerLost:
    if isinstance(worker, FakeWorker):
        worker.die(f"killed by {number.name}", signal=number.name)
    elif isinstance(worker, LocalWorker):
        os.kill(worker._process.pid, number)
    error = await asyncio.shield(bridge._opened().closed)
    if not isinstance(error, WorkerLost):  # somebody closed the bridge meanwhile
        raise error
    return error

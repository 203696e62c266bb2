"""From a worker to an open session: whichever comes first, its welcome, its end or the deadline."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from asyncbridge.client.connected import import_off_loop
from asyncbridge.client.launcher import LaunchOptions, launch
from asyncbridge.errors import AsyncBridgeError, ConnectError, WorkerStartError
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from asyncbridge.client.connectors import Worker
    from asyncbridge.client.options import Options
    from asyncbridge.client.pair import HttpPair
    from asyncbridge.client.session import Session

__all__ = ["greet", "start_worker"]

VERDICT_SECONDS = 5.0
"""How long the supervisor is waited for, once the connection of a new worker broke."""


async def start_worker(options: Options) -> Worker:
    """Start a worker, or name the one that the options' URL means.

    Raises:
        ConnectError: A URL that is none of the known kinds, or with no token.
        WorkerStartError: The supervisor could not be started.
    """
    if options.url is not None:
        connectors = await import_off_loop("asyncbridge.client.connectors")
        attached: Worker = connectors.AttachedWorker(
            options.url, options.token, await pair_of(options), name=options.session
        )
        return attached
    # Launched first: the worker starts while this process imports what it needs to reach it.
    process = await launch(
        LaunchOptions(
            python=options.python,
            backend=options.backend,
            env=options.env,
            worker_config={
                "shared_memory": options.shared_memory,
                "cache": options.cache,
                "largest_value": options.largest_value,
                "recycle": None if options.recycle is None else asdict(options.recycle),
            },
        )
    )
    try:
        connectors = await import_off_loop("asyncbridge.client.connectors")
        pair = await pair_of(options)
    except BaseException:
        process.kill()
        await process.close()
        raise
    local: Worker = connectors.LocalWorker(process, pair)
    return local


async def pair_of(options: Options) -> HttpPair | None:
    """Return a bridge's end of the HTTP pair, None for the other transport."""
    if options.transport != "http":
        return None
    pair = await import_off_loop("asyncbridge.client.pair")
    made: HttpPair = pair.HttpPair()
    return made


async def greet(
    worker: Worker, work: Callable[[Worker], Coroutine[Any, Any, Session]], timeout: float
) -> Session:
    """Connect to a worker, unless it ends first or takes too long.

    Raises:
        ConnectError: It refused, or nothing answers at its address, or not in time.
        WorkerStartError: A worker that was started ended, or has not answered in time.
    """
    dialling = spawn(work(worker), name="asyncbridge-dial", on_error=lambda _: None)
    ending = spawn(worker.ended(), name="asyncbridge-ended", on_error=lambda _: None)
    tasks: set[asyncio.Task[Any]] = {dialling, ending}
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if dialling.done() and isinstance(dialling.exception(), ConnectError):
            # The process may just be ending: then its own words say more.
            await asyncio.wait({ending}, timeout=VERDICT_SECONDS if worker.kind == "local" else 0)
        if ending.done():
            lost = ending.result()
            raise WorkerStartError(
                f"{lost.reason}, before it answered", stderr_tail=lost.stderr_tail
            )
        if not dialling.done():
            raise overdue(worker, timeout)
        return dialling.result()
    finally:
        dialling.cancel()
        ending.cancel()


def overdue(worker: Worker, timeout: float) -> AsyncBridgeError:
    """Return the error for a worker that has not answered in time."""
    longer = "connect(connect_timeout=...) waits longer"
    if worker.kind == "attached":
        return ConnectError(
            f"nobody said welcome within {timeout} s: is it a worker, and does it answer? {longer}"
        )
    return WorkerStartError(
        f"the worker has not answered within {timeout} s: is the machine very busy? {longer}"
    )

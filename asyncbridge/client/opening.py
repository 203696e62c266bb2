"""From a worker to an open session: whichever comes first, its welcome, its end or the deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncbridge.client.launcher import LaunchOptions, launch
from asyncbridge.client.bridge import import_off_loop
from asyncbridge.errors import ConnectError, WorkerStartError
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from asyncbridge.client.connectors import Worker
    from asyncbridge.client.options import Options
    from asyncbridge.client.session import Session

__all__ = ["greet", "start_worker", "watch"]

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
        return connectors.AttachedWorker(options.url, options.token)
    # Launched first: the worker starts while this process imports what it needs to reach it.
    process = await launch(
        LaunchOptions(python=options.python, backend=options.backend, env=options.env)
    )
    try:
        connectors = await import_off_loop("asyncbridge.client.connectors")
    except BaseException:
        process.kill()
        await process.close()
        raise
    return connectors.LocalWorker(process)


async def greet(
    worker: Worker, work: Callable[[Worker], Coroutine[Any, Any, Session]], timeout: float
) -> Session:
    """Connect to a worker, unless it ends first or takes too long."""
    dialling = spawn(work(worker), name="asyncbridge-dial", on_error=lambda _: None)
    ending = spawn(worker.ended(), name="asyncbridge-ended", on_error=lambda _: None)
    try:
        await asyncio.wait(
            {dialling, ending}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        if dialling.done() and not isinstance(dialling.exception(), ConnectError):
            return dialling.result()
        if worker.kind != "local" and dialling.done():
            return dialling.result()
        if dialling.done():  # the connection broke: the process may just be ending
            await asyncio.wait({ending}, timeout=VERDICT_SECONDS)
        if not ending.done():
            return dialling.result() if dialling.done() else overdue(worker, timeout)
        lost = ending.result()
        raise WorkerStartError(
            f"{lost.reason}, before it answered", stderr_tail=lost.stderr_tail
        )
    finally:
        dialling.cancel()
        ending.cancel()


def overdue(worker: Worker, timeout: float) -> Session:
    """Raise: the worker has not answered in time."""
    raise WorkerStartError(
        f"the {worker.kind} worker has not answered within {timeout} s: is the machine very "
        "busy? connect(connect_timeout=...) waits longer"
    )


async def watch(worker: Worker, session: Session) -> None:
    """End the session as soon as the process is known to have ended."""
    ended = spawn(worker.ended(), name="asyncbridge-ended")
    try:
        await asyncio.wait({ended, session.closed}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done() and not session.closed.done():
            session.end(ended.result())
    finally:
        ended.cancel()

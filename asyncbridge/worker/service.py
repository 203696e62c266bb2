"""What the worker's process does once its socket listens: serve, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from asyncbridge.serialization.registry import add_converter
from asyncbridge.transport.arena import open_arena
from asyncbridge.transport.loops import new_event_loop
from asyncbridge.transport.sizes import cache_bytes, largest_value, memory_of_machine
from asyncbridge.worker import tensors
from asyncbridge.worker.app import LEASE_S, WorkerApp
from asyncbridge.worker.descriptors import Descriptors, end_without_descriptors
from asyncbridge.worker.engine import Engine
from asyncbridge.worker.executor import GpuThread
from asyncbridge.worker.journal import Journal
from asyncbridge.worker.output import Capture
from asyncbridge.worker.process import SOCKET_FILE
from asyncbridge.worker.recycling import Limits
from asyncbridge.worker.security import UNIX_HOST, bracketed
from asyncbridge.worker.shelf import DEFAULT_RESULTS, Shelf

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from asyncbridge.worker.backend import Backend

__all__ = ["run"]

LOOPBACK = frozenset(["localhost", "127.0.0.1", "::1"])


def run(config: Mapping[str, Any], backend: Backend, listener: socket.socket) -> int:
    """Serve clients until SIGTERM; return the process's exit status."""
    gc.freeze()  # what is imported by now is there for good, and no collection's business
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(config, backend, listener))
    return 0


async def serve(config: Mapping[str, Any], backend: Backend, listener: socket.socket) -> None:
    """Serve clients until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    output = Capture(
        stdout_fd=config["stdout_fd"],
        stderr_fd=config["stderr_fd"],
        words_fd=config["words_fd"],
        lost=end_without_descriptors,
    )
    gpu_thread = GpuThread(on_crash=report_crash)
    gpu_thread.start()
    add_converter(tensors.find)
    # Only the supervisor of a worker that is a client's own has somebody to show it to.
    journal = Journal(config["folder"] if config.get("journal") else None)
    engine = Engine(
        loop=loop,
        executor=gpu_thread,
        backend=backend,
        output=output,
        journal=journal,
        crash_fd=config.get("crash_fd"),
        limits=Limits.of(config.get("recycle")),
        machine=memory_of_machine(),
    )
    arena = open_arena(config.get("shared_memory"))
    app = WorkerApp(
        engine,
        token=config["token"],
        hosts=hosts_of(config),
        arena=arena,
        cache=cache_bytes(config.get("cache")),
        largest=largest_value(config.get("largest_value")),
        lease=config.get("lease") or LEASE_S,
        shelf=Shelf(limit=config.get("results_limit") or DEFAULT_RESULTS),
        callback_hosts=frozenset(config.get("callback_hosts", ())),
    )
    runner = web.AppRunner(app.app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.SockSite(runner, listener, ssl_context=tls_context(config)).start()
    # What is open now stays open, whatever commands do.
    with Descriptors().kept():
        engine.start()
        await stop.wait()
    await app.close()
    await runner.cleanup()
    if arena is not None:
        arena.close()
    if config.get("host") is None:
        remove_socket(config["folder"])
    if not gpu_thread.idle:
        # A command that still runs is not waited for: it may run for hours.
        os._exit(0)


def hosts_of(config: Mapping[str, Any]) -> frozenset[str]:
    """Return what this worker is called in Host headers, beside its bare address."""
    names = {config.get("host") or UNIX_HOST, *config.get("names", ())}
    if names & LOOPBACK:
        names |= LOOPBACK
    return frozenset(map(bracketed, names))


def remove_socket(folder: str) -> None:
    """Take the worker's Unix socket away, as the last thing before the end."""
    Path(folder, SOCKET_FILE).unlink(missing_ok=True)


def tls_context(config: Mapping[str, Any]) -> ssl.SSLContext | None:
    """Return the server's TLS settings, None without a certificate."""
    if config.get("tls_cert") is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(config["tls_cert"], config["tls_key"])
    return context


def report_crash(error: BaseException) -> None:
    """Log what leaked out of a job: a fault of the worker's own."""
    logging.getLogger(__name__).critical("a job crashed in the GPU thread", exc_info=error)

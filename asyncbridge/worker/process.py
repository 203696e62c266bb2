"""The worker's process, a child of the supervisor: socket first, then aiohttp, then Keras."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import faulthandler
import json
import logging
import os
import signal
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

from asyncbridge.worker.backend import Backend, MissingBackend

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["main"]

EXIT_CONFIG = 78
"""Exit status for what the user has to mend first (EX_CONFIG of sysexits.h)."""
PR_SET_PDEATHSIG = 1


def main(config: Mapping[str, Any]) -> int:
    """Run the worker until it is told to stop; returns the exit status.

    Args:
        config: What the supervisor wrote to the standard input: ``token``, ``backend``, the
            ``folder`` of the Unix socket or ``host`` and ``port``, the descriptors of the
            captured output.
    """
    die_with_supervisor(config.get("supervisor_pid"))
    if (tail := config.get("tail_fd")) is not None:
        faulthandler.enable(file=int(tail))
    backend = Backend(config.get("backend"))
    try:
        backend.check()
        listener = listen(config)
    except (MissingBackend, OSError) as error:
        print(f"asyncbridge worker: {error}", file=sys.stderr, flush=True)
        return EXIT_CONFIG
    runner = loop_factory()
    with asyncio.Runner(loop_factory=runner) as loop_runner:
        loop_runner.run(serve(config, backend, listener))
    return 0


def listen(config: Mapping[str, Any]) -> socket.socket:
    """Bind the worker's socket; from here on a client can connect, and wait for its answer.

    Raises:
        OSError: The address is in use, or may not be used; the text names it.
    """
    if config.get("host") is None:
        family, address = socket.AF_UNIX, socket_path(config)
        remove_stale(address)
    else:
        info = socket.getaddrinfo(config["host"], config["port"], type=socket.SOCK_STREAM)[0]
        family, address = info[0], info[4]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {address}: {error.strerror}") from None
    return listener


def socket_path(config: Mapping[str, Any]) -> Any:
    """Return the path of the worker's Unix socket."""
    return f"{config['folder']}/worker.sock"


def remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on any more: its worker was killed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:
            return


async def serve(config: Mapping[str, Any], backend: Backend, listener: socket.socket) -> None:
    """Serve clients until SIGTERM."""
    # Heavy imports stand behind the listening socket.
    from aiohttp import web

    from asyncbridge.worker.app import WorkerApp
    from asyncbridge.worker.engine import Engine
    from asyncbridge.worker.executor import GpuThread
    from asyncbridge.worker.journal import Journal
    from asyncbridge.worker.output import Capture
    from asyncbridge.worker.security import UNIX_HOST

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    output = Capture(
        stdout_fd=config["stdout_fd"], stderr_fd=config["stderr_fd"], tail_fd=config["tail_fd"]
    )
    gpu_thread = GpuThread(on_crash=report_crash)
    gpu_thread.start()
    journal = Journal(config["folder"])
    engine = Engine(
        loop=loop, executor=gpu_thread, backend=backend, output=output, journal=journal
    )
    host = config.get("host")
    hosts = [UNIX_HOST] if host is None else [f"{host}:{config['port']}"]
    app = WorkerApp(engine, token=config["token"], hosts=frozenset(hosts))
    runner = web.AppRunner(app.app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.SockSite(runner, listener, ssl_context=tls_context(config)).start()
    engine.start()
    await stop.wait()
    await runner.cleanup()
    if host is None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(socket_path(config))
    if not gpu_thread.idle:
        # A command that still runs is not waited for: it may run for hours.
        os._exit(0)


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


def loop_factory() -> Any:
    """Return uvloop's loop factory where it is installed, else asyncio's."""
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop


def die_with_supervisor(supervisor_pid: int | None) -> None:
    """Ask the kernel to kill this process when its supervisor ends, where it can.

    The supervisor has one thread only, so "when the parent's thread ends" means its end.
    """
    if supervisor_pid is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor_pid:  # it ended before the call
        os._exit(0)


if __name__ == "__main__":
    with open(0, "rb", buffering=0, closefd=False) as standard_input:
        line = standard_input.readline()
    raise SystemExit(main(json.loads(line)))

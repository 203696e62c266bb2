"""The worker's process, a child of the supervisor: socket first, then aiohttp, then Keras."""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import functools
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncbridge.worker.backend import Backend, MissingBackend

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SOCKET_FILE", "main"]

EXIT_CONFIG = 78
"""Exit status for what the user has to mend first (EX_CONFIG of sysexits.h)."""
PR_SET_PDEATHSIG = 1
SOCKET_FILE = "worker.sock"
"""The Unix socket's name, in the worker's folder."""


def main(config: Mapping[str, Any]) -> int:
    """Run the worker until it is told to stop; returns the exit status.

    Args:
        config: What the supervisor wrote to the standard input: ``token``, ``backend``, the
            ``folder`` of the Unix socket or ``host`` and ``port``, the descriptors of the
            captured output.
    """
    die_with_supervisor(config.get("supervisor_pid"))
    close_input()
    if (crash := config.get("crash_fd")) is not None:
        faulthandler.enable(file=int(crash))
    signal.signal(signal.SIGTERM, functools.partial(end_early, config))
    backend = Backend(config.get("backend"))
    try:
        backend.check()
        listener = listen(config)
    except (MissingBackend, OSError) as error:
        sys.stderr.write(f"asyncbridge worker: {error}\n")
        sys.stderr.flush()
        return EXIT_CONFIG
    # Behind the listening socket, for it takes 0.2 s: a client may connect meanwhile.
    from asyncbridge.worker.service import run  # noqa: PLC0415

    return run(config, backend, listener)


def close_input() -> None:
    """Let code that asks for input meet its end: nobody types here, and it would wait for ever."""
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)


def end_early(config: Mapping[str, Any], *_: object) -> None:
    """Handle a SIGTERM that comes before the loop does."""
    if config.get("host") is None:
        Path(config["folder"], SOCKET_FILE).unlink(missing_ok=True)
    os._exit(0)


def listen(config: Mapping[str, Any]) -> socket.socket:
    """Bind the worker's socket; from here on a client can connect, and wait for its answer.

    Raises:
        OSError: The address is in use, or may not be used; the text names it.
    """
    address: Any
    if config.get("host") is None:
        family, address = socket.AF_UNIX, f"{config['folder']}/{SOCKET_FILE}"
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
        taken = error.errno == errno.EADDRINUSE
        why = "a worker, or another program, listens there already" if taken else error.strerror
        raise OSError(error.errno, f"cannot listen on {address}: {why}") from None
    return listener


def remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on any more: its worker was killed."""
    if not Path(path).is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
        except OSError:
            return


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

"""Workers that somebody else has started, and proxies in front of them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.limits import HANG_S

__all__ = ["REPOSITORY", "StandingWorker", "TcpWorker"]

REPOSITORY = str(Path(__file__).resolve().parents[2])
WORKER_HOST, PROXY_HOST = "127.0.0.1", "127.0.0.2"
"""One port, two addresses: a worker knows itself by its port."""


class StandingWorker:
    """A worker without Keras that waits for clients.

    Args:
        folder: Its own; it is made.
        arguments: More for its command line.

    Attributes:
        process: Its supervisor.
        token: Its secret.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "asyncbridge.worker", "--backend", "none",
             "--folder", str(folder), *arguments],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": REPOSITORY},
        )  # fmt: skip
        assert self.process.stderr is not None
        self.process.stderr.readline()  # it says where it listens, once it does
        self.token = (folder / "token").read_text().strip()
        self.url = f"unix://{folder}/worker.sock"

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.communicate(timeout=HANG_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class TcpWorker(StandingWorker):
    """One that listens on TCP.

    Attributes:
        back: Where it listens.
        front: Where a proxy may listen for it.
        url: The proxy's address.
    """

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.back = (WORKER_HOST, port)
        self.front = (PROXY_HOST, port)
        address = ("--host", WORKER_HOST, "--port", str(port), "--name", PROXY_HOST)
        super().__init__(folder, *address)
        self.url = f"http://{PROXY_HOST}:{port}"


def free_port() -> int:
    """Return a port that nobody listens on at either address."""
    with socket.socket() as one, socket.socket() as other:
        one.bind((WORKER_HOST, 0))
        port: int = one.getsockname()[1]
        other.bind((PROXY_HOST, port))
    return port

"""Workers that somebody else has started, and proxies in front of them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["REPOSITORY", "TcpWorker", "tcp_worker"]

REPOSITORY = str(Path(__file__).resolve().parents[2])
WORKER_HOST, PROXY_HOST = "127.0.0.1", "127.0.0.2"
"""One port, two addresses: a worker knows itself by its port."""


class TcpWorker:
    """A worker on TCP.

    Attributes:
        back: Where it listens.
        front: Where a proxy may listen for it.
        token: Its secret.
        process: Its supervisor.
    """

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.back = (WORKER_HOST, port)
        self.front = (PROXY_HOST, port)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "asyncbridge.worker", "--backend", "none",
             "--folder", str(folder), "--host", WORKER_HOST, "--port", str(port),
             "--name", PROXY_HOST],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": REPOSITORY},
        )  # fmt: skip
        assert self.process.stderr is not None
        self.process.stderr.readline()  # it says where it listens, once it does
        self.token = (folder / "token").read_text().strip()

    @property
    def url(self) -> str:
        """The proxy's address, for ``connect``."""
        return f"http://{PROXY_HOST}:{self.front[1]}"

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.communicate(timeout=20)


@contextmanager
def tcp_worker(folder: Path) -> Iterator[TcpWorker]:
    """Start a worker on TCP, for as long as the block lasts."""
    worker = TcpWorker(folder)
    try:
        yield worker
    finally:
        worker.stop()


def free_port() -> int:
    """Return a port that nobody listens on at either address."""
    with socket.socket() as one, socket.socket() as other:
        one.bind((WORKER_HOST, 0))
        port: int = one.getsockname()[1]
        other.bind((PROXY_HOST, port))
    return port

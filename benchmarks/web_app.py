"""How long the web service's health check takes, fifty at a time, while its worker trains."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from benchmarks.measure import ROOT, Figure, percentile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

CONCURRENT = 50
BAR_MS = 20.0
CHECK = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Connection:
    """A kept-alive connection that asks with hardly any work of its own.

    A client library would take longer for fifty answers than the service does, on a machine
    whose cores train meanwhile.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return the answer's status and body."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        return int(head[9:12]), await self._reader.readexactly(length)

    async def check(self, *, training: bool) -> float:
        """Ask for the service's health; return the milliseconds it took.

        Raises:
            RuntimeError: The service is not well, or does not train when it should.
        """
        before = time.perf_counter()
        status, body = await self.ask(CHECK)
        took = (time.perf_counter() - before) * 1000
        run = json.loads(body)["training"]
        if status != 200 or training != (run is not None and run["state"] == "running"):
            raise RuntimeError(f"not what was to be measured: {status} {body.decode()}")
        return took

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@asynccontextmanager
async def service() -> AsyncGenerator[int]:
    """Run the example as its reader does; yield its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", str(ROOT / "examples" / "web_app.py"),
        env={**os.environ, "PORT": "0", "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        greeting = (await process.stdout.readline()).decode()
        yield int(greeting.split()[3].rpartition(":")[2])
    finally:
        process.terminate()
        await process.communicate()


async def ready(connection: Connection) -> None:
    """Wait until the worker has imported Keras."""
    while json.loads((await connection.ask(CHECK))[1])["worker"]["state"] != "ready":  # noqa: ASYNC110 - the service is asked
        await asyncio.sleep(0.05)


async def train(connection: Connection, epochs: int) -> None:
    """Start a training, and wait until it is under way."""
    body = json.dumps({"epochs": epochs}).encode()
    head = (
        "POST /train HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    status, answer = await connection.ask(head.encode() + body)
    if status != 202:
        raise RuntimeError(f"no training was started: {status} {answer.decode()}")
    while json.loads((await connection.ask(CHECK))[1])["training"]["epochs_done"] == 0:  # noqa: ASYNC110 - the service is asked
        await asyncio.sleep(0.05)


async def checks(connections: Sequence[Connection], rounds: int, *, training: bool) -> list[float]:
    """Return the milliseconds of every check: in each round, one on every connection at once."""
    took: list[float] = []
    for _ in range(rounds):
        took += await asyncio.gather(*(one.check(training=training) for one in connections))
        await asyncio.sleep(0.1)  # the next fifty, not a flood
    return took


async def run(rounds: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of the checks of a service that trains, and of one that does not."""
    gc.freeze()  # the pauses of this process are not the service's
    async with service() as port:
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONCURRENT)]
        connections = [Connection(*pair) for pair in opened]
        await ready(connections[0])
        idle = await checks(connections, rounds, training=False)
        await train(connections[0], epochs=1000)
        busy = await checks(connections, rounds, training=True)
        for connection in connections:
            connection.close()
    return busy, idle


def measure(quick: bool) -> list[Figure]:
    """Measure rounds of fifty checks at once; beside them, those of a service that rests."""
    runs = [asyncio.run(run(rounds=20 if quick else 60)) for _ in range(2 if quick else 5)]
    # All checks of all services together: one slow round is more than one check in a hundred of
    # a single service.
    busy, idle = ([took for one in side for took in one] for side in zip(*runs, strict=True))
    return [
        Figure(
            name=f"{CONCURRENT} health checks at once while it {state}, {name}",
            unit="ms",
            values=(percentile(took, share),),
            bar=bar if state == "trains" else None,
        )
        for state, took in (("trains", busy), ("rests", idle))
        for name, share, bar in (("p50", 0.5, None), ("p99", 0.99, BAR_MS), ("max", 1.0, None))
    ]

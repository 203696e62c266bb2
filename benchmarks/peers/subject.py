"""Measure one bridge in this process: ``python -m benchmarks.peers.subject NAME [--quick]``.

The last line that it prints is JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peers.contract import BRIDGES, Peer, Subject, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Awaitable

PATIENCE = 15.0
"""Seconds after which a bridge counts as one that does not tell."""
STRUCTURED = np.array([(1, 0.5)], dtype=[("a", "<i4"), ("b", "<f8")])
VALUES: dict[str, object] = {
    "-0.0": -0.0,
    "nan": float("nan"),
    "tuple": (1, 2.5, "three"),
    "2**100": 2**100,
    "datetime64": np.datetime64("2001-02-03T04:05:06.789"),
    "structured array": STRUCTURED,
}


async def measure(name: str, *, quick: bool) -> dict[str, Any]:
    """Open the bridge, measure all, close it."""
    subject: Subject = import_module(BRIDGES[name].module).Bridge()
    start = time.perf_counter()
    await subject.open()
    found: dict[str, Any] = {"open_s": time.perf_counter() - start}
    try:
        found |= await measure_open(subject, BRIDGES[name], quick=quick)
    finally:
        try:
            await asyncio.wait_for(subject.close(), PATIENCE)
        except Exception as error:  # noqa: BLE001 - its worker was killed: what it says, it says
            found["close"] = repr(error)
    return found


async def measure_open(subject: Subject, peer: Peer, *, quick: bool) -> dict[str, Any]:
    """Measure a bridge that is open; in the end its worker is dead."""
    count, mebibytes = processes(os.environ["PEERS_MARK"])
    found: dict[str, Any] = {"processes": count, "all_mib": mebibytes}
    found["trip_us"] = await trips(subject, 200 if quick else 1000)
    found["pipelined_per_s"] = await pipelined(subject, peer.pipelined)
    found["array_s"], found["copy_s"] = await arrays(subject, 1 if quick else 5)
    found["values"] = {label: await exact(subject, value) for label, value in VALUES.items()}
    found["reports"] = await reports(subject)
    found["versions"] = {need: version(need) for need in (*peer.needs, "numpy")}
    return found | await endings(subject)


async def trips(subject: Subject, count: int) -> float:
    """Return the median of single round trips, in microseconds."""
    seconds = []
    for index in range(count + count // 10):
        start = time.perf_counter()
        await subject.trip()
        if index >= count // 10:
            seconds.append(time.perf_counter() - start)
    return 1e6 * statistics.median(seconds)


async def pipelined(subject: Subject, count: int) -> float:
    """Return the commands of a second, when many are sent before any is waited for."""
    await subject.pipelined(count // 10)
    start = time.perf_counter()
    await subject.pipelined(count)
    return count / (time.perf_counter() - start)


async def arrays(subject: Subject, count: int) -> tuple[float, float]:
    """Return the least seconds for 64 MiB there and back, and for one copy in this process.

    The first trip is not counted. What comes back is read: a page that is only mapped is not here.
    """
    array = np.random.default_rng(7).random(2**23)
    expected, target = array[::512].sum(), np.zeros_like(array)
    crossing, copying = [], []
    for _ in range(count + 1):
        start = time.perf_counter()
        assert (await subject.array(array))[::512].sum() == expected
        crossing.append(time.perf_counter() - start)
        start = time.perf_counter()
        np.copyto(target, array)
        copying.append(time.perf_counter() - start)
    return min(crossing[1:]), min(copying[1:])


async def exact(subject: Subject, value: object) -> str:
    """Tell how a value comes back: ``same``, or what has become of it."""
    try:
        back = await asyncio.wait_for(subject.value(value), PATIENCE)
    except Exception as error:  # noqa: BLE001 - each bridge has errors of its own
        return type(error).__name__
    same = type(back) is type(value) and repr(back) == repr(value)
    return "same" if same else f"{back!r}"


async def reports(subject: Subject) -> dict[str, Any]:
    """Tell how many of 100 reports came, and how late."""
    try:
        late = await subject.reports(100)
    except UnsupportedError as error:
        return {"unsupported": str(error)}
    return {"came": len(late), "median_us": 1e6 * statistics.median(late)}


async def endings(subject: Subject) -> dict[str, Any]:
    """Cancel a command that runs, then kill the worker in mid-command.

    Tells how soon and in what words the client knows. After a cancelled command another one runs.
    """
    pid = await subject.pid()
    with tempfile.TemporaryDirectory() as folder:
        hanging = await begin(subject, f"{folder}/first", to_cancel=True)
        start = time.perf_counter()
        try:
            await subject.cancel(hanging)
        except UnsupportedError as error:
            cancelled: dict[str, Any] = {"unsupported": str(error)}
        else:
            cancelled = await ending(hanging, start)
            await subject.trip()
            hanging = await begin(subject, f"{folder}/second", to_cancel=False)
        start = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        return {"cancelled": cancelled, "killed": await ending(hanging, start)}


async def begin(subject: Subject, path: str, *, to_cancel: bool) -> Awaitable[Any]:
    """Start a long command; return when it runs."""
    hanging = await subject.hang(path, to_cancel=to_cancel)
    while not Path(path).exists():  # noqa: ASYNC110, ASYNC240 - the worker can tell in no other way
        await asyncio.sleep(0.005)
    return hanging


async def ending(hanging: Awaitable[Any], start: float) -> dict[str, Any]:
    """Wait for the end of what hangs; tell the seconds since the start, and the error."""
    try:
        async with asyncio.timeout(PATIENCE):
            await hanging
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - each has its own
        seconds = time.perf_counter() - start
        said = " ".join(str(error).split())[:300]
        return {"seconds": seconds, "error": type(error).__name__, "said": said}
    raise RuntimeError("a command of 60 s has ended by itself")


# --- the process -------------------------------------------------------------------------


def processes(mark: str) -> tuple[int, float]:
    """Return how many processes have the mark in their environment, and their memory in MiB.

    A page that several of them share counts once.
    """
    count, kibibytes = 0, 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"PEERS_MARK={mark}".encode() not in (process / "environ").read_bytes():
                continue
            rollup = (process / "smaps_rollup").read_text(encoding="utf-8")
        except OSError:  # it has ended, or is not ours
            continue
        count += 1
        kibibytes += int(rollup.split("\nPss:")[1].split()[0])
    return count, kibibytes / 1024


if __name__ == "__main__":
    answer = asyncio.run(measure(sys.argv[1], quick="--quick" in sys.argv))
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    sys.stdout.flush()
    os._exit(0)  # what a bridge whose worker was killed still waits for is not measured

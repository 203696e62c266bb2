from __future__ import annotations

import asyncio
import threading

import pytest

from asyncbridge.testing import FakeWorker
from asyncbridge.testing.executors import ThreadExecutor

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


async def test_jobs_run_in_one_thread() -> None:
    """In the order of their submission; those from before there was a loop, by hand."""
    executor = ThreadExecutor()
    names: list[str] = []
    done = threading.Event()
    executor.submit(lambda: names.append(threading.current_thread().name))
    executor.run_all()
    executor.loop = asyncio.get_running_loop()
    executor.submit(lambda: names.append(threading.current_thread().name))
    executor.submit(done.set)
    assert await asyncio.to_thread(done.wait, 20)
    executor.stop()
    assert names == [threading.current_thread().name, "asyncbridge-gpu"]


async def test_a_worker_with_a_thread() -> None:
    """Its commands run in that, one after another, also when it is another process."""
    code = "import threading\nthreading.current_thread().name"
    worker = FakeWorker(threaded=True)
    async with worker.connect() as bridge:
        assert await bridge.send(code) == "asyncbridge-gpu"
    worker.restart()
    async with worker.connect() as bridge:
        assert await bridge.send(code) == "asyncbridge-gpu"

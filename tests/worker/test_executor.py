"""The GPU thread, its double for tests, and the courier to the loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import pytest

from asyncbridge.errors import WorkerError
from asyncbridge.worker.executor import Courier, Executor, GpuThread, StepExecutor
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT_S = 10.0


@pytest.fixture
def crashes() -> list[BaseException]:
    """What leaked out of the jobs."""
    return []


@pytest.fixture
def thread(crashes: list[BaseException]) -> Iterator[GpuThread]:
    """A running GPU thread, ended after the test."""
    thread = GpuThread(on_crash=crashes.append)
    thread.start()
    yield thread
    thread.stop()
    assert thread.join(WAIT_S)


def finish(thread: GpuThread) -> None:
    """Wait until all that was submitted so far has run."""
    done = threading.Event()
    thread.submit(done.set)
    assert done.wait(WAIT_S)


def test_one_thread_in_order(thread: GpuThread) -> None:
    """Jobs run one after another, in the order of their submission, in the one daemon thread."""
    ran: list[tuple[int, threading.Thread]] = []

    def note(number: int) -> None:
        ran.append((number, threading.current_thread()))

    for number in range(100):
        thread.submit(partial(note, number))
    finish(thread)

    assert [number for number, _ in ran] == list(range(100))
    (only,) = {runner for _, runner in ran}
    assert (only.name, only.daemon, only.ident) == ("asyncbridge-gpu", True, thread.ident)


def test_submitted_before_start(crashes: list[BaseException]) -> None:
    """Jobs may be submitted before the thread starts; until then it has no identifier."""
    thread = GpuThread(on_crash=crashes.append)
    ran: list[int] = []
    thread.submit(lambda: ran.append(1))
    assert thread.ident is None
    assert not thread.idle

    thread.start()
    thread.stop()

    assert thread.join(WAIT_S)
    assert ran == [1]


@pytest.mark.parametrize(
    "error", [ValueError("v"), SystemExit(1), KeyboardInterrupt(), GeneratorExit()]
)
def test_crash(thread: GpuThread, crashes: list[BaseException], error: BaseException) -> None:
    """Whatever a job raises is reported, and the jobs after it run."""

    def crash() -> None:
        raise error

    thread.submit(crash)
    finish(thread)

    assert crashes == [error]


def test_crash_of_the_report(capfd: pytest.CaptureFixture[str]) -> None:
    """A report that raises goes to the standard error, and the jobs after it run."""

    def report(error: BaseException) -> None:
        raise SystemExit("from the report")

    thread = GpuThread(on_crash=report)
    thread.start()
    thread.submit(partial(delattr, report, "missing"))
    finish(thread)
    thread.stop()

    assert thread.join(WAIT_S)
    printed = capfd.readouterr().err
    assert "AttributeError: 'function' object has no attribute 'missing'" in printed
    assert "SystemExit: from the report" in printed


def test_idle(thread: GpuThread) -> None:
    """The thread is idle when nothing is queued and nothing runs."""
    started, go_on = threading.Event(), threading.Event()

    def job() -> None:
        started.set()
        go_on.wait(WAIT_S)

    thread.submit(job)
    assert not thread.idle
    assert started.wait(WAIT_S)
    assert not thread.idle
    go_on.set()
    thread.stop()
    assert thread.join(WAIT_S)
    assert thread.idle


def test_stop(thread: GpuThread) -> None:
    """Stop runs what is queued, takes nothing more, and may be called again."""
    go_on = threading.Event()
    ran: list[str] = []
    thread.submit(lambda: ran.append(f"waited: {go_on.wait(WAIT_S)}"))
    thread.submit(lambda: ran.append("queued"))
    thread.stop()
    thread.stop()
    with pytest.raises(WorkerError, match="was stopped"):
        thread.submit(lambda: ran.append("too late"))
    assert not thread.join(0)
    go_on.set()

    assert thread.join(WAIT_S)
    assert ran == ["waited: True", "queued"]


def test_job_is_let_go_of(thread: GpuThread, crashes: list[BaseException]) -> None:
    """The thread keeps no job, and no data of it, while it waits for the next."""

    class Job:
        def __call__(self) -> None:
            pass

    # The second one says that the thread is done with the first.
    job = Job()
    held = weakref.ref(job)
    gone = threading.Event()
    weakref.finalize(job, gone.set)
    thread.submit(job)
    del job

    assert gone.wait(WAIT_S)
    assert held() is None


def test_submitting_from_many_threads(thread: GpuThread) -> None:
    """Each job runs once, and each submitter's jobs in its order, however many submit."""
    ran: list[tuple[int, int]] = []

    def submit(submitter: int) -> None:
        for number in range(200):
            thread.submit(partial(ran.append, (submitter, number)))

    submitters = [threading.Thread(target=submit, args=(number,)) for number in range(4)]
    for submitter in submitters:
        submitter.start()
    for submitter in submitters:
        submitter.join(WAIT_S)
    finish(thread)

    assert sorted(ran) == [(who, number) for who in range(4) for number in range(200)]
    for who in range(4):
        assert [number for each, number in ran if each == who] == list(range(200))


def test_steps() -> None:
    """The double runs a job when it is told to, one at a time."""
    executor = StepExecutor()
    ran: list[int] = []
    for number in range(3):
        executor.submit(partial(ran.append, number))
    assert (executor.pending, executor.idle, ran) == (3, False, [])

    assert executor.step()
    assert (executor.pending, ran) == (2, [0])
    assert executor.run_all() == 2
    assert (executor.pending, executor.idle, ran) == (0, True, [0, 1, 2])
    assert not executor.step()
    assert executor.run_all() == 0


def test_steps_of_steps() -> None:
    """Jobs that a job submits are run too; while one runs, the double is not idle."""
    executor = StepExecutor()
    seen: list[bool] = []
    executor.submit(lambda: executor.submit(lambda: seen.append(executor.idle)))

    assert executor.run_all() == 2
    assert seen == [False]
    assert executor.idle


def test_step_crash(crashes: list[BaseException]) -> None:
    """What leaks out of a job is raised by the step, or reported where that is asked for."""

    def crash() -> None:
        raise SystemExit(1)

    raising, reporting = StepExecutor(), StepExecutor(on_crash=crashes.append)
    for executor in (raising, reporting):
        executor.submit(crash)
    with pytest.raises(SystemExit):
        raising.step()

    assert raising.idle
    assert reporting.step()
    assert [type(error) for error in crashes] == [SystemExit]


def test_step_stop() -> None:
    """A stopped double takes nothing more, as the thread does; what is queued can be run."""
    executor = StepExecutor()
    executor.submit(lambda: None)
    executor.stop()

    with pytest.raises(WorkerError, match="was stopped"):
        executor.submit(lambda: None)
    assert executor.run_all() == 1


def test_contract(crashes: list[BaseException]) -> None:
    """The thread and its double both fit the contract."""
    executors: list[Executor] = [GpuThread(on_crash=crashes.append), StepExecutor()]

    assert [executor.idle for executor in executors] == [True, True]


def in_thread(*calls: Callable[[], None]) -> None:
    """Make each call in a thread of its own, and wait for their end."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()


@pytest.mark.asyncio
async def test_one_wake_up() -> None:
    """What is sent before the loop comes round arrives in order, in one batch."""
    batches: list[list[int]] = []
    arrived = asyncio.Event()

    def deliver(batch: list[int]) -> None:
        batches.append(batch)
        arrived.set()

    courier = Courier(asyncio.get_running_loop(), deliver)

    def send() -> None:
        for number in range(1000):
            courier.send(number)

    in_thread(send)
    assert batches == []
    await arrived.wait()

    assert batches == [list(range(1000))]


@pytest.mark.asyncio
async def test_no_lost_wake_up() -> None:
    """Whatever several threads send while the loop takes, all of it arrives, each in its order."""
    senders, count = 4, 5000
    received: list[tuple[int, int]] = []
    complete = asyncio.Event()

    def deliver(batch: list[tuple[int, int]]) -> None:
        assert batch
        received.extend(batch)
        if len(received) == senders * count:
            complete.set()

    courier = Courier(asyncio.get_running_loop(), deliver)

    def send(sender: int) -> None:
        for number in range(count):
            courier.send((sender, number))

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(senders)]
    for thread in threads:
        thread.start()
    async with asyncio.timeout(HANG_S):
        await complete.wait()
    for thread in threads:
        thread.join(WAIT_S)

    for sender in range(senders):
        assert [number for who, number in received if who == sender] == list(range(count))


class Interrupted(deque[str]):
    """Items, among which others come at the worst moment: when they have been counted."""

    def __init__(self) -> None:
        super().__init__()
        self.when_counted: list[Callable[[], None]] = []

    def __len__(self) -> int:
        count = super().__len__()
        while self.when_counted:
            self.when_counted.pop()()
        return count


@pytest.mark.asyncio
async def test_sent_while_taken() -> None:
    """What is sent while the loop takes a batch wakes it again."""
    batches: list[list[str]] = []
    done = asyncio.Event()

    def deliver(batch: list[str]) -> None:
        batches.append(batch)
        if "late" in batch:
            done.set()

    courier = Courier(asyncio.get_running_loop(), deliver)
    items = courier._items = Interrupted()
    items.when_counted.append(lambda: in_thread(partial(courier.send, "late")))
    courier.send("early")
    async with asyncio.timeout(WAIT_S):
        await done.wait()

    assert batches == [["early"], ["late"]]


@pytest.mark.asyncio
async def test_each_item_alone() -> None:
    """An item that is sent only when the one before has arrived wakes the loop each time."""
    arrived = threading.Semaphore(0)
    batches: list[list[int]] = []

    def deliver(batch: list[int]) -> None:
        batches.append(batch)
        arrived.release()

    courier = Courier(asyncio.get_running_loop(), deliver)

    def send() -> None:
        for number in range(500):
            courier.send(number)
            assert arrived.acquire(timeout=WAIT_S)

    await asyncio.to_thread(send)

    assert batches == [[number] for number in range(500)]


@pytest.mark.asyncio
async def test_sent_while_delivered() -> None:
    """What a delivery itself sends arrives in a later batch."""
    batches: list[list[str]] = []
    done = asyncio.Event()

    def deliver(batch: list[str]) -> None:
        batches.append(batch)
        if batch == ["first"]:
            courier.send("second")
        else:
            done.set()

    courier = Courier(asyncio.get_running_loop(), deliver)
    courier.send("first")
    await done.wait()

    assert batches == [["first"], ["second"]]


@pytest.mark.asyncio
async def test_delivery_that_raises() -> None:
    """A delivery that raises goes to the loop's handler; what is sent after it arrives."""
    loop = asyncio.get_running_loop()
    problems: list[object] = []
    loop.set_exception_handler(lambda _loop, context: problems.append(context["exception"]))
    arrived = asyncio.Event()
    error = ValueError("delivery")

    def deliver(batch: list[str]) -> None:
        if batch == ["bad"]:
            loop.call_soon(courier.send, "good")
            raise error
        arrived.set()

    courier = Courier(loop, deliver)
    courier.send("bad")
    await arrived.wait()

    assert problems == [error]


class Item:
    """What can be held by a weak reference."""


def test_closed_loop() -> None:
    """After the loop has closed, items are let go of without a word, also those on the way."""
    loop = asyncio.new_event_loop()
    delivered: list[Item] = []
    courier = Courier(loop, delivered.extend)
    items = [Item(), Item()]
    held = [weakref.ref(item) for item in items]
    courier.send(items[0])
    loop.close()
    courier.send(items[1])

    items.clear()
    gc.collect()

    assert [ref() for ref in held] == [None, None]
    assert delivered == []


def test_loop_closes_meanwhile() -> None:
    """A loop that closes between the look at it and the wake-up is as closed as any."""

    class Late(asyncio.SelectorEventLoop):
        told = False

        def is_closed(self) -> bool:
            return self.told and super().is_closed()

    loop = Late()
    courier: Courier[int] = Courier(loop, lambda batch: None)
    loop.close()
    with pytest.raises(RuntimeError):
        loop.call_soon_threadsafe(print)
    courier.send(1)
    loop.told = True

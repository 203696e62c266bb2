"""The bounded queue ahead of the GPU thread, stepped by hand."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from asyncbridge.protocol.limits import Bound
from asyncbridge.protocol.messages import Command, Fault, Payload, Release
from asyncbridge.tasks import spawn
from asyncbridge.worker.executor import StepExecutor
from asyncbridge.worker.holding import Hold
from asyncbridge.worker.lines import Dropping, Line
from asyncbridge.worker.peer import Peer
from asyncbridge.worker.queue import CommandQueue, FailureLog, Job, JobState

NOBODY = cast(Peer, None)


def fault(text: str = "no") -> Fault:
    """Return some failure."""
    return Fault(type="ValueError", message=text)


def job(number: int = 1, size: int = 1) -> Job:
    """Return a job that counts for ``size`` bytes."""
    return Job(NOBODY, Command(id=number, code="x" * size), FailureLog())


def ranked(line: Line, number: int, priority: int = 0, after: tuple[int, ...] = ()) -> Job:
    """Return a job of a session."""
    command = Command(id=number, code="x", priority=priority, after=after)
    return Job(NOBODY, command, FailureLog(), line=line)


async def turns() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


class Bench:
    """A queue with its executor, and what has run."""

    def __init__(self, count: int = 10, size: int = 100) -> None:
        self.executor = StepExecutor()
        self.ran: list[int] = []
        self.queue = CommandQueue(self.executor, self._run, Bound(count=count, size=size))

    def _run(self, job: Job) -> None:
        self.ran.append(job.command.id)

    def putting(self, job: Job) -> asyncio.Task[None]:
        """Put a job in a task of its own."""
        return spawn(self.queue.put(job), name=f"put-{job.command.id}")


# --- jobs --------------------------------------------------------------------------------


def test_a_new_job() -> None:
    """A job is queued, has its command's bindings, and counts for its source and those."""
    bindings = Payload(header={}, size=30)
    made = Job(NOBODY, Command(id=1, code="abcd", bindings=bindings), FailureLog())
    assert (made.state, made.bindings, made.size) == (JobState.QUEUED, bindings, 34)


# --- the queue ---------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_in_order() -> None:
    """Jobs run in the order in which they were put, and make room once they are finished."""
    bench = Bench()
    jobs = [job(number, size=number) for number in (1, 2, 3)]
    for one in jobs:
        await bench.queue.put(one)
    assert (bench.queue.count, bench.queue.size) == (3, 6)
    assert bench.executor.step()
    states = [one.state for one in jobs]
    bench.queue.finished(jobs[0])
    assert [*states, jobs[0].state] == [
        JobState.RUNNING,
        JobState.QUEUED,
        JobState.QUEUED,
        JobState.FINISHED,
    ]
    assert (bench.queue.count, bench.queue.size) == (2, 5)
    bench.executor.run_all()
    assert bench.ran == [1, 2, 3]


@pytest.mark.asyncio
async def test_put_at_once() -> None:
    """A job that finds room is put without a wait, and one that finds none is not put."""
    bench = Bench(count=1)
    first, second = job(1), job(2)
    assert [bench.queue.put_now(first), bench.queue.put_now(second)] == [True, False]
    assert (first in bench.queue, second in bench.queue) == (True, False)
    bench.executor.run_all()
    assert bench.ran == [1]


@pytest.mark.asyncio
async def test_cancelled_in_the_queue() -> None:
    """A job that is taken out never runs, and makes room at once."""
    bench = Bench()
    first, second = job(1), job(2)
    await bench.queue.put(first)
    await bench.queue.put(second)
    assert bench.queue.cancel(first)
    assert (first.state, bench.queue.count) == (JobState.CANCELLED, 1)
    bench.executor.run_all()
    assert bench.ran == [2]


@pytest.mark.asyncio
async def test_cancelled_too_late() -> None:
    """A job that the GPU thread has is not taken out, while it runs and afterwards."""
    bench = Bench()
    one = job()
    await bench.queue.put(one)
    bench.executor.step()
    assert not bench.queue.cancel(one)
    states = [one.state]
    bench.queue.finished(one)
    assert not bench.queue.cancel(one)
    assert [*states, one.state] == [JobState.RUNNING, JobState.FINISHED]


@pytest.mark.asyncio
async def test_cancelled_twice() -> None:
    """A job is taken out once."""
    bench = Bench()
    one = job()
    await bench.queue.put(one)
    assert bench.queue.cancel(one)
    assert not bench.queue.cancel(one)
    assert bench.queue.count == 0


@pytest.mark.asyncio
async def test_cancelled_before_it_was_put() -> None:
    """A job that is cancelled on its way to the queue is not put in."""
    bench = Bench()
    one = job()
    assert bench.queue.cancel(one)
    await bench.queue.put(one)
    assert (bench.queue.count, bench.executor.pending) == (0, 0)


@pytest.mark.parametrize(("count", "size"), [(1, 100), (10, 5)])
@pytest.mark.asyncio
async def test_put_waits_for_room(count: int, size: int) -> None:
    """A job beyond a bound waits until one that is in the queue is done with."""
    bench = Bench(count, size)
    first, second = job(1, size=3), job(2, size=3)
    await bench.queue.put(first)
    putting = bench.putting(second)
    await turns()
    assert not putting.done()
    bench.executor.run_all()
    assert bench.ran == [1]
    bench.queue.finished(first)
    await turns()
    assert putting.done()
    bench.executor.run_all()
    assert bench.ran == [1, 2]


@pytest.mark.asyncio
async def test_a_cancel_makes_room() -> None:
    """A job that is taken out lets in one that waits."""
    bench = Bench(count=1)
    first, second = job(1), job(2)
    await bench.queue.put(first)
    putting = bench.putting(second)
    await turns()
    bench.queue.cancel(first)
    await turns()
    assert putting.done()
    bench.executor.run_all()
    assert bench.ran == [2]


@pytest.mark.asyncio
async def test_those_that_wait_go_in_order() -> None:
    """First come, first served: also those that wait for room."""
    bench = Bench(count=1)
    jobs = [job(number) for number in range(1, 5)]
    await bench.queue.put(jobs[0])
    for one in jobs[1:]:
        bench.putting(one)
    await turns()
    for one in jobs:
        bench.executor.run_all()
        bench.queue.finished(one)
        await turns()
    assert bench.ran == [1, 2, 3, 4]


@pytest.mark.asyncio
async def test_nobody_pushes_in() -> None:
    """Who comes when room is made stands behind those that have waited for it."""
    bench = Bench(count=1)
    first, second, third = job(1), job(2), job(3)
    await bench.queue.put(first)
    bench.putting(second)
    await turns()
    bench.executor.run_all()
    bench.putting(third)
    bench.queue.finished(first)
    await turns()
    bench.executor.run_all()
    assert bench.ran == [1, 2]


@pytest.mark.asyncio
async def test_one_that_leaves_makes_room_for_many() -> None:
    """A large job that goes lets in all the small ones that fit in its place."""
    bench = Bench(count=10, size=10)
    large = job(1, size=10)
    await bench.queue.put(large)
    putting = [bench.putting(job(number, size=3)) for number in (2, 3, 4)]
    await turns()
    bench.queue.cancel(large)
    await turns()
    assert [task.done() for task in putting] == [True, True, True]


@pytest.mark.asyncio
async def test_a_job_cancelled_while_it_waits() -> None:
    """A job that is cancelled while it waits for room leaves that room to the next."""
    bench = Bench(count=1)
    first, second, third = job(1), job(2), job(3)
    await bench.queue.put(first)
    given_up, putting = bench.putting(second), bench.putting(third)
    await turns()
    assert bench.queue.cancel(second)
    bench.executor.run_all()
    bench.queue.finished(first)
    await turns()
    assert given_up.done()
    assert putting.done()
    bench.executor.run_all()
    assert bench.ran == [1, 3]


@pytest.mark.asyncio
async def test_a_waiter_that_is_gone() -> None:
    """A session that ends while its job waits for room leaves that room to the next."""
    bench = Bench(count=1)
    first, third = job(1), job(3)
    await bench.queue.put(first)
    gone, putting = bench.putting(job(2)), bench.putting(third)
    await turns()
    bench.executor.run_all()
    gone.cancel()
    await turns()
    bench.queue.finished(first)
    await turns()
    assert putting.done()


@pytest.mark.asyncio
async def test_a_waiter_that_goes_when_its_turn_comes() -> None:
    """So does one that ends in the very turn in which room is made for it."""
    bench = Bench(count=1)
    first, third = job(1), job(3)
    await bench.queue.put(first)
    gone, putting = bench.putting(job(2)), bench.putting(third)
    await turns()
    bench.executor.run_all()
    bench.queue.finished(first)
    gone.cancel()
    await turns()
    assert gone.cancelled()
    assert putting.done()


@pytest.mark.asyncio
async def test_any_single_job_fits() -> None:
    """A job over the bound of bytes is taken when the queue is empty."""
    bench = Bench(count=10, size=5)
    await bench.queue.put(job(1, size=50))
    assert bench.queue.size == 50


STEPS = st.sampled_from(["put", "put", "put", "run", "finish", "cancel"])


@given(st.lists(STEPS, min_size=8, max_size=40), st.data())
def test_any_order(steps: list[str], data: st.DataObject) -> None:
    """Whatever happens when: bounds hold, order holds, and each job runs or is taken out."""

    async def scenario() -> None:
        bench = Bench(count=2, size=10)
        jobs: list[Job] = []
        for step in [*steps, *["run", "finish"] * (len(steps) + 1)]:
            if step == "put":
                jobs.append(job(len(jobs) + 1, size=data.draw(st.integers(0, 12))))
                bench.putting(jobs[-1])
            elif step == "run":
                bench.executor.step()
            elif step == "finish":
                for one in jobs:
                    if one.state is JobState.RUNNING:
                        bench.queue.finished(one)
                        break
            elif jobs:
                bench.queue.cancel(data.draw(st.sampled_from(jobs)))
            await turns()
            assert bench.queue.count <= 2
            assert bench.queue.size <= 10 or bench.queue.count == 1
        states = {one.command.id: one.state for one in jobs}
        assert set(states.values()) <= {JobState.FINISHED, JobState.CANCELLED}
        assert bench.ran == [n for n, state in states.items() if state is JobState.FINISHED]
        assert (bench.queue.count, bench.queue.size) == (0, 0)

    asyncio.run(scenario())


# --- several sessions, with priorities ----------------------------------------------------


@pytest.mark.asyncio
async def test_priorities_change_the_order_within_a_session() -> None:
    """Its places stay: other sessions wait no longer, and no shorter."""
    bench = Bench(count=10, size=1000)
    mine, other = Line(), Line()
    for number, line, priority in ((1, mine, 0), (2, mine, 0), (10, other, 0), (3, mine, 5)):
        await bench.queue.put(ranked(line, number, priority))
    assert bench.queue.ahead_of(mine) == ([0, 0, 1], 1)
    assert bench.queue.ahead_of(other) == ([2], 3)
    bench.executor.run_all()
    assert bench.ran == [3, 1, 10, 2]


@pytest.mark.asyncio
async def test_given_another_priority() -> None:
    """One that waits changes its place, one that runs does not, one on its way will have it."""
    bench = Bench()
    line = Line()
    jobs = [ranked(line, number) for number in (1, 2, 3)]
    for one in jobs[:2]:
        await bench.queue.put(one)
    bench.executor.step()
    bench.queue.prioritize(jobs[0], 7)
    bench.queue.prioritize(jobs[2], 1)
    await bench.queue.put(jobs[2])
    bench.executor.run_all()
    assert bench.ran == [1, 3, 2]


@pytest.mark.asyncio
async def test_places_of_what_runs_and_of_what_was_cancelled() -> None:
    """A running job counts for others until it has finished, a cancelled one does not."""
    bench = Bench()
    mine, other = Line(), Line()
    jobs = [ranked(mine, 1), ranked(mine, 2), ranked(other, 1)]
    for one in jobs:
        await bench.queue.put(one)
    bench.executor.step()
    assert (bench.queue.ahead_of(mine), bench.queue.ahead_of(other)) == (([0], 1), ([2], 2))
    bench.queue.cancel(jobs[1])
    assert (bench.queue.ahead_of(mine), bench.queue.ahead_of(other)) == (([], 1), ([1], 1))
    bench.queue.finished(jobs[0])
    assert bench.queue.ahead_of(other) == ([0], 0)


@pytest.mark.asyncio
async def test_a_release_among_priorities() -> None:
    """It waits for a low job that was sent before it, though others pass; then it is done."""
    bench = Bench()
    line, dropped = Line(), list[Dropping]()
    low = ranked(line, 1, -1)
    await bench.queue.put(low)
    due = Dropping(names=(), release=Release(), behind=1, drop=dropped.append)
    bench.queue.release(line, Hold(), due)
    await bench.queue.put(ranked(line, 2))
    bench.executor.step()
    bench.executor.step()
    assert (bench.ran, dropped) == ([2], [])
    bench.executor.step()
    assert (bench.ran, dropped) == ([2, 1], [due])


@pytest.mark.asyncio
async def test_a_release_whose_job_is_cancelled() -> None:
    """It is done when the place comes up, empty as it is."""
    bench = Bench()
    line, dropped = Line(), list[Dropping]()
    low = ranked(line, 1, -1)
    await bench.queue.put(low)
    due = Dropping(names=(), release=Release(), behind=1, drop=dropped.append)
    bench.queue.release(line, Hold(), due)
    bench.queue.cancel(low)
    bench.executor.run_all()
    assert (bench.ran, dropped) == ([], [due])


class SessionsMachine(RuleBasedStateMachine):
    """Two sessions put, cancel and move jobs of any priority, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(count=1000, size=100_000)
        self.lines = Line(), Line()
        self.jobs: list[Job] = []

    def waiting(self, line: Line) -> list[Job]:
        """Return a session's jobs that wait, in the order of their sending."""
        return [j for j in self.jobs if j.line is line and j.state is JobState.QUEUED]

    @rule(whose=st.booleans(), priority=st.sampled_from([0, 0, 1, -1]), data=st.data())
    def put(self, whose: bool, priority: int, data: st.DataObject) -> None:
        """A session sends a job, which may depend on any of its own."""
        line = self.lines[whose]
        own = [j.command.id for j in self.jobs if j.line is line]
        after = tuple(data.draw(st.sets(st.sampled_from(own), max_size=2))) if own else ()
        one = ranked(line, len(self.jobs) + 1, priority, after)
        self.jobs.append(one)
        asyncio.run(self.bench.queue.put(one))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Any job is cancelled: it is when it waits."""
        one = data.draw(st.sampled_from(self.jobs))
        waits = one in self.waiting(one.line)
        assert self.bench.queue.cancel(one) == waits

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), priority=st.integers(-1, 1))
    def move(self, data: st.DataObject, priority: int) -> None:
        """Any job is given another priority."""
        self.bench.queue.prioritize(data.draw(st.sampled_from(self.jobs)), priority)

    @rule()
    def step(self) -> None:
        """A place comes up: its session's first job is run, if it is not one left empty."""
        before = {line: (self.waiting(line), self.bench.queue.ahead_of(line)[0])
                  for line in self.lines}  # fmt: skip
        ran = len(self.bench.ran)
        self.bench.executor.step()
        if len(self.bench.ran) == ran:
            return
        one = self.jobs[self.bench.ran[-1] - 1]
        waiting, ahead = before[one.line]
        assert ahead[0] == 0, "another session's turn had come"
        ids = {job.command.id for job in waiting}
        assert ids.isdisjoint(one.command.after)
        assert next(job for job in waiting if job.command.priority == one.command.priority) is one
        self.bench.queue.finished(one)

    @invariant()
    def places_are_as_many_as_jobs(self) -> None:
        """Each session has a place for each of its jobs, and they lie in one row."""
        counts = [len(self.waiting(line)) for line in self.lines]
        rows = [self.bench.queue.ahead_of(line) for line in self.lines]
        assert [len(ahead) for ahead, _ in rows] == counts
        assert [others for _, others in rows] == counts[::-1]
        taken = sorted(place + k for ahead, _ in rows for k, place in enumerate(ahead))
        assert taken == list(range(sum(counts)))

    def teardown(self) -> None:
        """Each job is run or cancelled, once."""
        while self.bench.executor.pending:
            self.step()
        finished = [j.command.id for j in self.jobs if j.state is JobState.FINISHED]
        assert sorted(self.bench.ran) == finished
        assert {j.state for j in self.jobs} <= {JobState.FINISHED, JobState.CANCELLED}


TestSessions = SessionsMachine.TestCase
TestSessions.settings = settings(max_examples=60, stateful_step_count=30)


# --- failures ----------------------------------------------------------------------------


def test_what_blocks() -> None:
    """A command is blocked by the first of its dependencies that failed, with its fault."""
    log = FailureLog()
    assert log.blocking((1, 2)) is None
    log.add(3, fault("three"))
    log.add(2, fault("two"))
    assert log.blocking((1, 2, 3)) == (2, fault("two"))
    assert log.blocking(()) is None


def test_failures_are_forgotten_in_time() -> None:
    """The log is bounded: the oldest failure goes first."""
    log = FailureLog(kept=2)
    for number in (1, 2, 3):
        log.add(number, fault(f"{number}"))
    assert log.blocking((1,)) is None
    assert log.blocking((1, 2)) == (2, fault("2"))
    assert log.blocking((3,)) == (3, fault("3"))

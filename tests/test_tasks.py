"""Tests of asyncbridge.tasks."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from asyncbridge.tasks import _unfinished, begin, spawn

Report = dict[str, Any]


async def fail(error: BaseException) -> None:
    """Raise the error."""
    raise error


async def turns(count: int = 6) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


def reports() -> list[Report]:
    """Collect what reaches the running loop's exception handler from now on."""
    seen: list[Report] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
    return seen


@pytest.mark.asyncio
async def test_a_task_returns_its_value_under_its_name() -> None:
    """A spawned task is an ordinary asyncio task."""

    async def answer() -> int:
        return 42

    task = spawn(answer(), name="the answer")
    assert task.get_name() == "the answer"
    assert await task == 42


@pytest.mark.asyncio
async def test_a_task_that_nobody_holds_lives_until_it_is_done() -> None:
    """The garbage collector cannot take it while it waits, and is let to afterwards."""
    done: list[str] = []

    async def wait_on_what_only_it_holds() -> None:
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gates.append(gate)
        await gate
        done.append("done")

    gates: list[asyncio.Future[None]] = []
    before = set(_unfinished)
    spawn(wait_on_what_only_it_holds(), name="unheld")
    await turns(1)
    gc.collect()
    assert len(_unfinished - before) == 1
    gates.pop().set_result(None)
    await turns()
    assert done == ["done"]
    assert _unfinished == before


@pytest.mark.asyncio
async def test_a_failure_that_nobody_awaits_is_reported_once() -> None:
    """The report comes while the task is still held, and none follows when it is collected."""
    seen = reports()
    error = ValueError("unseen")
    task = spawn(fail(error), name="doomed")
    await turns()
    assert [(context["exception"], context["task"]) for context in seen] == [(error, task)]
    assert seen[0]["message"] == "task 'doomed' failed and nobody awaits it"
    seen.clear()
    del task
    gc.collect()
    await turns()
    assert seen == []


@pytest.mark.asyncio
async def test_a_failure_of_a_task_that_nobody_holds_is_reported_once() -> None:
    """Dropping the task changes nothing."""
    seen = reports()
    spawn(fail(ValueError("unseen")), name="dropped")
    await turns()
    gc.collect()
    assert [str(context["exception"]) for context in seen] == ["unseen"]


@pytest.mark.asyncio
async def test_a_reported_failure_can_still_be_awaited() -> None:
    """Who comes late gets the exception all the same."""
    seen = reports()
    task = spawn(fail(ValueError("late")), name="late")
    await turns()
    with pytest.raises(ValueError, match="late"):
        await task
    assert len(seen) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["await", "gather", "wait", "shield", "TaskGroup"])
async def test_a_failure_that_somebody_awaits_is_not_reported(how: str) -> None:
    """It is the awaiter's, however it waits."""
    seen = reports()
    task = spawn(fail(ValueError("seen")), name="awaited")

    async def wait() -> None:
        if how == "wait":
            await asyncio.wait({task})
        if how == "gather":
            await asyncio.gather(task)
        elif how == "shield":
            await asyncio.shield(task)
        else:
            await task

    with pytest.raises((ValueError, ExceptionGroup)):
        if how == "TaskGroup":
            async with asyncio.TaskGroup() as group:
                group.create_task(wait())
        else:
            await wait()
    await turns()
    assert seen == []


@pytest.mark.asyncio
async def test_a_cancelled_task_is_no_failure() -> None:
    """Cancellation is neither reported nor given to on_error."""
    seen = reports()
    errors: list[BaseException] = []
    for on_error in (None, errors.append):
        task = spawn(asyncio.Event().wait(), name="cancelled", on_error=on_error)
        await turns(1)
        task.cancel()
        await turns()
        assert task.cancelled()
    assert seen == []
    assert errors == []


@pytest.mark.asyncio
async def test_on_error_takes_the_failure() -> None:
    """It gets the exception, and nothing else reports it."""
    seen = reports()
    errors: list[BaseException] = []
    error = OSError("pipe")
    spawn(fail(error), name="watched", on_error=errors.append)
    await turns()
    gc.collect()
    assert errors == [error]
    assert seen == []


@pytest.mark.asyncio
async def test_on_error_is_not_called_on_success() -> None:
    """A task that returns has no error to give."""
    errors: list[BaseException] = []
    task = spawn(turns(1), name="fine", on_error=errors.append)
    await task
    await turns()
    assert errors == []


@pytest.mark.asyncio
async def test_an_error_of_on_error_is_reported() -> None:
    """A handler that fails is not silent either."""
    seen = reports()

    def broken(error: BaseException) -> None:
        raise LookupError("in the handler") from error

    spawn(fail(ValueError("first")), name="watched", on_error=broken)
    await turns()
    assert [repr(context["exception"]) for context in seen] == ["LookupError('in the handler')"]
    assert repr(seen[0]["exception"].__cause__) == "ValueError('first')"


def test_a_failure_right_before_the_loop_ends_is_not_lost() -> None:
    """When no turns are left for the report, asyncio's own still comes."""
    seen: list[Report] = []
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _, context: seen.append(context))

    async def main() -> None:
        spawn(fail(ValueError("last words")), name="last")
        await turns(1)

    loop.run_until_complete(main())
    loop.close()
    gc.collect()
    assert [str(context["exception"]) for context in seen] == ["last words"]


# --- what begins at once -----------------------------------------------------------------


@pytest.mark.asyncio
async def test_what_waits_for_nothing_is_over_at_once() -> None:
    """No turn of the loop is needed."""
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    assert begin(work()) is None
    assert done == [1]


@pytest.mark.asyncio
@pytest.mark.parametrize("early", [True, False])
async def test_the_rest_goes_on_where_it_waited(early: bool) -> None:
    """Whether that has come before anybody awaits the rest, or later."""
    gate: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    seen: list[int] = []

    async def work() -> None:
        seen.append(await gate)
        await asyncio.sleep(0)
        seen.append(2)

    rest = begin(work())
    assert rest is not None
    if early:
        gate.set_result(1)
    else:
        asyncio.get_running_loop().call_soon(gate.set_result, 1)
    await rest
    assert seen == [1, 2]


@pytest.mark.asyncio
async def test_an_error_is_for_who_awaits_the_rest() -> None:
    """Not for who begins it."""
    rest = begin(fail(ValueError("no")))
    assert rest is not None
    with pytest.raises(ValueError, match="no"):
        await rest


@pytest.mark.asyncio
async def test_a_cancelled_rest_is_closed() -> None:
    """What the coroutine has open, it closes."""
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    closed: list[int] = []

    async def work() -> None:
        try:
            await gate
        finally:
            closed.append(1)

    async def wait() -> None:
        rest = begin(work())
        assert rest is not None
        await rest

    task = spawn(wait(), name="wait")
    await turns(2)
    task.cancel()
    await turns(2)
    assert task.cancelled()
    assert closed == [1]


@pytest.mark.asyncio
async def test_the_coroutine_handles_what_it_waited_for() -> None:
    """An error of that is raised where it waits, not where the rest is awaited."""
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    handled: list[str] = []

    async def work() -> None:
        try:
            await gate
        except OSError as error:
            handled.append(str(error))
        await asyncio.sleep(0)

    rest = begin(work())
    assert rest is not None
    gate.set_exception(OSError("cut"))
    await rest
    assert handled == ["cut"]

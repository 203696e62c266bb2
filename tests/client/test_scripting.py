"""Handlers that run in a script's own thread."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from asyncbridge.errors import BridgeClosed, RemoteError, WrongLoopError
from asyncbridge.testing import FakeWorker

pytestmark = pytest.mark.usefixtures("no_leaks")
current: contextvars.ContextVar[str] = contextvars.ContextVar("current")


def thread_of(_: object) -> str:
    """Return the name of the thread that runs this."""
    return threading.current_thread().name


HERE = threading.main_thread().name


def test_handlers_run_in_the_bridges_thread_or_in_this_one() -> None:
    """As the script wishes, for each of them."""
    with FakeWorker().connect() as bridge:
        promise = bridge.send("1")
        assert promise.then(thread_of).wait_for_value(10) == "asyncbridge-loop"
        assert promise.then(bridge.callback(thread_of)).wait_for_value(10) == HERE


def test_run_callbacks_waits_for_one_and_runs_what_is_due() -> None:
    """It returns how many ran."""
    seen: list[Any] = []
    with FakeWorker().connect() as bridge:
        assert bridge.run_callbacks(timeout=0) == 0
        for number in range(3):
            bridge.send("n", {"n": number}).then(bridge.callback(seen.append))
        ran = 0
        while ran < 3:
            ran += bridge.run_callbacks()
    assert seen == [0, 1, 2]


def test_leaving_the_block_runs_what_is_left() -> None:
    """As it does with other handlers."""
    seen: list[Any] = []
    with FakeWorker().connect() as bridge:
        for number in range(3):
            bridge.send("n", {"n": number}).then(bridge.callback(seen.append))
    assert seen == [0, 1, 2]


def test_an_error_rejects_the_promise_and_goes_no_further() -> None:
    """The thread that runs it is not disturbed; a rejection can be handled here, too."""

    def fail(_: object) -> None:
        raise LookupError("mine")

    with FakeWorker().connect() as bridge:
        failed = bridge.send("1").then(bridge.callback(fail))
        assert bridge.run_callbacks(10) == 1
        with pytest.raises(LookupError, match="mine"):
            failed.wait_for_value(10)
        caught = bridge.send("1 / 0").catch(RemoteError, bridge.callback(thread_of))
        assert caught.wait_for_value(10) == HERE


def test_what_ends_a_program_ends_the_wait() -> None:
    """A SystemExit in a handler is raised where the handler runs."""

    def leave(_: object) -> None:
        raise SystemExit(3)

    with FakeWorker().connect() as bridge:
        promise = bridge.send("1").then(bridge.callback(leave))
        with pytest.raises(SystemExit):
            promise.wait_for_value(10)
        with pytest.raises(SystemExit):
            promise.wait_for_value(10)


def test_a_coroutine_function_runs_on_the_loop() -> None:
    """Only its call is made here."""

    async def where(_: object) -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    with FakeWorker().connect() as bridge:
        promise = bridge.send("1").then(bridge.callback(where))
        assert promise.wait_for_value(10) == "asyncbridge-loop"


def test_it_runs_in_the_context_of_the_then_call() -> None:
    """As every handler does."""
    with FakeWorker().connect() as bridge:
        promise, context = bridge.send("1"), contextvars.copy_context()
        context.run(current.set, "at then")
        derived = context.run(promise.then, bridge.callback(lambda _: current.get("none")))
        assert derived.wait_for_value(10) == "at then"


def test_other_threads_neither_run_them_nor_may_ask() -> None:
    """A thread that waits for a value does not run what is for this one."""
    errors: list[Exception] = []
    with FakeWorker().connect() as bridge:
        promise = bridge.send("1")
        derived = promise.then(bridge.callback(thread_of))

        def elsewhere() -> None:
            promise.wait_for_value(10)
            try:
                bridge.run_callbacks(0)
            except WrongLoopError as error:
                errors.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert "the thread that entered" in str(errors[0])
        assert derived.wait_for_value(10) == HERE


def test_a_closed_bridge_has_none() -> None:
    """And what is no function, or a time below nothing, is refused."""
    wrong: Any = 5
    with FakeWorker().connect() as bridge:
        with pytest.raises(TypeError, match="takes a function, not 5"):
            bridge.callback(wrong)
        with pytest.raises(ValueError, match="timeout must be 0 or more"):
            bridge.run_callbacks(-1)
        with pytest.raises(BridgeClosed):
            FakeWorker().connect().callback(thread_of)
    for refused in (bridge.run_callbacks, lambda: bridge.callback(thread_of)):
        with pytest.raises(BridgeClosed):
            refused()


@pytest.mark.asyncio
async def test_an_async_bridge_needs_none() -> None:
    """Its handlers run on the app's loop."""
    async with FakeWorker().connect() as bridge:
        for refused in (bridge.run_callbacks, lambda: bridge.callback(thread_of)):
            with pytest.raises(WrongLoopError, match="the app's own loop already"):
                refused()

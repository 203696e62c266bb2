from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from asyncbridge.client.loop_thread import LoopThread

pytestmark = pytest.mark.usefixtures("no_leaks")


def test_a_coroutine_runs_on_the_loop_of_another_thread() -> None:
    """Its result is returned, its error raised."""
    thread = LoopThread()

    async def where() -> int:
        return threading.get_ident()

    async def fail() -> None:
        raise ZeroDivisionError

    try:
        assert thread.call(where()) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            thread.call(fail())
    finally:
        thread.stop()


def test_callbacks_run_in_the_order_of_the_calls() -> None:
    """And before a coroutine that is called later."""
    thread = LoopThread()
    seen: list[int] = []

    async def nothing() -> None:
        pass

    for number in range(10):
        thread.soon(seen.append, number)
    thread.call(nothing())
    thread.stop()
    assert seen == list(range(10))


def test_stopping_cancels_what_runs_and_ends_the_thread() -> None:
    """A second stop does nothing."""
    thread = LoopThread()
    cancelled = threading.Event()
    started = threading.Event()

    async def wait() -> None:
        started.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    future = asyncio.run_coroutine_threadsafe(wait(), thread.loop)
    assert started.wait(10)
    thread.stop()
    assert cancelled.is_set()
    assert future.cancelled()
    assert thread.loop.is_closed()
    thread.stop()


def test_an_interrupted_call_cancels_its_coroutine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A KeyboardInterrupt while waiting gets out, and the coroutine is not left running."""
    thread = LoopThread()
    started, cancelled = threading.Event(), threading.Event()

    async def wait() -> None:
        started.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    submit = asyncio.run_coroutine_threadsafe

    def interrupt() -> None:
        raise KeyboardInterrupt

    def interrupted(coroutine: Any, loop: asyncio.AbstractEventLoop) -> Future[None]:
        future: Future[None] = submit(coroutine, loop)
        started.wait(10)
        monkeypatch.setattr(future, "result", interrupt)
        return future

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        thread.call(wait())
    monkeypatch.undo()
    thread.stop()
    assert cancelled.is_set()


def test_the_thread_is_a_daemon_with_a_name() -> None:
    """A program that forgets to stop it ends all the same."""
    thread = LoopThread(name="somebody")
    try:
        assert thread._thread.daemon
        assert thread._thread.name == "somebody"
    finally:
        thread.stop()

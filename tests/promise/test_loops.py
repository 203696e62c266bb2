"""Promises on loops that do not run yet, and on one that runs in no thread of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from contextvars import Context
from typing import Any, TypeVarTuple

import pytest

from asyncbridge.promise import Promise
from tests.promise.conftest import ERROR, CustomAwaitable, add_one, outcome, raiser

Ts = TypeVarTuple("Ts")


class PageLoop(asyncio.BaseEventLoop):
    """A loop as a web page has it: it always says that it runs, and the page has it turn.

    Args:
        stays: Whether it is this thread's running loop between its turns, too.
    """

    _open = False

    def __init__(self, *, stays: bool) -> None:
        super().__init__()  # which asks whether it runs
        self._due: deque[asyncio.Handle] = deque()
        self._open = True
        self._between_turns = self if stays else None
        asyncio._set_running_loop(self._between_turns)

    def is_running(self) -> bool:
        return self._open

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self._due.append(asyncio.Handle(callback, args, self, context))
        return self._due[-1]

    call_soon_threadsafe = call_soon

    def turn(self) -> None:
        """Turn until there is nothing to do; as the page's own loop does, by single calls."""
        while self._due:
            asyncio._set_running_loop(self)
            try:
                self._due.popleft()._run()
            finally:
                asyncio._set_running_loop(self._between_turns)

    def close(self) -> None:
        self._open = False
        asyncio._set_running_loop(None)
        super().close()


@pytest.fixture(params=[True, False], ids=["stays", "turns"])
def page(request: pytest.FixtureRequest) -> Iterator[PageLoop]:
    """Make such a loop, for a thread that has no other one."""
    with closing(PageLoop(stays=request.param)) as loop:
        yield loop


async def coroutine_of(value: Any) -> Any:
    """Return the value, or raise it."""
    if isinstance(value, BaseException):
        raise value
    return value


MAKERS: tuple[Callable[[object], Awaitable[Any]], ...] = (coroutine_of, CustomAwaitable)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("value", ["value", ERROR])
def test_an_awaitable_waits_for_the_loop(
    make: Callable[[object], Awaitable[Any]], value: object
) -> None:
    """A promise that is resolved by an awaitable before its loop runs ends once that does."""
    with closing(asyncio.new_event_loop()) as loop:
        promise, resolve, reject = Promise[Any].with_resolvers(loop=loop)
        resolve(make(value))
        reject(OSError("ignored"))
        assert promise.state == "pending"
        assert loop.run_until_complete(outcome(promise)) is value


@pytest.mark.asyncio
async def test_an_awaitable_runs_on_the_loop_of_its_promise() -> None:
    """Nothing of it runs on another loop, where the promise is resolved."""
    ran_on: list[object] = []

    async def awaitable() -> str:
        ran_on.append(asyncio.get_running_loop())
        return "value"

    with closing(asyncio.new_event_loop()) as loop:
        promise, resolve, _ = Promise[str].with_resolvers(loop=loop)
        resolve(awaitable())
        assert len(asyncio.all_tasks()) == 1
        assert await asyncio.to_thread(loop.run_until_complete, promise.wait()) == "value"
        assert ran_on == [loop]


def test_chains_on_a_page(page: PageLoop) -> None:
    """Handlers run in turns alone, in the order of the calls, and awaitables are assimilated."""
    promise, resolve, reject = Promise[int].with_resolvers(loop=page)
    calls: list[object] = []
    promise.then(lambda value: calls.append(("first", value)))
    promise.then(coroutine_of).then(add_one).then(lambda value: calls.append(("chain", value)))
    resolve(CustomAwaitable(1))
    reject(ERROR)
    promise.then(lambda value: calls.append(("late", value)))
    promise.then(raiser(ERROR)).catch(calls.append).finally_(lambda: calls.append("end"))
    assert calls == []
    page.turn()
    assert calls[:2] == [("first", 1), ("late", 1)]
    assert sorted(map(str, calls[2:])) == ["('chain', 2)", "end", "reason"]


def test_resolving_with_itself_on_a_page(page: PageLoop) -> None:
    """Such a promise is rejected there, too (2.3.1)."""
    promise, resolve, _ = Promise[Any].with_resolvers(loop=page)
    resolve(promise)
    page.turn()
    assert isinstance(promise.exception(), TypeError)

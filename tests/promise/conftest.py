"""What the tests of promises share: promises that end as told, handlers, a loop in a thread."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Any, Literal

import pytest
import pytest_asyncio

from asyncbridge.promise import Promise

Handler = Callable[[Any], Any]
Report = dict[str, Any]
When = Literal["before", "after"]
"""Whether a promise settles before or after the scenario chains on it."""
ERROR = ValueError("reason")
current: contextvars.ContextVar[str] = contextvars.ContextVar("current")


class Token:
    """A value that can be weakly referenced."""


class CustomAwaitable:
    """An awaitable that is neither a coroutine nor a future."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, None, Any]:
        yield
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


def pending() -> Promise[Any]:
    """Create a promise of work on the running loop: one that no waiter's cancellation ends."""
    return Promise[Any].with_resolvers().promise


def bare() -> Promise[Any]:
    """Create a promise as a loop's ``create_future`` would."""
    return Promise(loop=asyncio.get_running_loop())


def settle(promise: asyncio.Future[Any], value: object) -> None:
    """Settle it: by the value, or by the exception, or cancel it for a CancelledError."""
    if isinstance(value, asyncio.CancelledError):
        promise.cancel(*value.args)
    elif isinstance(value, BaseException):
        promise.set_exception(value)
    else:
        promise.set_result(value)


def settled(when: When, value: object = None) -> Promise[Any]:
    """Return a promise that is settled now, or after the caller has chained on it."""
    promise = pending()
    if when == "before":
        settle(promise, value)
    else:
        asyncio.get_running_loop().call_soon(settle, promise, value)
    return promise


def raiser(error: BaseException) -> Callable[..., Any]:
    """Return a handler that raises."""

    def handler(*_: object) -> None:
        raise error

    return handler


def give(value: object) -> Handler:
    """Return a handler that returns the value."""
    return lambda _: value


def add_one(value: int) -> int:
    """Stand for any handler of a number."""
    return value + 1


def never(*_: object) -> Any:
    """Stand for a handler that must not run."""
    pytest.fail("a handler ran that must not")


async def turns(count: int = 12) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def outcome(promise: Awaitable[Any]) -> Any:
    """Return the promise's value, or the exception that awaiting it raises."""
    try:
        return await promise
    except BaseException as error:
        return error


def reports() -> list[Report]:
    """Collect what reaches the running loop's exception handler from now on."""
    seen: list[Report] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
    return seen


@pytest_asyncio.fixture(params=[False, True], ids=["as-is", "debug"])
async def in_both_modes(request: pytest.FixtureRequest) -> None:
    """Run the test outside asyncio's debug mode, and in it: they wait in different ways."""
    asyncio.get_running_loop().set_debug(enabled=request.param)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in another thread."""
    loop = asyncio.new_event_loop()
    loop.set_debug(enabled=True)  # so that call_soon() refuses a foreign thread
    running = threading.Event()
    loop.call_soon(running.set)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running.wait()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()

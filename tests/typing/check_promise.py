"""What type checkers see of a promise; this file is never run."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, assert_type

from asyncbridge.client import Bridge
from asyncbridge.outcome import Error, Value, capture
from asyncbridge.promise import LogReader, OutputLine, Promise, Resolvers
from asyncbridge.promise.output import OutputLog
from asyncbridge.promise.source import Source
from asyncbridge.promise.times import Times
from asyncbridge.tasks import spawn


def to_text(value: int) -> str:
    """Stand for a plain handler."""
    return str(value)


async def to_bytes(value: int) -> bytes:
    """Stand for a coroutine handler."""
    return str(value).encode()


def later(value: int) -> asyncio.Future[float]:
    """Stand for a handler that returns a future."""
    raise NotImplementedError(value)


def recover(error: BaseException) -> bool:
    """Stand for a handler of any exception."""
    return error is not None


async def recover_async(error: BaseException) -> bytes:
    """Stand for its coroutine twin."""
    return str(error).encode()


def recover_later(error: BaseException) -> asyncio.Future[float]:
    """Stand for a handler of any exception that returns a future."""
    raise NotImplementedError(error)


async def on_value_error_async(error: ValueError) -> bytes:
    """Stand for a coroutine handler of one type."""
    return str(error).encode()


async def on_either_async(error: ValueError | KeyError) -> bytes:
    """Stand for a coroutine handler of two types."""
    return str(error).encode()


def on_value_error(error: ValueError) -> None:
    """Stand for a handler of one type."""


def on_either(error: ValueError | KeyError) -> bytes:
    """Stand for a handler of two types."""
    return str(error).encode()


class Owner:
    """A source with plain attributes."""

    def __init__(self) -> None:
        self.id = 1
        self.state = "queued"
        self.label = "the work"
        self.ahead = 0
        self.output = OutputLog()
        self.code = "work()"
        self.times = Times()
        self.cancelled_phase: str | None = None

    def unhandled(self, error: BaseException) -> dict[str, str]:
        return {"command": str(error)}

    def cancel(self, promise: Promise[Any], msg: object, mode: str | None) -> bool:
        return promise.done() or msg is mode

    def expression(self, promise: Promise[Any]) -> Any:
        return promise


def check_then(promise: Promise[int]) -> None:
    """A derived promise has the type that its handlers give."""
    assert_type(promise.then(), Promise[int])
    assert_type(promise.then(None, None), Promise[int])
    assert_type(promise.then(to_text), Promise[str])
    assert_type(promise.then(to_bytes), Promise[bytes])
    assert_type(promise.then(later), Promise[float])
    assert_type(promise.then(lambda value: value + 0.5), Promise[float])
    assert_type(promise.then(print), Promise[None])
    assert_type(promise.then(to_text, None), Promise[str])
    assert_type(promise.then(to_bytes, None), Promise[bytes])
    assert_type(promise.then(later, None), Promise[float])
    assert_type(promise.then(None, recover_async), Promise[int | bytes])
    assert_type(promise.then(None, recover_later), Promise[int | float])
    assert_type(promise.then(on_fulfilled=to_bytes, on_rejected=recover), Promise[bytes | bool])
    assert_type(promise.then(later, recover_later), Promise[float])
    assert_type(promise.then(to_text, recover_later), Promise[str | float])
    assert_type(promise.then(later, recover), Promise[float | bool])
    assert_type(promise.then(lambda value: [value], recover), Promise[list[int] | bool])
    assert_type(promise.then(None, recover), Promise[int | bool])
    assert_type(promise.then(on_rejected=recover), Promise[int | bool])
    assert_type(promise.then(on_rejected=recover_async), Promise[int | bytes])
    assert_type(promise.then(to_text, recover), Promise[str | bool])
    assert_type(promise.then(to_text, recover_async), Promise[str | bytes])
    assert_type(promise.then(to_bytes, recover), Promise[bytes | bool])
    assert_type(promise.then(to_bytes, recover_async), Promise[bytes])
    assert_type(promise.then(to_text).then(len), Promise[int])
    promise.then(len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - no len(int)


def check_catch(promise: Promise[int]) -> None:
    """A handler sees the types it is for, and adds its own result."""
    assert_type(promise.catch(recover), Promise[int | bool])
    assert_type(promise.catch(recover_async), Promise[int | bytes])
    assert_type(promise.catch(lambda error: error.args), Promise[int | tuple[Any, ...]])
    assert_type(promise.catch(ValueError, on_value_error), Promise[int | None])
    assert_type(promise.catch((ValueError, KeyError), on_either), Promise[int | bytes])
    assert_type(promise.catch(ValueError, KeyError, on_either), Promise[int | bytes])
    assert_type(promise.catch(recover_later), Promise[int | float])
    assert_type(promise.catch(ValueError, on_value_error_async), Promise[int | bytes])
    assert_type(promise.catch((ValueError,), on_value_error_async), Promise[int | bytes])
    assert_type(promise.catch((ValueError, KeyError), on_either_async), Promise[int | bytes])
    assert_type(promise.catch(ValueError, KeyError, on_either_async), Promise[int | bytes])
    assert_type(promise.catch(ValueError, lambda error: error.args[0]), Promise[int | Any])
    assert_type(promise.catch(UnicodeError, on_value_error), Promise[int | None])
    promise.catch(KeyError, on_value_error)  # type: ignore[arg-type]  # pyright: ignore - not its type


def check_the_rest(promise: Promise[int], raw: Promise[Any]) -> None:
    """A transform block retypes the promise; a source needs ten names."""
    assert_type(promise.finally_(lambda: None), Promise[int])
    assert_type(promise.finally_(lambda: to_bytes(1)), Promise[int])
    assert_type(promise.finally_(None), Promise[int])
    promise.finally_(to_text)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - it gets no value
    assert_type(promise.tap(to_text), Promise[int])
    assert_type(promise.tap(to_bytes), Promise[int])
    assert_type(promise.tap(None), Promise[int])
    assert_type(promise.transform(to_text), Promise[str])
    assert_type(raw.transform(to_text), Promise[str])
    assert_type(promise.transform(lambda value: [value]), Promise[list[Any]])
    assert_type(promise.transform(to_text).transform(len).then(to_bytes), Promise[bytes])
    assert_type(promise.wait_for_value(), int)
    assert_type(promise.wait_for_value(0.5), int)
    assert_type(promise.wait_for_value(timeout=1), int)
    assert_type(promise.command_id, int | None)
    assert_type(promise.position, int | None)
    assert_type(promise.created_at, datetime | None)
    assert_type(promise.queued_for, float | None)
    assert_type(promise.cancelled_phase, str | None)
    assert_type(promise.ran_for, float | None)
    assert_type(promise.output(), LogReader[OutputLine])
    assert_type(promise.output().dropped, int)
    assert_type(list(promise.output()), list[OutputLine])
    assert_type(promise.cancel("why", mode="graceful"), bool)
    source: Source = Owner()
    promise._attach(source)


def check_makers(done: asyncio.Future[int]) -> None:
    """Awaitables are looked through."""
    assert_type(Promise.resolve(1), Promise[int])
    assert_type(Promise.resolve(done), Promise[int])
    assert_type(Promise.resolve(Promise.resolve(1)), Promise[int])
    assert_type(Promise.resolve(to_bytes(1)), Promise[bytes])
    assert_type(Promise.resolve(None), Promise[None])
    rejected: Promise[int] = Promise.reject(ValueError())
    assert_type(Promise[int].reject(ValueError()), Promise[int])
    Promise.reject("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - no exception
    made: Resolvers[str] = Promise.with_resolvers()
    assert_type(made.promise, Promise[str])
    promise, resolve, reject = Promise[int].with_resolvers()
    assert_type(promise, Promise[int])
    resolve(1)
    resolve(done)
    reject(ValueError())
    resolve("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - not an int
    rejected.cancel()


def check_all(
    one: Promise[int], two: asyncio.Future[str], several: tuple[Promise[int], ...]
) -> None:
    """A tuple keeps each type, up to six of them; anything else is a list of one type."""
    three = to_bytes(1)
    assert_type(Promise.all((one,)), Promise[tuple[int]])
    assert_type(Promise.all((one, two)), Promise[tuple[int, str]])
    assert_type(Promise.all((one, two, three)), Promise[tuple[int, str, bytes]])
    assert_type(Promise.all((one, two, three, one)), Promise[tuple[int, str, bytes, int]])
    assert_type(Promise.all((one, two, three, one, two)), Promise[tuple[int, str, bytes, int, str]])
    assert_type(
        Promise.all((one, two, three, one, two, one)),
        Promise[tuple[int, str, bytes, int, str, int]],
    )
    assert_type(Promise.all((one, one, one, one, one, one, one)), Promise[tuple[int, ...]])
    assert_type(Promise.all(several), Promise[tuple[int, ...]])
    assert_type(Promise.all({one, one}), Promise[list[int]])
    assert_type(Promise.all((one, two)).then(len), Promise[int])
    assert_type(Promise.all([one, one]), Promise[list[int]])
    assert_type(Promise.all(to_bytes(n) for n in range(3)), Promise[list[bytes]])
    Promise.all(one)  # type: ignore[arg-type]  # pyright: ignore - one alone


def check_combinators(one: Promise[int], two: asyncio.Future[str]) -> None:
    """What they are of is looked through."""
    assert_type(Promise.any([one, one]), Promise[int])
    assert_type(Promise.any((two, two)), Promise[str])
    assert_type(Promise.any(to_bytes(n) for n in range(3)), Promise[bytes])
    assert_type(Promise.race((one, one)), Promise[int])
    assert_type(Promise.race([to_bytes(1), to_bytes(2)]), Promise[bytes])
    assert_type(Promise.all_settled((two, two)), Promise[list[Value[str] | Error]])
    assert_type(Promise.all_settled([one]), Promise[list[Value[int] | Error]])
    assert_type(Promise.delay(1), Promise[None])
    assert_type(Promise.delay(0.5, "text"), Promise[str])
    assert_type(Promise.delay(0.5, one), Promise[int])
    assert_type(Promise.delay(0.5, to_bytes(1)), Promise[bytes])
    Promise.delay("1")  # type: ignore[call-overload]  # pyright: ignore - no time
    assert_type(Promise.from_awaitable(to_bytes(1)), Promise[bytes])
    assert_type(Promise.from_awaitable(one), Promise[int])
    Promise.from_awaitable(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - a value
    assert_type(Promise.from_awaitable(two), Promise[str])


def check_callback(bridge: Bridge, promise: Promise[int]) -> None:
    """A handler for the script's thread fits where the function does."""
    assert_type(promise.then(bridge.callback(to_text)), Promise[str])
    assert_type(promise.then(bridge.callback(to_bytes)), Promise[bytes])
    assert_type(bridge.run_callbacks(timeout=1), int)
    promise.then(bridge.callback(len))  # type: ignore[arg-type]  # pyright: ignore - no len(int)


async def check_awaiting(promise: Promise[int]) -> None:
    """A promise is an awaitable of its value."""
    assert_type(await promise, int)
    assert_type(await asyncio.gather(promise, promise.then(to_text)), tuple[int, str])
    assert_type(await asyncio.wait_for(promise, 1), int)
    assert_type(await asyncio.shield(promise), int)
    assert_type([await each for each in asyncio.as_completed([promise])], list[int])
    done, pending = await asyncio.wait([promise])
    assert_type(done | pending, set[Promise[int]])
    assert_type(await promise.wait(), int)
    assert_type(await promise.wait(1.5, cancel_on_abandon=True), int)
    assert_type([line.text async for line in promise.output()], list[str])
    assert_type(await spawn(to_bytes(1), name="checked"), bytes)


def check_outcome() -> None:
    """An outcome keeps the type of its value."""
    outcome = capture(to_text, 1)
    assert_type(outcome, Value[str] | Error)
    assert_type(outcome.unwrap(), str)

"""Tests of asyncbridge.outcome."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import threading
import traceback
import weakref
from typing import TYPE_CHECKING

import pytest

from asyncbridge.errors import WrongLoopError
from asyncbridge.outcome import Error, Value, block_until, call_on, capture, runs_elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator


class Payload(ValueError):
    """An exception that can be weakly referenced."""


def fail(error: BaseException) -> None:
    """Raise the error."""
    raise error


def fail_anew() -> None:
    """Raise an error that this frame does not hold."""
    raise Payload


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in another thread."""
    loop = asyncio.new_event_loop()
    running = threading.Event()
    loop.call_soon(running.set)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running.wait()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_value_unwraps_to_itself() -> None:
    """What the call returned comes out, with the arguments that it was given."""
    outcome = capture(divmod, 7, 2)
    assert outcome == Value((3, 1))
    assert outcome.unwrap() == (3, 1)
    assert capture(int, "ff", base=16) == Value(255)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, StopIteration])
def test_an_error_is_held_and_raised_by_unwrap(kind: type[BaseException]) -> None:
    """Any exception at all is captured; unwrap raises that very object."""
    error = kind("no")
    outcome = capture(fail, error)
    assert outcome == Error(error)
    with pytest.raises(kind) as caught:
        outcome.unwrap()
    assert caught.value is error


def test_the_traceback_starts_in_the_function() -> None:
    """capture() does not show up in the error's traceback."""
    outcome = capture(fail, ValueError())
    assert isinstance(outcome, Error)
    frames = traceback.extract_tb(outcome.error.__traceback__)
    assert [frame.name for frame in frames] == ["fail"]


def test_an_error_raised_by_a_builtin_has_no_frames() -> None:
    """A function without Python frames leaves an empty traceback."""
    outcome = capture(int, "x")
    assert isinstance(outcome, Error)
    assert outcome.error.__traceback__ is None


@pytest.mark.parametrize("outcome", [Value(1), Error(ValueError())])
def test_an_outcome_is_frozen(outcome: Value[int] | Error) -> None:
    """Nobody can change what happened."""
    field = dataclasses.fields(outcome)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(outcome, field, 2)
    assert not hasattr(outcome, "__dict__")


def test_unwrapping_leaves_no_cycle() -> None:
    """Neither capture nor unwrap keeps the error alive by its own frames."""
    gc.disable()
    try:
        outcome = capture(fail_anew)
        assert isinstance(outcome, Error)
        ref = weakref.ref(outcome.error)
        with contextlib.suppress(Payload):
            outcome.unwrap()
        assert ref() is not None
        del outcome
        assert ref() is None
    finally:
        gc.enable()


@pytest.mark.asyncio
async def test_a_loop_runs_here_in_its_own_callbacks() -> None:
    """A loop is elsewhere only where it runs in another thread."""
    loop = asyncio.get_running_loop()
    assert not runs_elsewhere(loop)
    assert await asyncio.to_thread(runs_elsewhere, loop)


def test_a_stopped_loop_runs_nowhere() -> None:
    """A loop that does not run is not elsewhere: nothing can race with it."""
    loop = asyncio.new_event_loop()
    assert not runs_elsewhere(loop)
    loop.close()
    assert not runs_elsewhere(loop)


def test_call_on_answers_from_the_loops_thread(loop: asyncio.AbstractEventLoop) -> None:
    """The function runs on the loop, and its value comes back."""
    assert call_on(loop, asyncio.get_running_loop) is loop


def test_call_on_raises_what_the_function_raised(loop: asyncio.AbstractEventLoop) -> None:
    """An error crosses threads as it is."""
    error = KeyError("gone")
    with pytest.raises(KeyError) as caught:
        call_on(loop, lambda: fail(error))
    assert caught.value is error


@pytest.mark.asyncio
async def test_call_on_refuses_to_block_a_loop(loop: asyncio.AbstractEventLoop) -> None:
    """It raises at once where another loop would stand still."""
    with pytest.raises(WrongLoopError, match="would block this one"):
        call_on(loop, list)


def test_block_until_returns_whether_the_event_came(loop: asyncio.AbstractEventLoop) -> None:
    """True when the loop set the event, False when the time was over first."""
    event = threading.Event()
    assert not block_until(event, loop, 0)
    loop.call_soon_threadsafe(event.set)
    assert block_until(event, loop)
    assert block_until(event, loop, 0)


def test_block_until_sees_the_loop_stop(loop: asyncio.AbstractEventLoop) -> None:
    """A loop that stops during the wait ends it, with or without a time limit."""
    loop.call_soon_threadsafe(loop.stop)
    with pytest.raises(RuntimeError, match="does not run"):
        block_until(threading.Event(), loop)
    with pytest.raises(RuntimeError, match="does not run"):
        block_until(threading.Event(), loop, 3600)


def test_block_until_names_a_closed_loop() -> None:
    """A closed loop is told from one that merely stands still; what is set stays set."""
    loop = asyncio.new_event_loop()
    loop.close()
    event = threading.Event()
    with pytest.raises(RuntimeError, match="is closed"):
        block_until(event, loop)
    event.set()
    assert block_until(event, loop)

"""The command behind a promise."""

from __future__ import annotations

import functools
import gc
import weakref
from datetime import UTC, datetime
from typing import Any

import pytest

from asyncbridge.promise import Promise
from asyncbridge.promise.output import OutputLog
from asyncbridge.promise.times import Times
from asyncbridge.testing import ManualClock
from tests.promise.conftest import never, outcome, pending


class Items:
    """Code on a promise's value: notes what is built."""

    def __init__(self, promise: object) -> None:
        self.promise = promise

    def __getitem__(self, key: object) -> tuple[object, object]:
        return self.promise, key

    def attr(self, name: str) -> tuple[object, str]:
        return self.promise, name


class Owner:
    """A command's owner that notes what it is asked."""

    def __init__(self) -> None:
        self.id = 7
        self.state = "queued"
        self.label = "the work"
        self.ahead = 0
        self.output = OutputLog()
        self.code = "work()"
        self.clock = ManualClock()
        self.times = Times(self.clock, lambda: 0.0)
        self.asked: list[tuple[object, object, str | None]] = []
        self.cancelled_phase: str | None = None
        self.unhandled_errors: list[BaseException] = []

    def cancel(self, promise: Promise[Any], msg: object, mode: str | None) -> bool:
        self.asked.append((promise, msg, mode))
        return True

    def unhandled(self, error: BaseException) -> dict[str, str]:
        self.unhandled_errors.append(error)
        return {"command": self.label}

    def expression(self, promise: Promise[Any]) -> Any:
        return Items(promise)


def time_of(promise: Promise[Any]) -> tuple[object, ...]:
    """Return all that a promise tells of its command's place and times."""
    return promise.created_at, promise.position, promise.queued_for, promise.ran_for


@pytest.mark.asyncio
async def test_a_source_answers_for_the_command() -> None:
    """It gives the id and the state while pending; the promise itself gives the end."""
    promise, owner = pending(), Owner()
    assert (promise.command_id, promise.state) == (None, "pending")
    promise._attach(owner)
    assert (promise.command_id, promise.state) == (7, "queued")
    owner.state = "running"
    assert promise.state == "running"
    promise._settle(1)
    assert (promise.command_id, promise.state) == (7, "fulfilled")


@pytest.mark.asyncio
async def test_a_source_answers_for_the_place_and_the_times() -> None:
    """A bare promise has none; the place is that in the queue."""
    promise, owner = pending(), Owner()
    assert time_of(promise) == (None, None, None, None)
    promise._attach(owner)
    owner.ahead = 2
    owner.clock.advance(3)
    sent = datetime(1970, 1, 1, tzinfo=UTC)
    assert time_of(promise) == (sent, 2, 3.0, None)
    owner.state = "running"
    owner.times.start()
    owner.clock.advance(4)
    assert time_of(promise) == (sent, None, 3.0, 4.0)
    promise._settle(1)
    assert time_of(promise) == (sent, None, 3.0, 4.0)


@pytest.mark.asyncio
async def test_cancel_asks_the_source() -> None:
    """The owner decides, and ends the promise when the command is gone."""
    promise, owner = pending(), Owner()
    promise._attach(owner)
    assert promise.cancel("why", mode="graceful")
    assert owner.asked == [(promise, "why", "graceful")]
    assert not promise.done()
    assert promise._settle_cancelled("why")
    assert repr(await outcome(promise)) == "CancelledError('why')"
    assert not promise.cancel()
    assert len(owner.asked) == 1


@pytest.mark.asyncio
async def test_a_late_value_is_ignored() -> None:
    """A command that ends after its promise changes nothing, and runs no block."""
    promise = pending().transform(never)
    promise.cancel()
    promise._settle(1)
    assert promise.cancelled()
    assert not promise._settle_cancelled()


@pytest.mark.asyncio
@pytest.mark.parametrize("end", ["rejected", "cancelled"])
async def test_blocks_that_never_run_are_let_go(end: str) -> None:
    """A promise that is kept does not keep what its transform blocks hold."""

    class Held:
        """Something large."""

    held = Held()
    seen = weakref.ref(held)
    promise = pending().transform(functools.partial(never, held))
    if end == "rejected":
        promise.set_exception(ValueError("no"))
        assert isinstance(await outcome(promise), ValueError)
    else:
        promise.cancel()
    del held
    gc.collect()
    assert seen() is None


@pytest.mark.asyncio
async def test_code_on_its_value() -> None:
    """Items and attributes are built by the command's owner; without one there is nothing to ask."""
    promise = pending()
    promise._attach(Owner())
    assert promise[0] == (promise, 0)
    assert promise.attr("x") == (promise, "x")
    own = pending()
    with pytest.raises(TypeError, match="a Promise has no items: .*await"):
        own[0]
    with pytest.raises(TypeError, match="a Promise has no such attributes: .*await"):
        own.attr("x")

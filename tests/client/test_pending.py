from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncbridge.client.pending import Pending
from asyncbridge.client.rejections import Rejections
from asyncbridge.promise import OutputLine, Promise
from asyncbridge.promise.times import Times
from asyncbridge.protocol.messages import Command, Payload, Started
from asyncbridge.testing import ManualClock

pytestmark = pytest.mark.asyncio


def new(**given: Any) -> Pending:
    """Return a pending command of one's own wishes."""
    fields: dict[str, Any] = {
        "code": "x + 1", "bindings": None, "lifetime": "command", "label": "", "after": (),
        "home": Rejections(), "annotate": None, "origin": "",
    }  # fmt: skip
    promise: Promise[Any] = Promise(loop=asyncio.get_running_loop())
    return Pending(promise, **{**fields, **given})


async def test_its_size_is_that_of_source_and_bindings() -> None:
    """What the backlog counts it for."""
    assert new().size == 5
    assert new(bindings=Payload(header=b"", size=100)).size == 105


async def test_its_message_has_what_was_asked_for() -> None:
    """Dependencies by the ids of their commands."""
    first = new()
    first.id = 3
    item = new(after=[first], label="l", lifetime="eternal")
    item.id = 4
    assert item.command() == Command(
        id=4, code="x + 1", bindings=None, lifetime="eternal", after=(3,), label="l"
    )


async def test_before_it_has_a_session_it_is_pending_and_cannot_be_cancelled() -> None:
    """Nobody could answer."""
    item = new()
    assert item.state == "pending"
    assert not item.cancel(item.promise, None, None)


async def test_once_settled_it_holds_nothing() -> None:
    """A promise that is kept for long keeps no array with it."""
    item = new(bindings=Payload(header=b"", size=100), after=[new()], annotate=lambda _: None)
    item.timer = asyncio.get_running_loop().call_later(1000, lambda: None)
    timer = item.timer
    item.bulk = {"1-0": b"data"}
    item.settled(failed=False, reason=None)
    assert (item.bindings, item.after, item.annotate, item.bulk) == (None, (), None, {})
    assert timer.cancelled()


async def test_it_notes_its_times() -> None:
    """By what the worker tells, and by its end."""
    item, clock = new(), ManualClock()
    item.times = Times(clock)
    clock.advance(2)
    item.told(Started(id=1))
    clock.advance(3)
    item.settled(failed=False, reason=None)
    clock.advance(4)
    assert (item.times.queued_for, item.times.ran_for) == (2.0, 3.0)


async def test_its_log_is_made_when_it_is_needed() -> None:
    """By the first line or the first reader, once; after the end it is one that has ended."""
    item, late = new(), new()
    assert item._output is None
    item.printed(OutputLine(text="a", stream="stdout", command_id=1))
    log = item.output
    assert item.output is log
    assert not log.ended
    item.settled(failed=False, reason=None)
    late.settled(failed=True, reason=None)
    assert late._output is None
    assert log.ended
    assert late.output.ended
    assert [line.text for line in item.output.events] == ["a"]

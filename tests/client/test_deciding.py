"""A bridge's face of errors that halt; what comes of decisions is in test_halts.py."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, cast

import pytest

from asyncbridge.client.deciding import Deciding
from asyncbridge.decisions import Decision, DropQueue, Ignore, Replace, Retry
from asyncbridge.errors import (
    BridgeClosed,
    CommandDropped,
    IdentifierError,
    RemoteError,
    SerializationError,
    WrongLoopError,
)
from asyncbridge.testing import FakeWorker

pytestmark = pytest.mark.usefixtures("no_leaks")


def test_a_closed_bridge_decides_nothing() -> None:
    """Nor does it take a handler."""
    bridge = FakeWorker().connect()
    assert isinstance(bridge, Deciding)
    assert bridge.halted == ()
    with pytest.raises(BridgeClosed):
        bridge.on_error(lambda error: None)
    with pytest.raises(BridgeClosed):
        bridge.decide("e-1", Ignore())


@pytest.mark.asyncio
async def test_what_is_no_handler_and_no_decision_is_refused() -> None:
    """By the call that gets it, so nothing is sent."""
    async with FakeWorker().connect() as bridge:
        with pytest.raises(TypeError, match=r"on_error\(\) takes a function or None, not str"):
            bridge.on_error(cast("Any", "print"))
        with pytest.raises(TypeError, match=r"a decision is Ignore\(\), .*, not 5"):
            bridge.decide("e-1", cast("Any", 5))
        with pytest.raises(TypeError, match="takes a member of bridge.halted, or its id, not 5"):
            bridge.decide(cast("Any", 5), Ignore())
        with pytest.raises(TypeError, match=r"is a tuple of them, so write .*halted\[0\]"):
            bridge.decide(cast("Any", bridge.halted), Ignore())
        with pytest.raises(TypeError, match=r"write @bridge.on_error, without \(\)"):
            cast("Any", bridge).on_error()
        with pytest.raises(SyntaxError):
            bridge.decide("e-1", Retry(code="1 +"))
        with pytest.raises(IdentifierError):
            bridge.decide("e-1", Replace("1", {"no name": 1}))
        with pytest.raises(SerializationError, match="x"):
            bridge.decide("e-1", Retry(bindings={"x": object()}))


@pytest.mark.asyncio
async def test_it_belongs_to_the_bridges_loop() -> None:
    """As all of an async bridge does."""
    async with FakeWorker().connect() as bridge:
        with pytest.raises(WrongLoopError):
            await asyncio.to_thread(bridge.on_error, None)


def test_a_script_has_a_handler_in_the_bridges_thread() -> None:
    """``on_error`` gives the function back, so it stands as a decorator."""
    threads: list[str] = []
    with FakeWorker().connect() as bridge:

        @bridge.on_error
        def decide(error: RemoteError) -> Decision:
            threads.append(threading.current_thread().name)
            return Ignore(error.type)

        assert bridge.send("1 / 0").wait_for_value(20) == "ZeroDivisionError"
        assert isinstance(decide(RemoteError("A", "b")), Ignore)
    assert threads == ["asyncbridge-loop", threading.current_thread().name]


def test_a_script_may_decide_in_its_own_thread() -> None:
    """By ``bridge.callback``, while it waits for a value."""
    threads: list[threading.Thread] = []

    def decide(error: RemoteError) -> Decision:
        threads.append(threading.current_thread())
        return Retry(code="42")

    with FakeWorker().connect() as bridge:
        bridge.on_error(bridge.callback(decide))
        assert bridge.send("1 / 0").wait_for_value(20) == 42
    assert threads == [threading.current_thread()]


def test_a_script_drops_what_it_has_sent_before() -> None:
    """And nothing that it sends right after ``decide``."""
    with FakeWorker().connect(halt_on_error=True) as bridge:
        failed = bridge.send("1 / 0")
        before = [bridge.send("1") for _ in range(20)]
        while not bridge.halted:
            time.sleep(0)
        decided = bridge.decide(bridge.halted[0], DropQueue())
        behind = [bridge.send("n", {"n": number}) for number in range(20)]
        decided.wait_for_value(20)
        assert [promise.wait_for_value(20) for promise in behind] == list(range(20))
        with pytest.raises(RemoteError):
            failed.wait_for_value(20)
        for promise in before:
            with pytest.raises(CommandDropped):
                promise.wait_for_value(20)

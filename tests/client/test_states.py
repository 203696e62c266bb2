"""A bridge's states."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from asyncbridge.client.states import BridgeState, States


def test_what_takes_commands() -> None:
    """A bridge that is open, whatever its worker is at; and one that closes, until it is closed."""
    states = States()
    found = []
    state: BridgeState
    for state in ("connecting", "open", "busy-unresponsive", "reconnecting", "closing", "closed"):
        states.become(state)
        found.append((states.takes_commands, states.is_open))
    yes, no = True, False
    assert found == [(no, no), (yes, yes), (yes, yes), (yes, yes), (yes, no), (no, no)]


def test_a_lost_connection_is_told_before_a_silent_worker() -> None:
    """Nobody can answer over none."""
    states = States()
    states.opened()
    seen = list[str]()
    for step in (
        partial(states.answers, False),
        partial(states.connected, False),
        partial(states.answers, True),
        partial(states.connected, True),
        partial(states.answers, False),
        states.opened,
    ):
        step()
        seen.append(states.now)
    assert seen == [
        "busy-unresponsive", "reconnecting", "reconnecting", "open", "busy-unresponsive", "open",
    ]  # fmt: skip


def test_a_bridge_that_is_closing_stays_so() -> None:
    """Until it is closed."""
    states = States()
    states.opened()
    states.become("closing")
    states.connected(False)
    states.answers(False)
    assert states.now == "closing"


@pytest.mark.asyncio
async def test_its_changes() -> None:
    """Come one by one, from the present state to the end, to each reader; none comes twice."""
    states = States()
    states.become("connecting")
    reader = states.reader(asyncio.get_running_loop())
    assert await anext(reader) == "connecting"
    states.opened()
    states.become("open")
    states.connected(False)
    late = states.reader(asyncio.get_running_loop())
    states.become("closed")
    assert [state async for state in reader] == ["open", "reconnecting", "closed"]
    assert [state async for state in late] == ["reconnecting", "closed"]
    assert [state async for state in states.reader(asyncio.get_running_loop())] == ["closed"]
